-- The tables that dnslb-backend writes. It writes nothing else.
--
-- Names are absolute, in lower case, without the final dot. Times are UTC. Every row carries the
-- node that wrote it, except lb_override, which all nodes share.
--
-- row_key is a hash of the columns that identify a row; they may be too long for an index.
-- session marks the rows that one connection of one daemon has written.

-- The numbered files that have been applied.
CREATE TABLE IF NOT EXISTS lb_schema_version (
  version        INT UNSIGNED    NOT NULL,
  applied        DATETIME        NOT NULL,
  PRIMARY KEY (version)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- The daemons. heartbeat is by this server's clock; seen and uptime are by the clocks of the node.
CREATE TABLE IF NOT EXISTS lb_node (
  node           VARCHAR(255)    NOT NULL,
  instance       CHAR(16)        CHARACTER SET ascii NOT NULL,
  version        VARCHAR(64)     NOT NULL,
  started        DATETIME(3)     NOT NULL,
  heartbeat      DATETIME(3)     NOT NULL,
  config_hash    VARCHAR(64)     NOT NULL,
  restored       VARCHAR(16)     NOT NULL COMMENT 'where its first answers came from',
  seen           DATETIME(3)     NOT NULL,
  uptime         DOUBLE          NOT NULL,
  boot           VARCHAR(64)     NOT NULL,
  PRIMARY KEY (node),
  KEY (heartbeat)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- One row per member, and one for each address that is served without being a member.
CREATE TABLE IF NOT EXISTS lb_state (
  node           VARCHAR(255)    NOT NULL,
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session        CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  type           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  content        MEDIUMTEXT      NOT NULL COMMENT 'what is served',
  address        VARCHAR(255)    NOT NULL COMMENT 'what is probed',
  dest           VARCHAR(1024)   NOT NULL COMMENT 'the destination it came from',
  served         TINYINT         NOT NULL,
  health         VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'measured',
  effective      VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'with the override',
  priority       BIGINT          NULL COMMENT 'NULL: the last check failed',
  weight         BIGINT          NOT NULL,
  result_code    BIGINT          NULL,
  result_text    VARCHAR(255)    NULL,
  `override`     VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NULL,
  reason         VARCHAR(1024)   NOT NULL,
  last_check     DATETIME(3)     NULL,
  last_change    DATETIME(3)     NULL COMMENT 'of health',
  last_up        DATETIME(3)     NULL,
  duration_ms    DOUBLE          NULL,
  ttl            INT UNSIGNED    NOT NULL,
  views          VARCHAR(1024)   NOT NULL COMMENT 'served to the clients of these alone; empty: to all',
  fallback       TINYINT         NOT NULL COMMENT '1: served unchecked',
  standing       VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'health before it went stale',
  streak         INT UNSIGNED    NOT NULL COMMENT 'results in a row that speak against standing',
  check_priority BIGINT          NULL COMMENT 'what the check said',
  check_weight   BIGINT          NULL COMMENT 'what the check said',
  checks         MEDIUMTEXT      NULL COMMENT 'JSON: what each of several checks said, and flapping',
  PRIMARY KEY (node, row_key),
  KEY by_name (name(255), type),
  KEY by_health (health)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- One row per balanced record: its answer and why.
CREATE TABLE IF NOT EXISTS lb_record (
  node           VARCHAR(255)    NOT NULL,
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session        CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  type           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  ttl            INT UNSIGNED    NOT NULL,
  decision       VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  threshold      BIGINT          NULL COMMENT 'the lowest priority that serves',
  answer         MEDIUMTEXT      NOT NULL COMMENT 'JSON: view, contents, weights',
  last_good      MEDIUMTEXT      NOT NULL COMMENT 'JSON: contents',
  PRIMARY KEY (node, row_key),
  KEY by_name (name(255), type)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- The resolver's answers for the host names of balanced records.
CREATE TABLE IF NOT EXISTS lb_host (
  node           VARCHAR(255)    NOT NULL,
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session        CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  type           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  host           VARCHAR(1024)   NOT NULL,
  addresses      MEDIUMTEXT      NOT NULL COMMENT 'JSON',
  resolved       DATETIME(3)     NULL COMMENT 'the last answer with addresses, or with none',
  answered       TINYINT         NOT NULL,
  last_answer    VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NULL,
  last_text      VARCHAR(255)    NULL,
  PRIMARY KEY (node, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- id is PowerDNS's number of the zone; soa is the SOA record as it is served.
CREATE TABLE IF NOT EXISTS lb_zone (
  node           VARCHAR(255)    NOT NULL,
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session        CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  id             INT UNSIGNED    NOT NULL,
  soa            TEXT            NOT NULL,
  soa_ttl        INT UNSIGNED    NOT NULL,
  serial         BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (node, row_key),
  KEY by_zone (zone(255)),
  KEY by_id (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- Records that do not depend on health. Type ENT is a name that has only names below it.
CREATE TABLE IF NOT EXISTS lb_static (
  node           VARCHAR(255)    NOT NULL,
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  session        CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  type           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  content        MEDIUMTEXT      NOT NULL,
  ttl            INT UNSIGNED    NOT NULL,
  auth           TINYINT         NOT NULL COMMENT '0: at or below a delegation',
  PRIMARY KEY (node, row_key),
  KEY by_name (name(255), type)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- Every change of a member's effective health, priority or served state. Rows are only added;
-- event makes sure that one that was sent twice is stored once.
CREATE TABLE IF NOT EXISTS lb_transition (
  id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  event          VARCHAR(40)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  at             DATETIME(3)     NOT NULL,
  node           VARCHAR(255)    NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  type           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  content        MEDIUMTEXT      NOT NULL,
  address        VARCHAR(255)    NOT NULL,
  from_health    VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  to_health      VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  from_served    TINYINT         NOT NULL,
  to_served      TINYINT         NOT NULL,
  from_priority  BIGINT          NULL,
  to_priority    BIGINT          NULL,
  reason         VARCHAR(1024)   NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY (event),
  KEY by_time (at),
  KEY by_name (name(255), at)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- Operators' overrides. An empty node, zone or name means all. A cleared override stays for a while,
-- so that every node reads it.
CREATE TABLE IF NOT EXISTS lb_override (
  id             CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  node           VARCHAR(255)    NOT NULL,
  target         VARCHAR(1024)   NOT NULL,
  zone           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  name           VARCHAR(1024)   CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  action         VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  reason         VARCHAR(1024)   NOT NULL,
  author         VARCHAR(255)    NOT NULL,
  created        DATETIME(3)     NOT NULL,
  expires        DATETIME(3)     NULL,
  cleared        DATETIME(3)     NULL,
  cleared_by     VARCHAR(255)    NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';
