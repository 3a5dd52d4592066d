-- Users with the least rights. Run this file as the administrator with the mirror's database as the
-- default one (USE ..., or mariadb DATABASE < FILE), after `schema apply`.
--
-- The users with 'invalid' have no password that lets anybody in. Give one to those that you want,
-- and drop the others:
--
--   ALTER USER 'dnslb'@'%' IDENTIFIED BY '...';
--   DROP USER 'dnslb_reader'@'%';

-- The daemon on the same host, known by its system user: unix_socket = "/run/mysqld/mysqld.sock".
CREATE USER IF NOT EXISTS 'dnslb'@'localhost' IDENTIFIED VIA unix_socket;

-- The daemon on another host. REQUIRE SSL keeps the password and the data private.
CREATE USER IF NOT EXISTS 'dnslb'@'%' IDENTIFIED VIA mysql_native_password USING 'invalid'
    REQUIRE SSL;

-- Rights of either: write rows, but change no table.
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_state TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_record TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_host TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_zone TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_static TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_node TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_override TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, DELETE ON lb_transition TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, DELETE ON lb_decision TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT ON lb_schema_version TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_key TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_metadata TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_tsig TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_voter TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON lb_vote TO 'dnslb'@'localhost', 'dnslb'@'%';
GRANT SELECT ON lb_differences TO 'dnslb'@'localhost', 'dnslb'@'%';

-- People, scripts, monitoring, and PowerDNS when it serves from the mirror: they read.
CREATE USER IF NOT EXISTS 'dnslb_reader'@'localhost'
    IDENTIFIED VIA mysql_native_password USING 'invalid';
CREATE USER IF NOT EXISTS 'dnslb_reader'@'%' IDENTIFIED VIA mysql_native_password USING 'invalid'
    REQUIRE SSL;
-- Table by table, because lb_key and lb_tsig hold private keys: GRANT SELECT ON * would show them.
GRANT SELECT ON lb_state TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_record TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_host TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_zone TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_static TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_node TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_override TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_transition TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_decision TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_metadata TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_schema_version TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_voter TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_vote TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_status TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_differences TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON lb_votes TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
-- The views for PowerDNS, where they were made in this database.
GRANT SELECT ON domains TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON records TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON supermasters TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON comments TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';
GRANT SELECT ON domainmetadata TO 'dnslb_reader'@'localhost', 'dnslb_reader'@'%';

-- PowerDNS on the same host, known by its system user.
CREATE USER IF NOT EXISTS 'pdns'@'localhost' IDENTIFIED VIA unix_socket;
GRANT SELECT ON lb_state TO 'pdns'@'localhost';
GRANT SELECT ON lb_record TO 'pdns'@'localhost';
GRANT SELECT ON lb_zone TO 'pdns'@'localhost';
GRANT SELECT ON lb_static TO 'pdns'@'localhost';
GRANT SELECT ON lb_node TO 'pdns'@'localhost';
GRANT SELECT ON lb_metadata TO 'pdns'@'localhost';
GRANT SELECT ON domains TO 'pdns'@'localhost';
GRANT SELECT ON records TO 'pdns'@'localhost';
GRANT SELECT ON supermasters TO 'pdns'@'localhost';
GRANT SELECT ON comments TO 'pdns'@'localhost';
GRANT SELECT ON domainmetadata TO 'pdns'@'localhost';
-- Only if it should sign without a daemon (gmysql-dnssec=yes): the keys.
-- GRANT SELECT ON lb_key TO 'pdns'@'localhost';
-- GRANT SELECT ON cryptokeys TO 'pdns'@'localhost';
