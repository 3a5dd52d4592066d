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
