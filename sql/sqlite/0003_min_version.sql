-- What each version of the program can read; see ../0003_min_version.sql.

ALTER TABLE lb_schema_version ADD COLUMN min_version INTEGER NULL;
ALTER TABLE lb_override ADD COLUMN min_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lb_key ADD COLUMN min_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lb_metadata ADD COLUMN min_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lb_tsig ADD COLUMN min_version INTEGER NOT NULL DEFAULT 1;
