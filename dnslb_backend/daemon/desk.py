"""The desk: what operators may see and steer, gathered from the parts that know it."""

from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase

from dnslb_backend import __version__
from dnslb_backend.admin.control import Detail, ReloadReport
from dnslb_backend.checkers.push import PushBoard
from dnslb_backend.checkers.rounds import Rounds
from dnslb_backend.core.events import Event, HistoryQuery
from dnslb_backend.core.explain import Explanation, Question, explain, suppose_down
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.names import canonical_name
from dnslb_backend.core.orders import Order
from dnslb_backend.core.overrides import Override
from dnslb_backend.core.records import RecordKey
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
        full = self._full_name(name)
        question = Question(
            name=full,
            qtype=qtype.upper(),
            client=asker,
            draw=self._askers.draw(f"{full}.", client),
            down=suppose_down(canonical_target(down)) if down else (),
        )
        return explain(self._health, self._snapshot(), question, self._now())

    def overrides(self) -> list[Override]:
        return self._keeper.overrides()

    async def order(self, order: Order) -> Override:
        return await self._keeper.order(order)

    async def clear(self, target: str, *, name: str, author: str, force: bool) -> list[Override]:
        try:
            taken = await self._keeper.clear(target, name=name or None, author=author, force=force)
        except NoOrderError:
            if not self._forgive(canonical_target(target), name):
                raise
            return []
        self._forgive(canonical_target(target), name)
        return taken

    async def history(self, query: HistoryQuery) -> tuple[list[Event], str]:
        return await self._keeper.history(query)

    def take_report(self, token: str, address: str, *, up: bool, text: str) -> None:
        self._board.report(token, address, up, text)

    async def probe(self, name: str, qtype: str) -> list[Trial]:
        full = self._full_name(name)
        keys = [
            key
            for key in self._health.records
            if key.name == full and qtype.upper() in ("ANY", key.type)
        ]
        if not keys:
            raise RefusedError(f"there is no balanced record {full} {qtype}", "name")
        return [trial for key in keys for trial in await self._rounds.try_out(key)]

    def _full_name(self, name: str) -> str:
        """A name as operators write it: absolute, or below the only zone in which it exists."""
        written = canonical_name(f"{name.removesuffix('.')}.")
        places = self._snapshot().layout.places
        if name.endswith(".") or written in places:
            return written
        found = [f"{written}.{zone}" for zone in self._snapshot().layout.zones]
        known = [full for full in found if full in places]
        return known[0] if len(known) == 1 else written

    def _forgive(self, target: str, name: str) -> list[RecordKey]:
        """Let in the members of a target that are held for flapping or wait to return."""
        found: list[RecordKey] = []
        for key, state in self._health.records.items():
            if name and key.name != name:
                continue
            for row in state.rows:
                member = row.member
                is_meant = any(fnmatchcase(n, target) for n in (member.address, member.host))
                if is_meant and (row.is_waiting or row.state.held_until is not None):
                    self._health.release(key, member.content, self._now())
                    found.append(key)
        if found:
            self._changed()
        return found
