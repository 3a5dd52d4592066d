"""The desk: what operators may see and steer, gathered from the parts that know it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Literal

from dnslb_backend import __version__
from dnslb_backend.admin.control import Cleared, Detail, Forgiven, ReloadReport
from dnslb_backend.checkers.push import PushBoard
from dnslb_backend.checkers.rounds import Rounds
from dnslb_backend.core.events import Event, HistoryQuery
from dnslb_backend.core.explain import Explanation, Question, explain, suppose_down
from dnslb_backend.core.finding import meant_name
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.members import MemberStatus
from dnslb_backend.core.orders import Order
from dnslb_backend.core.overrides import Action, Override
from dnslb_backend.core.snapshot import Snapshot
from dnslb_backend.core.trials import Trial
from dnslb_backend.errors import NoOrderError, RefusedError, RequestError
from dnslb_backend.pdns.askers import Askers
from dnslb_backend.store.keeper import Keeper
from dnslb_backend.store.orders import canonical_target


class Desk:
    """Implements `admin.control.Control`."""

    def __init__(
        self,
        health: HealthMap,
        rounds: Rounds,
        keeper: Keeper,
        askers: Askers,
        board: PushBoard,
        *,
        node: str,
        now: Callable[[], Instant],
        snapshot: Callable[[], Snapshot],
        reload: Callable[[], Awaitable[ReloadReport]],
        changed: Callable[[], None],
        details: Mapping[str, Detail],
    ) -> None:
        self._health = health
        self._rounds = rounds
        self._keeper = keeper
        self._askers = askers
        self._board = board
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
    def map(self) -> HealthMap:
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
        asker = self._askers.client(client)
        if client and not asker.known:
            raise RequestError(f"{client!r} is no address or network of a client")
        meant = meant_name(self._snapshot(), name)
        question = Question(
            name=meant.name,
            qtype=qtype.upper(),
            client=asker,
            draw=self._askers.draw(f"{meant.name}.", client),
            down=suppose_down(canonical_target(down)) if down else (),
        )
        told = explain(self._health, self._snapshot(), question)
        return replace(told, looked_in=meant.looked_in)

    def overrides(self) -> list[Override]:
        return self._keeper.overrides()

    async def order(self, order: Order) -> Override:
        return await self._keeper.order(order)

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> Cleared:
        try:
            taken = await self._keeper.clear(target, name=name or None, author=author, force=force)
        except NoOrderError:
            forgiven = self._forgive(canonical_target(target), name)
            if not forgiven:
                raise
            return Cleared((), tuple(forgiven))
        return Cleared(tuple(taken), tuple(self._forgive(canonical_target(target), name)))

    async def history(self, query: HistoryQuery) -> tuple[list[Event], str]:
        return await self._keeper.history(query)

    def take_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        self._board.report(token, address, up, text)

    async def probe(self, name: str, qtype: str) -> list[Trial]:
        meant = meant_name(self._snapshot(), name)
        keys = [
            key
            for key in self._health.records
            if key.name == meant.name and qtype.upper() in ("ANY", key.type)
        ]
        if not keys:
            looked_in = f" in {', '.join(meant.looked_in)}" if meant.looked_in else ""
            why = f"there is no balanced record {meant.name} {qtype}{looked_in}"
            raise RefusedError(why, "name")
        return [trial for key in keys for trial in await self._rounds.try_out(key)]

    def _forgive(self, target: str, name: str) -> list[Forgiven]:
        """Let in the members of a target that are held for flapping or wait to return."""
        found = [
            Forgiven(key, row.member.content, row.member.address, _held_for(row))
            for key in sorted(self._health.covered([Override("", target, Action.UP, name=name)]))
            for row in self._health.records[key].rows
            if row.is_waiting or row.state.held_until is not None
            if any(fnmatchcase(text, target) for text in (row.member.address, row.member.host))
        ]
        for one in found:
            self._health.release(one.key, one.content, self._now())
        if found:
            self._changed()
        return found


def _held_for(row: MemberStatus) -> Literal["flapping", "waiting"]:
    return "waiting" if row.state.held_until is None else "flapping"
