-- What PowerDNS keeps of signed zones; see ../0002_signing.sql. This makes the file a secret.

CREATE TABLE IF NOT EXISTS lb_key (
  row_key        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  id             INTEGER NOT NULL,
  flags          INTEGER NOT NULL,
  active         INTEGER NOT NULL,
  published      INTEGER NOT NULL,
  content        TEXT    NOT NULL,
  version        INTEGER NOT NULL,
  gone           INTEGER NOT NULL,
  PRIMARY KEY (row_key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lb_metadata (
  row_key        TEXT    NOT NULL,
  zone           TEXT    NOT NULL,
  kind           TEXT    NOT NULL,
  content        TEXT    NOT NULL,
  version        INTEGER NOT NULL,
  gone           INTEGER NOT NULL,
  PRIMARY KEY (row_key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS lb_tsig (
  row_key        TEXT    NOT NULL,
  name           TEXT    NOT NULL,
  algorithm      TEXT    NOT NULL,
  content        TEXT    NOT NULL,
  version        INTEGER NOT NULL,
  gone           INTEGER NOT NULL,
  PRIMARY KEY (row_key)
) WITHOUT ROWID;
