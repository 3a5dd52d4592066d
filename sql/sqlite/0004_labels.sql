-- Labels of destinations, as a JSON object: labels ->> '$.dc'.

ALTER TABLE lb_state ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE lb_transition ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';

INSERT INTO lb_schema_version (version, applied, min_version)
  VALUES (4, strftime('%Y-%m-%d %H:%M:%f', 'now'), 3);
