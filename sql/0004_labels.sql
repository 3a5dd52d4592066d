-- Labels of destinations, as a JSON object: JSON_VALUE(labels, '$.dc').

ALTER TABLE lb_state
  ADD COLUMN IF NOT EXISTS labels TEXT NOT NULL DEFAULT '{}' COMMENT 'JSON';
ALTER TABLE lb_transition
  ADD COLUMN IF NOT EXISTS labels TEXT NOT NULL DEFAULT '{}' COMMENT 'JSON';

INSERT INTO lb_schema_version (version, applied, min_version) VALUES (4, UTC_TIMESTAMP(), 3);
