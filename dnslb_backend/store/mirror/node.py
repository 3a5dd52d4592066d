"""This node as each of its replicas sees it."""

from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.store.mirror.source import MirrorSource


@dataclass(slots=True)
class Identity:
    """Who writes. `instance` is random for each run, `started` is Unix time, `boot` names the boot
    of the machine, `restored` is where the first answers came from.
    """

    node: str
    instance: str
    version: str
    started: float
    boot: str = ""
    config_hash: str = ""
    restored: str = "nothing"


@dataclass(frozen=True, slots=True)
class Clocks:
    """`uptime` is a clock of the machine that never jumps, in seconds since its boot."""

    now: Callable[[], Instant]
    uptime: Callable[[], float]


@dataclass(frozen=True, slots=True)
class LocalNode:
    """Who writes, what there is to write, and what time it is."""

    identity: Identity
    source: MirrorSource
    clocks: Clocks

    @property
    def name(self) -> str:
        return self.identity.node


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """How a store is treated. `refresh`: seconds after which unchanged rows are written again;
    `beat`: seconds between two heartbeats, which say that they still hold; `gap`: the fewest
    seconds between two transactions; history is kept by age (s) and count. One that
    `is_read_only` is not mirrored into.
    """

    refresh: float
    beat: float
    gap: float
    history_max_age: float
    history_max_rows: int
    is_read_only: bool = False
