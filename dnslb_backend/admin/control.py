"""What the daemon offers to its operators; the admin edge knows no more of it than this."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from dnslb_backend.core.answers.explain import Explanation
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.differences import FleetAnswers
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import HistoryQuery, StoredChange
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.plan_preview import RecordPreview, ZonePreview
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.model.records import RecordKey

Detail = Callable[[], object]
"""Reads the state of one component as JSON values; None when there is nothing to report."""


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What a reload did. `changed` counts records that are new or read differently."""

    records: int
    changed: int
    removed: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReloadPreview:
    """What a reload would do. `views` are the names of those that are added, changed or removed."""

    records: int
    changes: tuple[RecordPreview, ...]
    zones: tuple[ZonePreview, ...]
    views: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Readmitted:
    """A member that serves again: it was held out by damping, or waited for failback."""

    key: RecordKey
    content: str
    address: str
    was: Literal["flapping", "waiting"]


@dataclass(frozen=True, slots=True)
class ClearResult:
    """What was cleared: overrides, and members that were held out without one."""

    overrides: tuple[Override, ...]
    readmitted: tuple[Readmitted, ...] = ()


class Control(Protocol):
    """The running daemon, as its operators may see and control it.

    It is used on the event loop. Methods that are no coroutines return at once; the coroutines wait
    for the configuration, a store, or the checks.
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
        """The details of /readyz by component: mirror, purge, brake, …"""
        ...

    def unanswered(self) -> Collection[RecordKey]:
        """Records that are not answered yet: their first check cycle has to end."""
        ...

    def snapshot(self) -> Snapshot:
        """The one that lookups read at this moment."""
        ...

    def now(self) -> Instant: ...

    async def reload(self) -> ReloadReport:
        """Read the configuration again, all or nothing. Raises ConfigError; the old one runs on."""
        ...

    async def preview_reload(self) -> ReloadPreview:
        """What a reload would do, without any of it. Raises ConfigError as `reload` does."""
        ...

    def explain(
        self, name: str, qtype: str, client: str, supposed: Sequence[Override]
    ) -> Explanation:
        """How the answer for a canonical name is built.

        `qtype` may be ANY; `client` is an address or network, "" for none; `supposed` are
        overrides as operators write them, supposed to be in force. Raises RequestError.
        """
        ...

    def overrides(self) -> list[Override]:
        """The overrides in force on any node, oldest first."""
        ...

    async def override(self, override: OverrideRequest) -> Override:
        """Create an override; it is in force at once. Raises ConflictError for the operator."""
        ...

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> ClearResult:
        """Clear the overrides of a target or an id, and readmit its members that damping or
        failback holds out; `name` "" is every record. Raises ConflictError."""
        ...

    async def history(self, query: HistoryQuery) -> tuple[list[StoredChange], str]:
        """Transitions, newest first, and the store they came from. Raises StoreError."""
        ...

    async def differences(self) -> FleetAnswers:
        """What nodes answer differently. Raises ConflictError without a database, StoreError."""
        ...

    def push_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        """Take the report of a target. Raises ConflictError where no push check is for it."""
        ...

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        """Run the checks of the balanced records of a canonical name; health is not affected.

        Raises ConflictError where there is no such record.
        """
        ...
