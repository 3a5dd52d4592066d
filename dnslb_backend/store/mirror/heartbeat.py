"""The node's own row: its sign of life, and how it notices a second daemon of the same name.

Two daemons with one name overwrite each other's rows. Each finds the other's random instance
where it had left its own. A foreign instance before the first heartbeat is no sign of that: it is
most likely the daemon that ran here before.
"""

import logging

from dnslb_backend.store.database.interface import Select, Store, Upsert, Where
from dnslb_backend.store.database.tables import NODE
from dnslb_backend.store.database.values import printable, sql_datetime
from dnslb_backend.store.mirror.node import LocalNode

log = logging.getLogger(__name__)

ABSENT_BEATS = 3
"""After so many heartbeats without a trace of the other daemon, it is gone."""

REMINDER = 12
"""Every so many heartbeats the other daemon is logged again."""


class Heartbeat:
    """Updates the row of this node in one store."""

    def __init__(self, node: LocalNode) -> None:
        self._node = node
        self._identity = node.identity
        self._has_beaten = False
        self._absent = 0
        self._since_report = 0
        self.duplicate_instance: str | None = None
        """The instance of another running daemon with the name of this node."""

    async def beat(self, store: Store, session: str) -> None:
        """Look who wrote the row last, and write it. Rows of `session` are as new as this.

        Raises StoreError.
        """
        mine = (Where("node", "=", self._identity.node),)
        rows = await store.read(Select(NODE, ("instance", "version"), mine))
        for instance, version in rows:
            self._look_at(str(instance), str(version), store.name)
        await store.write([Upsert(NODE, [self._row(session)])])
        self._has_beaten = True

    def _look_at(self, instance: str, version: str, store: str) -> None:
        if instance == self._identity.instance or not self._has_beaten:
            self._absent += 1
            if self.duplicate_instance and self._absent >= ABSENT_BEATS:
                log.warning("%s: the other daemon with this node's name is gone", store)
                self.duplicate_instance = None
            return
        self._absent = 0
        if self.duplicate_instance is None or self._since_report >= REMINDER:
            self._since_report = 0
            log.error(
                "%s: another daemon (instance %s, version %s) uses the name of this node, %s:"
                " give every daemon its own name (global.node)",
                *(store, instance, version, self._identity.node),
            )
        self._since_report += 1
        self.duplicate_instance = instance

    def _row(self, session: str) -> tuple[str | float | None, ...]:
        identity, clocks = self._identity, self._node.clocks
        return (
            identity.node,
            identity.instance,
            printable(identity.version, 64),
            sql_datetime(identity.started),
            printable(identity.config_hash, 64),
            identity.restored,
            sql_datetime(clocks.now().wall),
            clocks.uptime(),
            printable(identity.boot, 64),
            session,
        )
