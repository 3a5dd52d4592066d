"""What the daemon offers to its operators; the admin edge knows no more of it than this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from dnslb_backend.core.answers.explain import Explanation
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import HistoryQuery, StoredTransition
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.model.records import RecordKey

Detail = Callable[[], object]
"""Says how one part of the daemon is doing, as JSON values; None when there is nothing to say."""


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What a reload did. `changed` counts records that are new or read differently."""

    records: int
    changed: int
    removed: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readmitted:
    """A member that was let in: it was held for flapping, or waited to return (failback)."""

    key: RecordKey
    content: str
    address: str
    was: Literal["flapping", "waiting"]


@dataclass(frozen=True, slots=True)
class ClearResult:
    """What was taken back: orders, and what members had been held for."""

    overrides: tuple[Override, ...]
    readmitted: tuple[Readmitted, ...] = ()


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
    def health_map(self) -> HealthMap: ...

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

    def explain(self, name: str, qtype: str, client: str, down: str) -> Explanation:
        """How the answer to a question comes about.

        `qtype` may be ANY; `client` is an address or network, "" for nobody; `down` is a target
        that is supposed to be down, "" for none. Raises NameFormatError, RequestError.
        """
        ...

    def overrides(self) -> list[Override]:
        """The orders that hold now on any node, oldest first."""
        ...

    async def override(self, override: OverrideRequest) -> Override:
        """Give an order; it holds at once. Raises ConflictError, in words for the operator."""
        ...

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> ClearResult:
        """Take back the orders for a target or of an id, and forgive the members that flapped or
        wait to return; `name` "" is every record. Raises ConflictError."""
        ...

    async def history(self, query: HistoryQuery) -> tuple[list[StoredTransition], str]:
        """Transitions, newest first, and the store they came from. Raises StoreError."""
        ...

    def push_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        """A target says how it is. Raises ConflictError where no push check waits for that."""
        ...

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        """Run the checks of the balanced records of a name now; nothing counts.

        Raises ConflictError where there is no such record.
        """
        ...
