-- Overrides that begin later. A program that does not know the column must not apply such a row at
-- once: its min_version is 5.

ALTER TABLE lb_override
  ADD COLUMN IF NOT EXISTS starts DATETIME(3) NULL COMMENT 'NULL: with created';

INSERT INTO lb_schema_version (version, applied, min_version) VALUES (5, UTC_TIMESTAMP(), 3);
