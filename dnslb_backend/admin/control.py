"""What the daemon offers to its operators; the admin edge knows no more of it than this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.snapshot import Snapshot

Detail = Callable[[], object]
"""Says how one part of the daemon is doing, as JSON values; None when there is nothing to say."""


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What a reload did. `changed` counts records that are new or read differently."""

    records: int
    changed: int
    removed: int
    warnings: tuple[str, ...] = ()


class Control(Protocol):
    """The running daemon, as its operators may see and steer it.

    Everything but `reload` answers at once and is called on the event loop.
    """

    @property
    def node(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def started(self) -> float:
        """Unix time of the start."""
        ...

    @property
    def map(self) -> HealthMap: ...

    @property
    def details(self) -> Mapping[str, Detail]:
        """What else belongs into the detail of /readyz, by name: mirror, purge, brake, ..."""
        ...

    def snapshot(self) -> Snapshot:
        """The one that lookups read at this moment."""
        ...

    def now(self) -> Instant: ...

    async def reload(self) -> ReloadReport:
        """Read the configuration again, all or nothing. Raises ConfigError; the old one runs on."""
        ...
