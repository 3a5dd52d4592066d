-- Votes of nodes that decide together; see ../0008_votes.sql. In the local file they stay empty.

CREATE TABLE IF NOT EXISTS lb_voter (
  node           TEXT    NOT NULL,
  instance       TEXT    NOT NULL,
  site           TEXT    NOT NULL,
  beat           INTEGER NOT NULL,
  seq            INTEGER NOT NULL,
  abstains       TEXT    NOT NULL,
  ballot         TEXT    NOT NULL,
  protocol       INTEGER NOT NULL,
  heartbeat      TEXT    NOT NULL,
  PRIMARY KEY (node)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lb_vote (
  node           TEXT    NOT NULL,
  row_key        TEXT    NOT NULL,
  seq            INTEGER NOT NULL,
  address        TEXT    NOT NULL,
  asked          TEXT    NOT NULL,
  says           TEXT    NOT NULL,
  code           INTEGER NOT NULL,
  text           TEXT    NOT NULL,
  priority       INTEGER NULL,
  weight         INTEGER NULL,
  since          TEXT    NOT NULL,
  PRIMARY KEY (node, row_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS lb_vote_by_seq ON lb_vote (node, seq);

ALTER TABLE lb_state ADD COLUMN own TEXT NULL;
ALTER TABLE lb_state ADD COLUMN stale INTEGER NULL;
ALTER TABLE lb_state ADD COLUMN check_interval REAL NULL;
ALTER TABLE lb_node ADD COLUMN session TEXT NULL;

INSERT INTO lb_schema_version (version, applied, min_version)
  VALUES (8, strftime('%Y-%m-%d %H:%M:%f', 'now'), 3);
