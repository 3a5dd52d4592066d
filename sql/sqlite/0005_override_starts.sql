-- Overrides that begin later; see ../0005_override_starts.sql.

ALTER TABLE lb_override ADD COLUMN starts TEXT NULL;

INSERT INTO lb_schema_version (version, applied, min_version)
  VALUES (5, strftime('%Y-%m-%d %H:%M:%f', 'now'), 3);
