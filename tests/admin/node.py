"""A node as operators see it: a real health map and snapshot, told of rounds by the test."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from dnslb_backend.admin.control import ClearResult, Detail, Readmitted, ReloadPreview, ReloadReport
from dnslb_backend.admin.http.auth import load_access
from dnslb_backend.admin.server import AdminServer
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.core.answers.explain import Explanation, Question, explain
from dnslb_backend.core.answers.name_index import build_name_index
from dnslb_backend.core.answers.snapshot import Snapshot, build_snapshot
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.health.differences import FleetAnswers
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import Change, ChangeKind, HistoryQuery, StoredChange, newest
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.health.results import Result, failed, passed
from dnslb_backend.core.model.records import Record, RecordKey
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import ConflictError
from tests.core.building import Driver, at, plan, record

READ_TOKEN = "read-0123456789abcdef"
OPERATE_TOKEN = "operate-0123456789abcdef"
PUSH_TOKEN = "push-0123456789abcdef"
TOKENS = f"""\
# ROLE TOKEN NAME
read    {READ_TOKEN} prometheus

operate {OPERATE_TOKEN} night-shift
"""


OK = passed("200 OK")
BROKEN = failed(-6, "503 Service Unavailable")


class Node(Driver):
    """Satisfies admin.control.Control. `reloads` is what the next reloads do, the last for ever."""

    def __init__(self, *records: Record, agreement: Agreement | None = None) -> None:
        three = record("10.0.0.1@2", "10.0.0.2@2", "10.0.0.3@1")
        super().__init__(*(records or (three,)), agreement=agreement)
        self.reloads: list[ReloadReport | Exception] = [ReloadReport(1, 0, 0)]
        self.reloaded = 0
        self.preview: ReloadPreview | Exception = ReloadPreview(1, (), (), ())
        self._frozen: Snapshot | None = None
        self.since = at(0).wall
        self.parts: dict[str, Detail] = {}
        self.held_out: list[Readmitted] = []
        self.pending: list[Override] = []
        self.remembered: list[StoredChange] = []
        self.reports: list[tuple[str, bool, str]] = []
        self.compared: FleetAnswers | None = None
        self._numbers = itertools.count(1)

    @property
    def node(self) -> str:
        return "ns1"

    @property
    def version(self) -> str:
        return "1.2.3"

    @property
    def started(self) -> float:
        return self.since

    @property
    def details(self) -> Mapping[str, Detail]:
        return self.parts

    def now(self) -> Instant:
        return at(self.clock)

    def unanswered(self) -> Collection[RecordKey]:
        return self.health_map.pending()

    def snapshot(self) -> Snapshot:
        return self._frozen or self._build()

    def freeze(self) -> None:
        """It serves from now on what it serves now. A daemon has its snapshot at hand as well."""
        self._frozen = self._build()

    def _build(self) -> Snapshot:
        records = [state.record for state in self.health_map.records.values()]
        built, _ = build_snapshot(
            build_name_index(plan(*records)), self._decision, render, at(0).wall
        )
        return built

    async def reload(self) -> ReloadReport:
        self.reloaded += 1
        does = self.reloads.pop(0) if len(self.reloads) > 1 else self.reloads[0]
        await asyncio.sleep(0)  # noqa: TID251 - others have their turn, as in a real reload
        if isinstance(does, Exception):
            raise does
        return does

    async def preview_reload(self) -> ReloadPreview:
        if isinstance(self.preview, Exception):
            raise self.preview
        return self.preview

    def explain(
        self, name: str, qtype: str, client: str, supposed: Sequence[Override]
    ) -> Explanation:
        question = Question(name, qtype, supposed=tuple(supposed))
        return explain(self.health_map, self.snapshot(), question)

    def overrides(self) -> list[Override]:
        return [*self.health_map.overrides, *self.pending]

    async def override(self, order: OverrideRequest) -> Override:
        """Refuses what names no member; the last serving one may be taken."""
        given = Override(
            id=str(next(self._numbers)),
            target=order.target,
            action=order.action,
            name=order.name,
            node=order.node,
            reason=order.reason,
            author=order.author,
            created=self.now().wall,
            expires=order.expires,
            starts=order.starts,
            weight=order.weight,
        )
        members = ((k, m) for k, state in self.health_map.records.items() for m in state.members)
        if not any(given.matches(key.name, *m.aliases) for key, m in members):
            raise ConflictError(f"{order.target} is no target of a record")
        if given.is_pending(self.now().wall):
            self.pending.append(given)
        else:
            self.health_map.set_overrides([*self.health_map.overrides, given], self.now())
        return given

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> ClearResult:
        taken = [o for o in self.overrides() if target in (o.target, o.id) and o.name == name]
        forgiven = [one for one in self.held_out if one.address == target]
        if not taken and not forgiven:
            raise ConflictError(f"there is no order for {target}")
        self.health_map.set_overrides(
            [o for o in self.health_map.overrides if o not in taken], self.now()
        )
        self.pending = [o for o in self.pending if o not in taken]
        return ClearResult(tuple(taken), tuple(forgiven))

    async def history(self, query: HistoryQuery) -> tuple[list[StoredChange], str]:
        changes = self.health_map.take_changes()
        new: list[Change] = [*changes.transitions, *changes.decisions]
        self.remembered += [StoredChange(next(self._numbers), self.node, one) for one in new]
        found = [
            [
                stored
                for stored in reversed(self.remembered)
                if stored.kind is kind
                and query.name in (None, stored.change.key.name)
                and (query.since is None or stored.change.at >= query.since)
                and stored.id < getattr(query.before, kind)
            ]
            for kind in (ChangeKind.DECISION, ChangeKind.TRANSITION)
            if query.includes(kind)
        ]
        return newest(found, query.limit), "sqlite"

    async def differences(self) -> FleetAnswers:
        if self.compared is None:
            raise ConflictError("nodes are compared in the database: this one has no [mysql]")
        return self.compared

    def push_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        """One target shares a secret with its check."""
        if (token, address) != (PUSH_TOKEN, "10.0.0.1"):
            raise ConflictError("no push check of this token is waiting")
        self.reports.append((address, up, text))

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        """Every target is said to answer as it did the last time."""
        keys = [
            key
            for key in self.health_map.records
            if key.name == name and qtype in ("ANY", key.type)
        ]
        if not keys:
            raise ConflictError(f"no such record: {name} {qtype}", "name")
        return [
            ProbeReport(key, (target.address,), target.address, target.check, result, was, was, 0)
            for key in keys
            for target in self.health_map.targets_of(key)
            for was in [self.health_map.target(target).health]
            for result in [self.health_map.target(target).result or OK]
        ]

    def settle(self, results: dict[str, Result] | None = None) -> None:
        """A first round of the first record, with everybody well unless said otherwise."""
        key, state = next(iter(self.health_map.records.items()))
        addresses = [member.address for member in state.members]
        self.round(results or dict.fromkeys(addresses, OK), key)

    def _decision(self, key: RecordKey) -> Decision:
        return self.health_map.records[key].decision


def is_control(node: Node) -> HealthMap:
    """For mypy: a Node is what the admin edge asks for."""
    server = AdminServer(AdminSettings(listen=""), load_access(AdminSettings()), node)
    assert server.port is None
    return node.health_map


def render(rows: Sequence[ResourceRecord], zone_id: int) -> bytes:
    return json.dumps([zone_id, *rows]).encode()


def write_tokens(path: Path) -> Path:
    """TOKENS in a file, as the daemon wants it."""
    path.write_text(TOKENS)
    path.chmod(0o640)
    return path


@asynccontextmanager
async def serving(node: Node, settings: AdminSettings) -> AsyncIterator[str]:
    """Serve `node` on a free port; gives the base URL."""
    access = await asyncio.to_thread(load_access, settings)
    server = AdminServer(settings, access, node)
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.stop()
