-- Nodes of different versions share a database: what each of them can read.
--
-- A later file that programs of an older version can live with (it only adds tables, and columns that
-- have a default) ends with a row of its own:
--
--   INSERT INTO lb_schema_version (version, applied, min_version) VALUES (N, UTC_TIMESTAMP(), M);

ALTER TABLE lb_schema_version
  ADD COLUMN IF NOT EXISTS min_version INT UNSIGNED NULL
    COMMENT 'the oldest version that may go on using these tables; NULL: none before this one';

-- The oldest version of the schema whose programs understand the row; all others leave it alone.
ALTER TABLE lb_override
  ADD COLUMN IF NOT EXISTS min_version INT UNSIGNED NOT NULL DEFAULT 1;
ALTER TABLE lb_key
  ADD COLUMN IF NOT EXISTS min_version INT UNSIGNED NOT NULL DEFAULT 1;
ALTER TABLE lb_metadata
  ADD COLUMN IF NOT EXISTS min_version INT UNSIGNED NOT NULL DEFAULT 1;
ALTER TABLE lb_tsig
  ADD COLUMN IF NOT EXISTS min_version INT UNSIGNED NOT NULL DEFAULT 1;
