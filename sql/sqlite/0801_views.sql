-- For people.

-- One row a member: its state, since when, and why. since and age are of the last check;
-- mirror_age is the seconds since the node's last heartbeat.
DROP VIEW IF EXISTS lb_status;
CREATE VIEW lb_status AS
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
       CAST(ROUND((julianday('now') - CASE
         WHEN s.stale = 0 AND s.session = n.session
         THEN MAX(julianday(s.last_check), julianday(n.seen) - s.check_interval / 86400)
         ELSE julianday(s.last_check) END) * 86400) AS INTEGER) AS age,
       CAST(ROUND((julianday('now') - julianday(n.heartbeat)) * 86400) AS INTEGER) AS mirror_age,
       n.restored,
       s.labels
  FROM lb_state s
  LEFT JOIN lb_node n ON n.node = s.node;

DROP VIEW IF EXISTS lb_votes;
CREATE VIEW lb_votes AS
SELECT v.address,
       v.asked,
       v.node,
       n.site,
       v.says,
       v.since,
       v.text,
       v.priority,
       v.weight,
       COALESCE(n.abstains = '' AND (julianday('now') - julianday(n.heartbeat)) * 86400 < 10, 0) AS counts,
       n.abstains,
       CAST(ROUND((julianday('now') - julianday(n.heartbeat)) * 86400) AS INTEGER) AS silent,
       v.row_key
  FROM lb_vote v
  LEFT JOIN lb_voter n ON n.node = v.node
 WHERE v.says <> 'NONE';

-- Here is one node only: there are none.
DROP VIEW IF EXISTS lb_differences;
CREATE VIEW lb_differences AS
SELECT zone, name, type, node, decision, answer
  FROM lb_record
 WHERE 0;
