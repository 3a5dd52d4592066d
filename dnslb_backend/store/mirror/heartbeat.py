"""The node's own row: its sign of life, and the way to notice a second daemon of the same name.

Two daemons with one name overwrite each other's rows. Each finds the other's random instance
where it has left its own. A foreign instance before our first beat is no sign of that: it is
most likely the daemon that ran here before.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.store.database.interface import Select, Store, Upsert, Where
from dnslb_backend.store.database.tables import NODE
from dnslb_backend.store.database.values import printable, sql_datetime

log = logging.getLogger(__name__)

CALM_BEATS = 3
"""After so many beats without a trace of it, the other daemon is taken for gone."""

REMINDER = 12
"""Every so many beats the other daemon is told of again."""


@dataclass(slots=True)
class Identity:
    """Who writes. `boot` names the boot of the machine, `restored` where the first answers came
    from; `started` is Unix time.
    """

    node: str
    instance: str
    version: str
    started: float
    boot: str
    config_hash: str = ""
    restored: str = "nothing"


class Heartbeat:
    """Beats in one store. `uptime` is a clock of the machine that never jumps and never stops."""

    def __init__(
        self, identity: Identity, now: Callable[[], Instant], uptime: Callable[[], float]
    ) -> None:
        self._identity = identity
        self._now = now
        self._uptime = uptime
        self._has_beaten = False
        self._calm = 0
        self._reported = 0
        self.duplicate_instance: str | None = None
        """The instance of another daemon that lives under our name."""

    async def beat(self, store: Store) -> None:
        """Look whose row it is, and make it ours. Raises StoreError."""
        mine = (Where("node", "=", self._identity.node),)
        rows = await store.read(Select(NODE, ("instance", "version"), mine))
        for instance, version in rows:
            self._look_at(str(instance), str(version), store.name)
        await store.write([Upsert(NODE, [self._row()])])
        self._has_beaten = True

    def _look_at(self, instance: str, version: str, store: str) -> None:
        if instance == self._identity.instance or not self._has_beaten:
            self._calm += 1
            if self.duplicate_instance and self._calm >= CALM_BEATS:
                log.warning("the other daemon with this node's name is gone")
                self.duplicate_instance = None
            return
        self._calm = 0
        if self.duplicate_instance is None or self._reported >= REMINDER:
            self._reported = 0
            log.error(
                "another daemon (instance %s, version %s) lives under the name of this node, %s,"
                " in the %s store: give every daemon a name of its own, global.node",
                *(instance, version, self._identity.node, store),
            )
        self._reported += 1
        self.duplicate_instance = instance

    def _row(self) -> tuple[str | float | None, ...]:
        who = self._identity
        return (
            who.node,
            who.instance,
            printable(who.version, 64),
            sql_datetime(who.started),
            printable(who.config_hash, 64),
            who.restored,
            sql_datetime(self._now().wall),
            self._uptime(),
            printable(who.boot, 64),
        )
