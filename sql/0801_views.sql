-- For people.

-- One row a member: its state, since when, and why. age counts the seconds since its last check: while
-- nothing changes a row is seldom written, but the heartbeat says that it was checked an interval ago at
-- most. mirror_age counts those since the node's last heartbeat.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW lb_status AS
SELECT s.node,
       s.name,
       s.type,
       s.content AS address,
       s.dest,
       s.served,
       s.health,
       s.effective,
       s.priority,
       s.`override`,
       s.last_change AS since,
       s.reason,
       TIMESTAMPDIFF(SECOND,
                     IF(s.stale = 0 AND s.session = n.session,
                        GREATEST(s.last_check, n.seen - INTERVAL s.check_interval SECOND),
                        s.last_check),
                     UTC_TIMESTAMP(3)) AS age,
       TIMESTAMPDIFF(SECOND, n.heartbeat, UTC_TIMESTAMP(3)) AS mirror_age,
       n.restored,
       s.labels
  FROM lb_state s
  LEFT JOIN lb_node n ON n.node = s.node
 WHERE 'made by dnslb-backend' <> '';

-- One row a vote: who says what of a target, since when and why, and whether it counts (by the clock
-- of this server, and with `fresh` as it is by default).
CREATE OR REPLACE SQL SECURITY INVOKER VIEW lb_votes AS
SELECT v.address,
       v.asked,
       v.node,
       n.site,
       v.says,
       v.since,
       v.text,
       v.priority,
       v.weight,
       COALESCE(n.abstains = '' AND n.heartbeat > UTC_TIMESTAMP(3) - INTERVAL 10 SECOND, 0) AS counts,
       n.abstains,
       TIMESTAMPDIFF(SECOND, n.heartbeat, UTC_TIMESTAMP(3)) AS silent,
       v.row_key
  FROM lb_vote v
  LEFT JOIN lb_voter n ON n.node = v.node
 WHERE v.says <> 'NONE'
   AND 'made by dnslb-backend' <> '';

-- Records that the nodes that live do not all answer alike: one row for each of these nodes, with NULL where
-- it has no such record. What changes just now may differ for a moment.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW lb_differences AS
SELECT d.zone,
       d.name,
       d.type,
       n.node,
       r.decision,
       r.answer
  FROM (SELECT a.row_key, MIN(a.zone) AS zone, MIN(a.name) AS name, MIN(a.type) AS type
          FROM lb_record a
          JOIN lb_node b ON b.node = a.node
         WHERE b.heartbeat > UTC_TIMESTAMP(3) - INTERVAL 30 SECOND
         GROUP BY a.row_key
        HAVING COUNT(DISTINCT CONCAT(a.decision, a.answer)) > 1
            OR COUNT(*) < (SELECT COUNT(*)
                             FROM lb_node
                            WHERE heartbeat > UTC_TIMESTAMP(3) - INTERVAL 30 SECOND)) d
  JOIN lb_node n ON n.heartbeat > UTC_TIMESTAMP(3) - INTERVAL 30 SECOND
  LEFT JOIN lb_record r ON r.node = n.node AND r.row_key = d.row_key
 WHERE 'made by dnslb-backend' <> '';
