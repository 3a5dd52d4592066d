"""The node's own row: its sign of life, and the way to notice a second daemon of the same name.

Two daemons with one name overwrite each other's rows. Each finds the other's random instance
where it has left its own. A foreign instance before our first beat is no sign of that: it is
most likely the daemon that ran here before.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend.core.instants import Instant
from dnslb_backend.store.rows import moment, text_of
from dnslb_backend.store.store import Select, Store, Upsert, Where
from dnslb_backend.store.tables import NODE

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


class Pulse:
    """Beats in one store. `uptime` is a clock of the machine that never jumps and never stops."""

    def __init__(
        self, identity: Identity, now: Callable[[], Instant], uptime: Callable[[], float]
    ) -> None:
        self._identity = identity
        self._now = now
        self._uptime = uptime
        self._has_beaten = False
        self._calm = 0
        self._told = 0
        self.rival: str | None = None
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
            if self.rival and self._calm >= CALM_BEATS:
                log.warning("the other daemon with this node's name is gone")
                self.rival = None
            return
        self._calm = 0
        if self.rival is None or self._told >= REMINDER:
            self._told = 0
            log.error(
                "another daemon (instance %s, version %s) lives under the name of this node, %s,"
                " in the %s store: give every daemon a name of its own, global.node",
                *(instance, version, self._identity.node, store),
            )
        self._told += 1
        self.rival = instance

    def _row(self) -> tuple[str | float | None, ...]:
        who = self._identity
        return (
            who.node,
            who.instance,
            text_of(who.version, 64),
            moment(who.started),
            text_of(who.config_hash, 64),
            who.restored,
            moment(self._now().wall),
            self._uptime(),
            text_of(who.boot, 64),
        )
