#!/bin/sh
# The daemon's user in MariaDB, with the rights of sql/0901_users.sql and no others. Run after the
# tables are created; run again to change its password.
set -eu
password=$(cat /run/secrets/mariadb_dnslb)
case $password in
'' | *[!A-Za-z0-9]*)
    echo "mariadb_dnslb must be of letters and digits" >&2
    exit 1
    ;;
esac
MYSQL_PWD=$(cat /run/secrets/mariadb_root)
export MYSQL_PWD
{
    echo "CREATE OR REPLACE USER 'dnslb'@'%' IDENTIFIED BY '$password';"
    sed -n "s/^\(GRANT .* ON lb_.* TO \)'dnslb'@'localhost', \('dnslb'@'%';\)/\1\2/p" \
        /users.sql
} | mariadb --host="$MARIADB_HOST" --user=root "$MARIADB_DATABASE"
echo "the user dnslb may write to the tables of $MARIADB_DATABASE"
