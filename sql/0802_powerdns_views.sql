-- For PowerDNS's gmysql backend, so that launch=gmysql can serve the last mirrored answers when no
-- daemon runs. All of it is from the node with the latest heartbeat, and read-only.
--
-- Every view has a condition without effect that marks it as created by this program: a view without
-- the mark belongs to another program, and is left alone.
--
-- Literals are converted: otherwise they have the collation of the connection that creates the view,
-- and comparing them fails on a connection with another collation.

CREATE OR REPLACE SQL SECURITY INVOKER VIEW domains AS
SELECT z.id,
       z.zone AS name,
       NULL AS master,
       NULL AS last_check,
       CONVERT('NATIVE' USING ascii) AS type,
       NULL AS notified_serial,
       CONVERT('dnslb-backend' USING ascii) AS account,
       NULL AS options,
       NULL AS catalog
  FROM lb_zone z
 WHERE 'made by dnslb-backend' <> ''
   AND z.node = (SELECT n.node FROM lb_node n ORDER BY n.heartbeat DESC, n.node LIMIT 1);

-- In this order: the SOA of each zone; the members of balanced records, those that are not served
-- disabled; rows that do not depend on health; for a name with nothing enabled a row of type NULL,
-- so that PowerDNS knows that the name exists; and for a record whose answer is unknown a row that
-- PowerDNS cannot parse, so that it answers SERVFAIL, as the daemon would.
--
-- An address that is served without being checked (fallback) counts as good at the last heartbeat.
--
-- All clients get the answer for a client in no view, with all serving members.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW records AS
SELECT CAST(CONV(LEFT(z.row_key, 15), 16, 10) AS UNSIGNED) AS id,
       z.id AS domain_id,
       z.zone AS name,
       CONVERT('SOA' USING ascii) AS type,
       z.soa AS content,
       z.soa_ttl AS ttl,
       NULL AS prio,
       0 AS disabled,
       NULL AS ordername,
       1 AS auth,
       -1 AS last_lb_check,
       NULL AS last_lb_check_result
  FROM lb_zone z
 WHERE 'made by dnslb-backend' <> ''
   AND z.node = (SELECT n.node FROM lb_node n ORDER BY n.heartbeat DESC, n.node LIMIT 1)
UNION ALL
SELECT CAST(CONV(LEFT(s.row_key, 15), 16, 10) AS UNSIGNED),
       z.id,
       s.name,
       s.type,
       IF(s.type IN ('MX', 'SRV'), SUBSTRING(s.content, LOCATE(' ', s.content) + 1), s.content),
       s.ttl,
       IF(s.type IN ('MX', 'SRV'), SUBSTRING_INDEX(s.content, ' ', 1) + 0, s.priority),
       IF(s.served = 1 AND s.views = '', 0, 1),
       NULL,
       1,
       TIMESTAMPDIFF(SECOND, '1970-01-01', IF(s.fallback, n.heartbeat,
           IF(s.stale = 0 AND s.session = n.session,
              GREATEST(s.last_check, n.seen - INTERVAL s.check_interval SECOND), s.last_check))),
       IF(s.fallback, 0, s.result_code)
  FROM lb_state s
  JOIN lb_node n ON n.node = s.node
  JOIN lb_zone z ON z.node = s.node AND z.zone = s.zone
 WHERE s.node = (SELECT n.node FROM lb_node n ORDER BY n.heartbeat DESC, n.node LIMIT 1)
UNION ALL
SELECT CAST(CONV(LEFT(t.row_key, 15), 16, 10) AS UNSIGNED),
       z.id,
       t.name,
       IF(t.type = 'ENT', NULL, t.type),
       IF(t.type IN ('MX', 'SRV'), SUBSTRING(t.content, LOCATE(' ', t.content) + 1), t.content),
       t.ttl,
       IF(t.type IN ('MX', 'SRV'), SUBSTRING_INDEX(t.content, ' ', 1) + 0, NULL),
       0,
       NULL,
       t.auth,
       NULL,
       NULL
  FROM lb_static t
  JOIN lb_zone z ON z.node = t.node AND z.zone = t.zone
 WHERE t.node = (SELECT n.node FROM lb_node n ORDER BY n.heartbeat DESC, n.node LIMIT 1)
UNION ALL
SELECT CAST(CONV(LEFT(r.row_key, 15), 16, 10) AS UNSIGNED),
       z.id,
       r.name,
       NULL,
       NULL,
       r.ttl,
       NULL,
       0,
       NULL,
       1,
       NULL,
       NULL
  FROM lb_record r
  JOIN lb_zone z ON z.node = r.node AND z.zone = r.zone
 WHERE r.node = (SELECT n.node FROM lb_node n ORDER BY n.heartbeat DESC, n.node LIMIT 1)
   AND r.decision NOT IN ('servfail', 'fault', 'pending')
   AND NOT EXISTS (SELECT 1 FROM lb_state s
                    WHERE s.node = r.node AND s.name = r.name AND s.served = 1
                      AND s.views = '')
   AND NOT EXISTS (SELECT 1 FROM lb_static t WHERE t.node = r.node AND t.name = r.name)
UNION ALL
SELECT CAST(CONV(LEFT(r.row_key, 15), 16, 10) AS UNSIGNED),
       z.id,
       r.name,
       r.type,
       CONVERT('health is not known' USING ascii),
       r.ttl,
       NULL,
       0,
       NULL,
       1,
       NULL,
       NULL
  FROM lb_record r
  JOIN lb_zone z ON z.node = r.node AND z.zone = r.zone
 WHERE r.node = (SELECT n.node FROM lb_node n ORDER BY n.heartbeat DESC, n.node LIMIT 1)
   AND r.decision IN ('servfail', 'fault', 'pending');

-- The others are empty: a balanced zone has no such data, but PowerDNS reads them.

CREATE OR REPLACE SQL SECURITY INVOKER VIEW supermasters AS
SELECT CONVERT('' USING ascii) AS ip, CONVERT('' USING ascii) AS nameserver, CONVERT('' USING ascii) AS account
  FROM lb_zone
 WHERE 'made by dnslb-backend' = '';

CREATE OR REPLACE SQL SECURITY INVOKER VIEW comments AS
SELECT 0 AS id, 0 AS domain_id, CONVERT('' USING ascii) AS name, CONVERT('' USING ascii) AS type,
       0 AS modified_at, CONVERT('' USING ascii) AS account, CONVERT('' USING ascii) AS comment
  FROM lb_zone
 WHERE 'made by dnslb-backend' = '';

CREATE OR REPLACE SQL SECURITY INVOKER VIEW domainmetadata AS
SELECT 0 AS id, 0 AS domain_id, CONVERT('' USING ascii) AS kind, CONVERT('' USING ascii) AS content
  FROM lb_zone
 WHERE 'made by dnslb-backend' = '';

CREATE OR REPLACE SQL SECURITY INVOKER VIEW cryptokeys AS
SELECT 0 AS id, 0 AS domain_id, 0 AS flags, 0 AS active, 0 AS published,
       CONVERT('' USING ascii) AS content
  FROM lb_zone
 WHERE 'made by dnslb-backend' = '';

CREATE OR REPLACE SQL SECURITY INVOKER VIEW tsigkeys AS
SELECT 0 AS id, CONVERT('' USING ascii) AS name, CONVERT('' USING ascii) AS algorithm,
       CONVERT('' USING ascii) AS secret
  FROM lb_zone
 WHERE 'made by dnslb-backend' = '';
