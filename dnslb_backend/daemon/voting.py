"""This node as one that votes: what it tells the others, and when it counts what they say.

    results -> own votes -> exchange -> votes of others -> due targets -> health map, in slices

Once a second it is settled whose votes count. Where a vote of another node says what this node's
own does not, this node probes the target at once.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint
from dnslb_backend.checkers.schedule.scheduler import Scheduler
from dnslb_backend.clock import now
from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.quorum import Declaration, Vote, Voter
from dnslb_backend.core.model.quorum import QuorumRules
from dnslb_backend.daemon.voting_log import VotingLog
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.votes.exchange import ExchangeSettings, VoteExchange

VOTERS_INTERVAL = 1.0
"""Seconds between two settlements of whose votes count."""

SLICE = 100
"""Votes on so many questions are counted in one turn of the event loop: lookups come in between."""

LOOKS = 200
"""So many targets are probed at most in a second because of others' votes; and none because of a
node that turns more votes than this at once: then it is that node."""


class Voting:
    """Gives and takes the votes of this node: what `core.health.quorum.Electorate` asks for.

    `is_rival` is whether another daemon uses the name of this node. `changed` is called when a
    health may have changed, `voters_changed` when others vote than before.
    """

    def __init__(
        self,
        health: HealthMap,
        agreement: Agreement,
        settings: ExchangeSettings,
        *,
        is_rival: Callable[[], bool],
        changed: Callable[[], None],
        voters_changed: Callable[[], None],
    ) -> None:
        self._health = health
        self._agreement = agreement
        self._is_rival = is_rival
        self._changed = changed
        self._voters_changed = voters_changed
        self._checks: Mapping[str, Check] = {}
        self._scheduler: Scheduler | None = None
        self._settings = settings
        self.exchange = VoteExchange(settings, self, now)
        self._log = VotingLog(agreement)
        self._wake = asyncio.Event()
        self._next_update = 0.0
        self._looks = 0

    @property
    def agreement(self) -> Agreement:
        return self._agreement

    def detail(self) -> object:
        """What readyz says of it."""
        agreement, figures = self._agreement, self._agreement.figures
        return {
            "voters": [peer.voter.node for peer in agreement.peer_table.voters],
            "abstains": agreement.abstains if agreement.rules.votes else "",
            "obstacle": self._log.obstacle,
            "held": len(figures.held),
            "own": len(figures.own),
            "outvoted": len(figures.outvoted),
            "unshared": len(figures.unshared),
            "error": "" if self.exchange.status.is_connected else self.exchange.status.last_error,
        }

    def connect(self, scheduler: Scheduler) -> None:
        """Have this one look again; its brake says when this node abstains."""
        self._scheduler = scheduler

    def apply_plan(self, checks: Mapping[str, Check]) -> None:
        """Follow a health map to which a new plan was applied, with these checks."""
        self._checks = checks
        self._wake.set()

    def configure(self, rules: QuorumRules, mysql: MysqlSettings) -> None:
        """Follow a reload; the site stays what it was at the start."""
        self.exchange.reconfigure(
            replace(self._settings, mysql=mysql, fresh=rules.fresh, votes=rules.votes)
        )
        rules = replace(rules, site=self._agreement.rules.site)
        if rules != self._agreement.rules:
            self._agreement.configure(rules)
            self._wake.set()

    def results_counted(self) -> None:
        """Results have counted here: own votes may have changed."""
        if self._agreement.has_changed:
            self.exchange.notify()
        if self._agreement.has_due:
            self._wake.set()

    # -- the exchange -------------------------------------------------------------------

    def declaration(self) -> Declaration:
        """What this node says of itself now."""
        agreement = self._agreement
        return Declaration(agreement.rules.site, agreement.abstains, agreement.ballot)

    def take_changed(self, limit: int) -> Mapping[str, Vote | None]:
        """Own votes that have changed since the last call."""
        found = self._agreement.take_changed(limit)
        return {row: self._described(row, vote) for row, vote in found.items()}

    def own_votes(self) -> Mapping[str, Vote]:
        """Every vote that this node gives now."""
        found = self._agreement.own_votes()
        return {row: self._asked(row, vote) for row, vote in found.items()}

    def voters_read(self, voters: Sequence[Voter]) -> None:
        """These are all rows of voters."""
        self._agreement.peer_table.voters_read(voters, now().mono, self._agreement.rules.fresh)

    def votes_read(
        self, node: str, instance: str, votes: Mapping[str, Vote | None], *, is_whole: bool
    ) -> None:
        """Votes of another node have changed: they are counted in slices."""
        changed = self._agreement.votes_read(node, instance, votes, is_whole=is_whole)
        self._wake.set()
        if is_whole or len(changed) > LOOKS:
            return
        for row in changed:
            for target in self._agreement.contradicted(row, votes[row]):
                self._look_again(target)

    def _described(self, row: str, vote: Vote | None) -> Vote | None:
        return None if vote is None else self._asked(row, vote)

    def _asked(self, row: str, vote: Vote) -> Vote:
        """The vote with what is asked, in words."""
        for target in self._agreement.targets_of(row):
            if (check := self._checks.get(target.check)) is not None:
                asked = check.describe(ProbeEndpoint(target.address, target.port))
                return replace(vote, asked=asked)
        return vote

    def _look_again(self, target: TargetKey) -> None:
        if self._scheduler is not None and self._looks < LOOKS:
            self._looks += self._scheduler.look_again(target)

    # -- counting -----------------------------------------------------------------------

    async def run(self) -> None:
        """Count votes until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(self._next_update - now().mono, 0.0)):
                    await self._wake.wait()
            self._wake.clear()
            if now().mono >= self._next_update:
                self._next_update = now().mono + VOTERS_INTERVAL
                self._update_voters()
            await self._count()

    def _update_voters(self) -> None:
        self._looks = 0
        abstains, voters = self._agreement.abstains, self._agreement.peer_table.voters
        self._agreement.update_voters(self._why_abstain(), now())
        if self._agreement.abstains != abstains:
            self.exchange.notify()
        if (self._agreement.abstains, self._agreement.peer_table.voters) != (abstains, voters):
            self._voters_changed()
        self._log.report(now().mono)

    def _why_abstain(self) -> str:
        """Why this node abstains; empty where it has no reason."""
        if self._scheduler is not None:
            brake = self._scheduler.brake_status()
            is_silent = brake.since is not None or brake.is_spent
            self._agreement.connectivity.canaries = not is_silent if brake.canaries else None
            if is_silent:
                return "no canary answers"
        return "rival" if self._is_rival() else ""

    async def _count(self) -> None:
        while targets := self._agreement.take_due(SLICE):
            self._health.rule(targets, now())
            self._changed()
            if self._agreement.has_changed:
                self.exchange.notify()
            await asyncio.sleep(0)
