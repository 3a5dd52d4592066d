"""What operators may see and do, gathered from the parts of the daemon."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from dnslb_backend import __version__
from dnslb_backend.admin.control import ClearResult, Detail, Readmitted, ReloadPreview, ReloadReport
from dnslb_backend.clock import now
from dnslb_backend.core.answers.explain import Explanation, Question, explain
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.differences import FleetAnswers
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import HistoryQuery, StoredChange
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.daemon.parts import Parts
from dnslb_backend.errors import ConflictError, OverrideNotFoundError, RequestError
from dnslb_backend.store.shared.override_commands import canonical_target


class AdminControl:
    """Implements `admin.control.Control`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._health = parts.health
        self._persistence = parts.persistence
        self._started = now().wall
        self._details: Mapping[str, Detail] = {
            "brake": self._brake_detail,
            "config": parts.reloads.detail,
            "purge": parts.purging.detail,
            "mirror": parts.persistence.detail,
            "quorum": self._quorum_detail,
        }

    @property
    def node(self) -> str:
        return self._parts.node

    @property
    def version(self) -> str:
        return __version__

    @property
    def started(self) -> float:
        return self._started

    @property
    def health_map(self) -> HealthMap:
        return self._health

    @property
    def details(self) -> Mapping[str, Detail]:
        return self._details

    def unanswered(self) -> Collection[RecordKey]:
        return self._parts.snapshots.unanswered()

    def snapshot(self) -> Snapshot:
        return self._parts.snapshots.snapshot()

    def now(self) -> Instant:
        return now()

    async def reload(self) -> ReloadReport:
        return await self._parts.reloads.request()

    async def preview_reload(self) -> ReloadPreview:
        return await self._parts.previews.request()

    def explain(
        self, name: str, qtype: str, client: str, supposed: Sequence[Override]
    ) -> Explanation:
        client_cache = self._parts.client_cache
        subnet = client_cache.client(client)
        if client and not subnet.prefix_length:
            raise RequestError(f"{client!r} is no address or network of a client")
        question = Question(
            name=name,
            qtype=qtype.upper(),
            client=subnet,
            seed=client_cache.query_seed(f"{name}.", client),
            supposed=tuple(
                replace(each, target=canonical_target(each.target)) for each in supposed
            ),
        )
        return explain(self._health, self.snapshot(), question)

    def overrides(self) -> list[Override]:
        return self._persistence.overrides()

    async def override(self, override: OverrideRequest) -> Override:
        return await self._persistence.override(override)

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> ClearResult:
        try:
            cleared = await self._persistence.clear(
                target, name=name or None, author=author, force=force
            )
        except OverrideNotFoundError:
            readmitted = self._readmit(canonical_target(target), name)
            if not readmitted:
                raise
            return ClearResult((), tuple(readmitted))
        return ClearResult(tuple(cleared), tuple(self._readmit(canonical_target(target), name)))

    async def history(self, query: HistoryQuery) -> tuple[list[StoredChange], str]:
        return await self._persistence.history(query)

    async def differences(self) -> FleetAnswers:
        return await self._persistence.differences()

    def push_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        self._parts.push_reports.report(token, address, up, text)

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        keys = [
            key
            for key in self._health.records
            if key.name == name and qtype.upper() in ("ANY", key.type)
        ]
        if not keys:
            raise ConflictError(f"no such record: {name} {qtype}", "name")
        return [report for key in keys for report in await self._parts.scheduler.probe_now(key)]

    def _readmit(self, target: str, name: str) -> list[Readmitted]:
        """Readmit the members of a target that are held for flapping or wait to return."""
        wanted = Override("", target, Action.UP, name=name)
        found = [
            Readmitted(key, row.member.content, row.member.address, _held_for(row))
            for key in sorted(self._health.covered([wanted]))
            for row in self._health.records[key].rows
            if row.is_waiting or row.state.suppressed_until is not None
            if wanted.matches(key.name, *row.member.aliases)
        ]
        for one in found:
            self._health.readmit_member(one.key, one.content, now())
        if found:
            self._parts.changes.notify()
        return found

    def _quorum_detail(self) -> object:
        voting = self._parts.voting
        return None if voting is None else voting.detail()

    def _brake_detail(self) -> object:
        status = self._parts.scheduler.brake_status()
        if not status.canaries:
            return {"canaries": 0}
        if status.since is None:
            return None
        return {
            "held": status.held,
            "silent_for": round(now().mono - status.since, 1),
            "spent": status.is_spent,
        }


def _held_for(row: MemberStatus) -> Literal["flapping", "waiting"]:
    return "waiting" if row.state.suppressed_until is None else "flapping"
