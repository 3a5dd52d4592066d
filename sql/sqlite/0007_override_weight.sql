-- Overrides of a weight; see ../0007_override_weight.sql.

ALTER TABLE lb_override ADD COLUMN weight INTEGER NULL;

INSERT INTO lb_schema_version (version, applied, min_version)
  VALUES (7, strftime('%Y-%m-%d %H:%M:%f', 'now'), 3);
