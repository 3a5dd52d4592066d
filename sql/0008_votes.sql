-- Nodes that decide together ([quorum]) vote on targets. Of each table a node writes its own rows only.

-- A node that votes. beat moves while it lives; heartbeat is by this server's clock, for people.
CREATE TABLE IF NOT EXISTS lb_voter (
  node           VARCHAR(255)    NOT NULL,
  instance       CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'random in every run',
  site           VARCHAR(255)    NOT NULL,
  beat           BIGINT          NOT NULL,
  seq            BIGINT          NOT NULL COMMENT 'of its last vote',
  abstains       VARCHAR(64)     NOT NULL COMMENT 'why none of its votes count; empty: they count',
  ballot         CHAR(16)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'hash of its questions',
  protocol       INT             NOT NULL,
  heartbeat      DATETIME(3)     NOT NULL,
  PRIMARY KEY (node)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- What a node has measured itself. The same row_key is the same question, put to the same target.
CREATE TABLE IF NOT EXISTS lb_vote (
  node           VARCHAR(255)    NOT NULL,
  row_key        CHAR(32)        CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  seq            BIGINT          NOT NULL COMMENT 'counts the changes of this node',
  address        VARCHAR(255)    NOT NULL COMMENT 'what is probed',
  asked          VARCHAR(255)    NOT NULL COMMENT 'its check',
  says           VARCHAR(16)     CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'UP, DOWN; NONE: withdrawn',
  code           BIGINT          NOT NULL,
  text           VARCHAR(255)    NOT NULL,
  priority       BIGINT          NULL,
  weight         BIGINT          NULL,
  since          DATETIME(3)     NOT NULL COMMENT 'by the clock of the node',
  PRIMARY KEY (node, row_key),
  KEY by_seq (node, seq)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
  COMMENT='dnslb-backend';

-- own is what this node has measured itself, health what the nodes agree on; stale: no result for too
-- long. A row that is not stale, and of the session in lb_node, is as new as the heartbeat: its last check
-- was at most check_interval seconds before. All of these are NULL in rows of older versions.
ALTER TABLE lb_state
  ADD COLUMN IF NOT EXISTS own VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NULL,
  ADD COLUMN IF NOT EXISTS stale TINYINT NULL,
  ADD COLUMN IF NOT EXISTS check_interval DOUBLE NULL;
ALTER TABLE lb_node
  ADD COLUMN IF NOT EXISTS session CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NULL;

INSERT INTO lb_schema_version (version, applied, min_version) VALUES (8, UTC_TIMESTAMP(), 3);
