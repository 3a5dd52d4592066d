-- Overrides of a weight (action weight). A program that does not know the action leaves such a row
-- alone: its min_version is 7.

ALTER TABLE lb_override
  ADD COLUMN IF NOT EXISTS weight INT UNSIGNED NULL COMMENT 'of the action weight, else NULL';

INSERT INTO lb_schema_version (version, applied, min_version) VALUES (7, UTC_TIMESTAMP(), 3);
