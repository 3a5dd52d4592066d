-- Every change of what a balanced record decides; see ../0006_decisions.sql.

CREATE TABLE IF NOT EXISTS lb_decision (
  id             INTEGER PRIMARY KEY AUTOINCREMENT,
  event          TEXT    NOT NULL,
  at             TEXT    NOT NULL,
  node           TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  type           TEXT    NOT NULL,
  from_decision  TEXT    NOT NULL,
  to_decision    TEXT    NOT NULL,
  severity       TEXT    NOT NULL,
  served         INTEGER NOT NULL,
  total          INTEGER NOT NULL,
  up             INTEGER NOT NULL,
  reason         TEXT    NOT NULL,
  UNIQUE (event)
);
CREATE INDEX IF NOT EXISTS lb_decision_by_time ON lb_decision (at);
CREATE INDEX IF NOT EXISTS lb_decision_by_name ON lb_decision (name, at);

-- Up to which id the database has the rows of a history table. Only the local file has this table;
-- earlier versions kept the number for lb_transition in the header of the file.
CREATE TABLE IF NOT EXISTS lb_checkpoint (
  log            TEXT    NOT NULL PRIMARY KEY,
  number         INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO lb_checkpoint SELECT 'lb_transition', user_version FROM pragma_user_version
  WHERE user_version > 0;

INSERT INTO lb_schema_version (version, applied, min_version)
  VALUES (6, strftime('%Y-%m-%d %H:%M:%f', 'now'), 3);
