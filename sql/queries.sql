-- Queries for the mirror, to copy. All are read-only. Times are UTC.

-- 1. Is the mirror fresh? One row per node; silent is in seconds and should stay below ten.
SELECT node, version, started, heartbeat, restored,
       TIMESTAMPDIFF(SECOND, heartbeat, UTC_TIMESTAMP()) AS silent
  FROM lb_node
 ORDER BY node;

-- 2. What is down now, since when, and why?
SELECT node, name, type, address, since, reason
  FROM lb_status
 WHERE effective = 'DOWN'
 ORDER BY since;

-- 3. What is unknown: not checked yet, or without a result for too long?
SELECT node, name, type, address, served, age, reason
  FROM lb_status
 WHERE health = 'UNKNOWN'
 ORDER BY name, address;

-- 4. Who answers for a name?
SELECT node, address, dest, served, health, priority, reason
  FROM lb_status
 WHERE name = 'www.lb.example' AND type = 'A'
 ORDER BY node, served DESC, address;

-- 5. Which names are not answered by their own members?
SELECT node, name, type, decision
  FROM lb_record
 WHERE decision <> 'serve'
 ORDER BY name;

-- 6. Which names have one serving member left?
SELECT node, name, type, SUM(served) AS serving, COUNT(*) AS members
  FROM lb_state
 GROUP BY node, name, type
HAVING SUM(served) = 1 AND COUNT(*) > 1
 ORDER BY name;

-- 7. What flapped most in the last week?
SELECT name, type, content, COUNT(*) AS times, MAX(at) AS latest
  FROM lb_transition
 WHERE at > UTC_TIMESTAMP() - INTERVAL 7 DAY
   AND from_health <> to_health
 GROUP BY name, type, content
 ORDER BY times DESC
 LIMIT 20;

-- 8. What happened to a name in the last day?
SELECT at, node, content, from_health, to_health, from_served, to_served, reason
  FROM lb_transition
 WHERE name = 'www.lb.example'
   AND at > UTC_TIMESTAMP() - INTERVAL 1 DAY
 ORDER BY id DESC;

-- 9. Who has drained, downed or upped what, or changed its weight, and until when?
SELECT target, action, weight, IF(name = '', 'every record', name) AS record,
       IF(node = '', 'every node', node) AS node, author, reason, created, expires
  FROM lb_override
 WHERE cleared IS NULL AND (expires IS NULL OR expires > UTC_TIMESTAMP())
 ORDER BY created;

-- 10. Who drained what in the last month, and who cleared it?
SELECT created, author, action, target, reason, expires, cleared, cleared_by
  FROM lb_override
 WHERE created > UTC_TIMESTAMP() - INTERVAL 30 DAY
 ORDER BY created DESC;

-- 11. Which destinations does the resolver not answer for?
SELECT node, host, name, last_answer, last_text, resolved, addresses
  FROM lb_host
 WHERE last_answer IN ('failed', 'nxdomain')
 ORDER BY host, name;

-- 12. Which checks are slow?
SELECT node, name, address, duration_ms, result_text
  FROM lb_state
 WHERE duration_ms IS NOT NULL
 ORDER BY duration_ms DESC
 LIMIT 20;

-- 13. Do the nodes give the same answers?
SELECT name, type, content, GROUP_CONCAT(node ORDER BY node) AS served_by
  FROM lb_state
 WHERE served = 1
 GROUP BY name, type, content
HAVING COUNT(*) < (SELECT COUNT(*) FROM lb_node)
 ORDER BY name;

-- 14. How long was each member down in the last day, in seconds?
SELECT node, name, content, SUM(TIMESTAMPDIFF(SECOND, at, ended)) AS down
  FROM (SELECT node, name, type, content, to_health, at,
               COALESCE(LEAD(at) OVER (PARTITION BY node, name, type, content ORDER BY id),
                        UTC_TIMESTAMP(3)) AS ended
          FROM lb_transition
         WHERE at > UTC_TIMESTAMP() - INTERVAL 1 DAY) AS spans
 WHERE to_health = 'DOWN'
 GROUP BY node, name, content
 ORDER BY down DESC;

-- 15. When did records serve anything but their healthy members in the last week, and for how long?
SELECT node, name, type, at, to_decision AS decision, reason,
       TIMESTAMPDIFF(SECOND, at, ended) AS lasted
  FROM (SELECT node, name, type, at, to_decision, reason,
               COALESCE(LEAD(at) OVER (PARTITION BY node, name, type ORDER BY id),
                        UTC_TIMESTAMP(3)) AS ended
          FROM lb_decision
         WHERE at > UTC_TIMESTAMP() - INTERVAL 7 DAY) AS spans
 WHERE to_decision <> 'serve'
 ORDER BY at DESC;

-- 16. Where does the original program, which keeps its rows in `records`, serve something else?
-- Empty means that both serve the same. (Its tables may be in another database: name it.)
SELECT name, type,
       GROUP_CONCAT(IF(side = 'original', content, NULL) ORDER BY content) AS original,
       GROUP_CONCAT(IF(side = 'mirror', content, NULL) ORDER BY content) AS mirror
  FROM (SELECT 'original' AS side, LOWER(name) AS name, type, content
          FROM records
         WHERE disabled = 0 AND type IN ('A', 'AAAA')
         UNION ALL
        SELECT 'mirror', name, type, content
          FROM lb_state
         WHERE served = 1 AND type IN ('A', 'AAAA')
           AND node = (SELECT node FROM lb_node ORDER BY heartbeat DESC LIMIT 1)
         UNION ALL
        SELECT 'mirror', name, type, content
          FROM lb_static
         WHERE type IN ('A', 'AAAA')
           AND node = (SELECT node FROM lb_node ORDER BY heartbeat DESC LIMIT 1)) AS both_sides
 GROUP BY name, type
HAVING NOT original <=> mirror
 ORDER BY name, type;
