"""The votes of a node and what it hears of others, as a daemon keeps them; told by a test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from dnslb_backend.clock import now as clock_now
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import Declaration, Vote, Voter
from dnslb_backend.core.health.target import Health
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.votes.exchange import ExchangeSettings, VoteExchange

UP, DOWN = Health.UP, Health.DOWN

FRESH = 10.0


def vote(says: Health = UP, text: str = "200 in 3 ms", since: float = 1_700_000_000.0) -> Vote:
    return Vote(says, 0 if says is UP else -2, text, None, 5, since, "192.0.2.1", "tcp 80")


def keys(count: int) -> list[str]:
    """As many keys of votes."""
    return [f"{number:032x}" for number in range(count)]


class Member:
    """A node of the fleet: an Electorate, and its exchange.

    `heard_of` is what it knows of each other node, and `runs` of which run of it, after having been
    `told` so often; `seen` are the rows of voters as they were read last.
    """

    def __init__(
        self,
        mysql: MysqlSettings,
        node: str,
        instance: str = "",
        *,
        fresh: float = FRESH,
        votes: bool = True,
        now: Callable[[], Instant] = clock_now,
    ) -> None:
        self.node = node
        self.own: dict[str, Vote] = {}
        self.changed: dict[str, Vote | None] = {}
        self.says = Declaration("dc1", "", "b" * 16)
        self.heard_of: dict[str, dict[str, Vote]] = {}
        self.runs: dict[str, str] = {}
        self.seen: dict[str, Voter] = {}
        self.told = 0
        self.settings = ExchangeSettings(mysql, node, instance or f"i-{node}", fresh, votes)
        self.exchange = VoteExchange(self.settings, self, now)

    # -- what a test does ------------------------------------------------------------------

    def give(self, votes: Mapping[str, Vote | None]) -> None:
        for key, value in votes.items():
            if value is None:
                self.own.pop(key, None)
            else:
                self.own[key] = value
        self.changed |= votes
        self.exchange.notify()

    def declare(self, abstains: str = "", ballot: str = "b" * 16) -> None:
        self.says = Declaration("dc1", abstains, ballot)
        self.exchange.notify()

    def knows(self, *others: "Member") -> bool:
        """Whether it has every vote that the others give, and no other."""
        return all(self.heard_of.get(other.node, {}) == other.own for other in others)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Member"]:
        task = asyncio.create_task(self.exchange.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    # -- what the exchange calls -----------------------------------------------------------

    def declaration(self) -> Declaration:
        return self.says

    def take_changed(self, limit: int) -> Mapping[str, Vote | None]:
        taken = dict(islice(self.changed.items(), limit))
        for key in taken:
            del self.changed[key]
        return taken

    def own_votes(self) -> Mapping[str, Vote]:
        return self.own

    def voters_read(self, voters: Sequence[Voter]) -> None:
        self.seen = {voter.node: voter for voter in voters}

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> None:
        known = {} if is_whole else self.heard_of.setdefault(node, {})
        self.heard_of[node] = known
        self.runs[node] = instance
        self.told += 1
        for key, value in votes.items():
            if value is None:
                known.pop(key, None)
            else:
                known[key] = value


def all_know(members: Iterable[Member]) -> bool:
    """Whether each has the votes of each other."""
    found = list(members)
    return all(one.knows(*(other for other in found if other is not one)) for one in found)
