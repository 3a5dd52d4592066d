-- PowerDNS's data about signed zones. All nodes share it: it has no node, and no session.
--
-- Of two copies of a row the one with the higher version wins; versions are milliseconds of the
-- clock, and increase even if the clock does not. A deleted item keeps its row, without content, so
-- that no copy restores it.

-- Private keys: for the daemon, not for readers.
CREATE TABLE IF NOT EXISTS lb_key (
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  id             INT UNSIGNED    NOT NULL COMMENT 'what pdnsutil calls it',
  flags          INT UNSIGNED    NOT NULL COMMENT '257: signs keys, 256: signs the rest',
  active         TINYINT         NOT NULL COMMENT 'it signs',
  published      TINYINT         NOT NULL COMMENT 'it stands in the zone',
  content        MEDIUMTEXT      NOT NULL COMMENT 'secret',
  version        BIGINT UNSIGNED NOT NULL,
  gone           TINYINT         NOT NULL,
  PRIMARY KEY (row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- NSEC3PARAM, SOA-EDIT and the like; content is a JSON list.
CREATE TABLE IF NOT EXISTS lb_metadata (
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  kind           VARCHAR(64)     NOT NULL,
  content        MEDIUMTEXT      NOT NULL,
  version        BIGINT UNSIGNED NOT NULL,
  gone           TINYINT         NOT NULL,
  PRIMARY KEY (row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- Keys that sign transfers (TSIG): for the daemon, not for readers.
CREATE TABLE IF NOT EXISTS lb_tsig (
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  algorithm      VARCHAR(255)    CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  content        MEDIUMTEXT      NOT NULL COMMENT 'secret',
  version        BIGINT UNSIGNED NOT NULL,
  gone           TINYINT         NOT NULL,
  PRIMARY KEY (row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';
