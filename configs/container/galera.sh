#!/bin/bash
# A member of the Galera cluster in compose.fleet.yaml: the entry point of MariaDB's image, with
# --wsrep-new-cluster where this member has to begin the cluster. That is the case
#
#   where it was the last one to stop               the file of its state says so
#   at the very first start, for db1                unless another member is there already
#
# One that was killed reads from its data where in the history of the cluster it is. Without that it
# would copy all data of another member, and members that were all killed at once would not know which
# of them has the last changes.
set -eu
data=${DATADIR:-/var/lib/mysql}
state=$data/grastate.dat
options=(
    --wsrep-on=ON
    --wsrep-provider=/usr/lib/galera/libgalera_smm.so
    --wsrep-cluster-name=dnslb
    --wsrep-cluster-address=gcomm://db1,db2,db3
    --wsrep-node-name="$(hostname)"
    --wsrep-sst-method=mariabackup
    --wsrep-sst-auth=mysql:
    --binlog-format=ROW
    --innodb-autoinc-lock-mode=2
)

# is_there HOST: whether a member of the cluster accepts connections.
is_there() { timeout 2 bash -c ": >/dev/tcp/$1/4567" 2>/dev/null; }

# position: where in the history the data are, UUID:NUMBER; what the server says is logged.
position() {
    mariadbd --user=mysql --datadir="$data" "${options[@]}" --wsrep-recover --disable-log-error 2>&1 |
        tee /dev/stderr | sed -n 's/.*WSREP: Recovered position: *//p'
}

if [ -e "$state" ]; then
    if grep -q '^safe_to_bootstrap: 1' "$state"; then options+=(--wsrep-new-cluster); fi
    if grep -q '^seqno: *-1' "$state"; then
        found=$(position)
        if [ -n "$found" ]; then options+=(--wsrep-start-position="$found"); fi
    fi
elif [ "$(hostname)" = db1 ] && ! is_there db2 && ! is_there db3; then
    options+=(--wsrep-new-cluster)
fi

exec docker-entrypoint.sh mariadbd "${options[@]}"
