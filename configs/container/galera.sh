#!/bin/bash
# A member of the Galera cluster in compose.fleet.yaml: the entry point of MariaDB's image, with
# --wsrep-new-cluster where this member has to begin the cluster. That is the case
#
#   where it was the last one to stop               the file of its state says so
#   at the very first start, for db1                unless another member is there already
set -eu
state=${DATADIR:-/var/lib/mysql}/grastate.dat
begin=()

# is_there HOST: whether a member of the cluster accepts connections.
is_there() { timeout 2 bash -c ": >/dev/tcp/$1/4567" 2>/dev/null; }

if [ -e "$state" ]; then
    if grep -q '^safe_to_bootstrap: 1' "$state"; then begin=(--wsrep-new-cluster); fi
elif [ "$(hostname)" = db1 ] && ! is_there db2 && ! is_there db3; then
    begin=(--wsrep-new-cluster)
fi

exec docker-entrypoint.sh mariadbd \
    --wsrep-on=ON \
    --wsrep-provider=/usr/lib/galera/libgalera_smm.so \
    --wsrep-cluster-name=dnslb \
    --wsrep-cluster-address=gcomm://db1,db2,db3 \
    --wsrep-node-name="$(hostname)" \
    --wsrep-sst-method=mariabackup \
    --wsrep-sst-auth=mysql: \
    --binlog-format=ROW \
    --innodb-autoinc-lock-mode=2 \
    "${begin[@]}"
