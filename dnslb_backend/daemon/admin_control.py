"""The desk: what operators may see and steer, gathered from the parts that know it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal

from dnslb_backend import __version__
from dnslb_backend.admin.control import ClearResult, Detail, Readmitted, ReloadReport
from dnslb_backend.checkers.resources.push_reports import PushReports
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.core.answers.explain import Explanation, Question, explain, mark_down
from dnslb_backend.core.answers.name_lookup import resolve_name
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.history import HistoryQuery, StoredTransition
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.probe_report import ProbeReport
from dnslb_backend.errors import ConflictError, OverrideNotFoundError, RequestError
from dnslb_backend.pdns.methods.client_cache import ClientCache
from dnslb_backend.store.persistence import Persistence
from dnslb_backend.store.shared.override_commands import canonical_target


class AdminControl:
    """Implements `admin.control.Control`."""

    def __init__(
        self,
        health: HealthMap,
        scheduler: Scheduler,
        persistence: Persistence,
        client_cache: ClientCache,
        push_reports: PushReports,
        *,
        node: str,
        now: Callable[[], Instant],
        snapshot: Callable[[], Snapshot],
        reload: Callable[[], Awaitable[ReloadReport]],
        changed: Callable[[], None],
        details: Mapping[str, Detail],
    ) -> None:
        self._health = health
        self._scheduler = scheduler
        self._persistence = persistence
        self._client_cache = client_cache
        self._push_reports = push_reports
        self._node = node
        self._now = now
        self._started = now().wall
        self._snapshot = snapshot
        self._reload = reload
        self._changed = changed
        self._details = details

    @property
    def node(self) -> str:
        return self._node

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

    def snapshot(self) -> Snapshot:
        return self._snapshot()

    def now(self) -> Instant:
        return self._now()

    async def reload(self) -> ReloadReport:
        return await self._reload()

    def explain(self, name: str, qtype: str, client: str, down: str) -> Explanation:
        asker = self._client_cache.client(client)
        if client and not asker.prefix_length:
            raise RequestError(f"{client!r} is no address or network of a client")
        meant = resolve_name(self._snapshot(), name)
        question = Question(
            name=meant.name,
            qtype=qtype.upper(),
            client=asker,
            seed=self._client_cache.query_seed(f"{meant.name}.", client),
            down=mark_down(canonical_target(down)) if down else (),
        )
        told = explain(self._health, self._snapshot(), question)
        return replace(told, looked_in=meant.looked_in)

    def overrides(self) -> list[Override]:
        return self._persistence.overrides()

    async def override(self, override: OverrideRequest) -> Override:
        return await self._persistence.override(override)

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> ClearResult:
        try:
            taken = await self._persistence.clear(
                target, name=name or None, author=author, force=force
            )
        except OverrideNotFoundError:
            forgiven = self._readmit(canonical_target(target), name)
            if not forgiven:
                raise
            return ClearResult((), tuple(forgiven))
        return ClearResult(tuple(taken), tuple(self._readmit(canonical_target(target), name)))

    async def history(self, query: HistoryQuery) -> tuple[list[StoredTransition], str]:
        return await self._persistence.history(query)

    def push_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        self._push_reports.report(token, address, up, text)

    async def probe(self, name: str, qtype: str) -> list[ProbeReport]:
        meant = resolve_name(self._snapshot(), name)
        keys = [
            key
            for key in self._health.records
            if key.name == meant.name and qtype.upper() in ("ANY", key.type)
        ]
        if not keys:
            looked_in = f" in {', '.join(meant.looked_in)}" if meant.looked_in else ""
            why = f"there is no balanced record {meant.name} {qtype}{looked_in}"
            raise ConflictError(why, "name")
        return [report for key in keys for report in await self._scheduler.probe_now(key)]

    def _readmit(self, target: str, name: str) -> list[Readmitted]:
        """Let in the members of a target that are held for flapping or wait to return."""
        found = [
            Readmitted(key, row.member.content, row.member.address, _held_for(row))
            for key in sorted(self._health.covered([Override("", target, Action.UP, name=name)]))
            for row in self._health.records[key].rows
            if row.is_waiting or row.state.suppressed_until is not None
            if any(fnmatchcase(text, target) for text in (row.member.address, row.member.host))
        ]
        for one in found:
            self._health.readmit_member(one.key, one.content, self._now())
        if found:
            self._changed()
        return found


def _held_for(row: MemberStatus) -> Literal["flapping", "waiting"]:
    return "waiting" if row.state.suppressed_until is None else "flapping"
