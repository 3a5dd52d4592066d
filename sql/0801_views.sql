-- For people.

-- One row a member: its state, since when, and why. age counts the seconds since its last
-- check, mirror_age those since the node's last heartbeat.
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
       TIMESTAMPDIFF(SECOND, s.last_check, UTC_TIMESTAMP(3)) AS age,
       TIMESTAMPDIFF(SECOND, n.heartbeat, UTC_TIMESTAMP(3)) AS mirror_age,
       n.restored,
       s.labels
  FROM lb_state s
  LEFT JOIN lb_node n ON n.node = s.node
 WHERE 'made by dnslb-backend' <> '';
