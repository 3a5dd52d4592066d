-- Every change of what a balanced record decides. served and up count members of total; up are
-- healthy: UP and not drained. Rows are only added, as to lb_transition.

CREATE TABLE IF NOT EXISTS lb_decision (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  event          VARCHAR(40)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at             DATETIME(3)     NOT NULL,
  node           VARCHAR(255)    NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  type           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  from_decision  VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  to_decision    VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  severity       VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  served         INT UNSIGNED    NOT NULL,
  total          INT UNSIGNED    NOT NULL,
  up             INT UNSIGNED    NOT NULL,
  reason         VARCHAR(1024)   NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY (event),
  KEY by_time (at),
  KEY by_name (name(255), at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

INSERT INTO lb_schema_version (version, applied, min_version) VALUES (6, UTC_TIMESTAMP(), 3);
