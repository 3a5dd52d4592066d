-- The same tables as in ../, for the local file of one node.

-- The numbered files that have been applied.
CREATE TABLE IF NOT EXISTS lb_schema_version (
  version        INTEGER NOT NULL,
  applied        TEXT    NOT NULL,
  PRIMARY KEY (version)
) WITHOUT ROWID;

-- The daemons that wrote this file. heartbeat and seen are the same clock here.
CREATE TABLE IF NOT EXISTS lb_node (
  node           TEXT    NOT NULL,
  instance       TEXT    NOT NULL,
  version        TEXT    NOT NULL,
  started        TEXT    NOT NULL,
  heartbeat      TEXT    NOT NULL,
  config_hash    TEXT    NOT NULL,
  restored       TEXT    NOT NULL,
  seen           TEXT    NOT NULL,
  uptime         REAL    NOT NULL,
  boot           TEXT    NOT NULL,
  PRIMARY KEY (node)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lb_node_by_heartbeat ON lb_node (heartbeat);

-- One row per member, and one for each address that is served without being a member.
CREATE TABLE IF NOT EXISTS lb_state (
  node           TEXT    NOT NULL,
  row_key        TEXT    NOT NULL,
  session        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  type           TEXT    NOT NULL,
  content        TEXT    NOT NULL,
  address        TEXT    NOT NULL,
  dest           TEXT    NOT NULL,
  served         INTEGER NOT NULL,
  health         TEXT    NOT NULL,
  effective      TEXT    NOT NULL,
  priority       INTEGER NULL,
  weight         INTEGER NOT NULL,
  result_code    INTEGER NULL,
  result_text    TEXT    NULL,
  `override`     TEXT    NULL,
  reason         TEXT    NOT NULL,
  last_check     TEXT    NULL,
  last_change    TEXT    NULL,
  last_up        TEXT    NULL,
  duration_ms    REAL    NULL,
  ttl            INTEGER NOT NULL,
  views          TEXT    NOT NULL,
  fallback       INTEGER NOT NULL,
  standing       TEXT    NOT NULL,
  streak         INTEGER NOT NULL,
  check_priority INTEGER NULL,
  check_weight   INTEGER NULL,
  checks         TEXT    NULL,
  PRIMARY KEY (node, row_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lb_state_by_name ON lb_state (name, type);
CREATE INDEX IF NOT EXISTS lb_state_by_health ON lb_state (health);

-- One row per balanced record: its answer and why.
CREATE TABLE IF NOT EXISTS lb_record (
  node           TEXT    NOT NULL,
  row_key        TEXT    NOT NULL,
  session        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  type           TEXT    NOT NULL,
  ttl            INTEGER NOT NULL,
  decision       TEXT    NOT NULL,
  threshold      INTEGER NULL,
  answer         TEXT    NOT NULL,
  last_good      TEXT    NOT NULL,
  PRIMARY KEY (node, row_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lb_record_by_name ON lb_record (name, type);

-- The resolver's answers for the host names of balanced records.
CREATE TABLE IF NOT EXISTS lb_host (
  node           TEXT    NOT NULL,
  row_key        TEXT    NOT NULL,
  session        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  type           TEXT    NOT NULL,
  host           TEXT    NOT NULL,
  addresses      TEXT    NOT NULL,
  resolved       TEXT    NULL,
  answered       INTEGER NOT NULL,
  last_answer    TEXT    NULL,
  last_text      TEXT    NULL,
  PRIMARY KEY (node, row_key)
) WITHOUT ROWID;

-- id is PowerDNS's number of the zone; soa is the SOA record as it is served.
CREATE TABLE IF NOT EXISTS lb_zone (
  node           TEXT    NOT NULL,
  row_key        TEXT    NOT NULL,
  session        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  id             INTEGER NOT NULL,
  soa            TEXT    NOT NULL,
  soa_ttl        INTEGER NOT NULL,
  serial         INTEGER NOT NULL,
  PRIMARY KEY (node, row_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lb_zone_by_zone ON lb_zone (zone);
CREATE INDEX IF NOT EXISTS lb_zone_by_id ON lb_zone (id);

-- Records that do not depend on health. Type ENT is a name that has only names below it.
CREATE TABLE IF NOT EXISTS lb_static (
  node           TEXT    NOT NULL,
  row_key        TEXT    NOT NULL,
  session        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  type           TEXT    NOT NULL,
  content        TEXT    NOT NULL,
  ttl            INTEGER NOT NULL,
  auth           INTEGER NOT NULL,
  PRIMARY KEY (node, row_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lb_static_by_name ON lb_static (name, type);

-- Every change of a member's effective health, priority or served state. Rows are only added;
-- event makes sure that one that was sent twice is stored once.
CREATE TABLE IF NOT EXISTS lb_transition (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  event          TEXT    NOT NULL,
  at             TEXT    NOT NULL,
  node           TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  type           TEXT    NOT NULL,
  content        TEXT    NOT NULL,
  address        TEXT    NOT NULL,
  from_health    TEXT    NOT NULL,
  to_health      TEXT    NOT NULL,
  from_served    INTEGER NOT NULL,
  to_served      INTEGER NOT NULL,
  from_priority  INTEGER NULL,
  to_priority    INTEGER NULL,
  reason         TEXT    NOT NULL,
  UNIQUE (event)
);
CREATE INDEX IF NOT EXISTS lb_transition_by_time ON lb_transition (at);
CREATE INDEX IF NOT EXISTS lb_transition_by_name ON lb_transition (name, at);

-- Operators' overrides. An empty node, zone or name means all. A cleared override stays for a while,
-- so that every node reads it.
CREATE TABLE IF NOT EXISTS lb_override (
  id             TEXT    NOT NULL,
  node           TEXT    NOT NULL,
  target         TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  action         TEXT    NOT NULL,
  reason         TEXT    NOT NULL,
  author         TEXT    NOT NULL,
  created        TEXT    NOT NULL,
  expires        TEXT    NULL,
  cleared        TEXT    NULL,
  cleared_by     TEXT    NOT NULL,
  PRIMARY KEY (id)
) WITHOUT ROWID;
