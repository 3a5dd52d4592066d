"""A fleet of nodes that decide together, in a world without sockets: its time passes in ticks.

Every node has a health map and an agreement of its own, and clocks that agree on nothing. What
would be tables in the database is `Tables`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.quorum import Vote, Voter
from dnslb_backend.core.health.results import failed, passed
from dnslb_backend.core.health.saved_state import restore
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.quorum import QuorumRules
from tests.core.building import KEY, capture

TICK = 0.5
INTERVAL = 5.0


@dataclass(slots=True)
class Tables:
    """lb_voter and lb_vote."""

    voters: dict[str, Voter] = field(default_factory=dict)
    votes: dict[str, dict[str, tuple[int, Vote | None]]] = field(default_factory=dict)


class FleetNode:
    """One daemon: `skew` is how far its wall clock is off."""

    def __init__(self, name: str, plan: Plan, rules: QuorumRules, skew: float = 0.0) -> None:
        self.name = name
        self.plan = plan
        self.rules = rules
        self.skew = skew
        self.runs = 0
        self.is_alive = False
        self.has_store = True
        self.reason = ""
        self.started = 0.0
        self.agreement = Agreement(name, rules, self.now(0.0))
        self.health = HealthMap(self.agreement)
        self.phase = (sum(name.encode()) * 7 % 10) * TICK

    def now(self, clock: float) -> Instant:
        """Its own clocks: the monotonic one begins anywhere as well."""
        return Instant(1_700_000_000 + clock + self.skew, clock + abs(self.skew))

    def start(self, clock: float, *, remembers: bool) -> None:
        at = self.now(clock)
        saved = capture(self.health, {}, at) if remembers and self.runs else None
        self.runs += 1
        self.is_alive, self.started = True, clock
        self.agreement = Agreement(self.name, self.rules, at)
        self.health = HealthMap(self.agreement)
        self.health.apply_plan(self.plan, at)
        self.seen: dict[str, tuple[str, int]] = {}
        self.seq = self.beat = 0
        self.is_new = True
        if saved is not None:
            restore(self.health, replace(saved, elapsed=1.0), at, 300)

    def probe(self, clock: float, reached: Iterable[str]) -> None:
        """One round: every target that this node judges is probed at once."""
        at, reached = self.now(clock), set(reached)
        self.health.open_cycle(KEY)
        for target in self.health.targets_of(KEY):
            if self.health.is_probed(target):
                found = passed() if target.address in reached else failed(-2, "timed out")
                self.health.record(self.health.observe(target, found, at))
        self.health.close_cycle(KEY, at)

    def exchange(self, clock: float, tables: Tables) -> None:
        """What it says is written, and what the others say is read."""
        if self.rules.votes:
            self._give(tables)
        self.agreement.peer_table.voters_read(
            list(tables.voters.values()), self.now(clock).mono, self.rules.fresh
        )
        for voter in tables.voters.values():
            instance, seq = self.seen.get(voter.node, ("", 0))
            if voter.node == self.name or (instance, seq) == (voter.instance, voter.seq):
                continue
            is_whole = instance != voter.instance or voter.seq < seq
            rows = tables.votes[voter.node].items()
            changed = {row: vote for row, (n, vote) in rows if is_whole or n > seq}
            self.agreement.votes_read(voter.node, voter.instance, changed, is_whole=is_whole)
            self.seen[voter.node] = (voter.instance, voter.seq)

    def _give(self, tables: Tables) -> None:
        rows = tables.votes.setdefault(self.name, {})
        if self.is_new:
            rows.clear()
            self.is_new = False
        for row, vote in self.agreement.take_changed(1000).items():
            self.seq += 1
            rows[row] = (self.seq, vote)
        self.beat += 1
        tables.voters[self.name] = Voter(
            self.name,
            f"run{self.runs}",
            self.rules.site,
            self.beat,
            self.seq,
            self.agreement.abstains,
            self.plan.ballot,
        )

    def think(self, clock: float) -> None:
        """Count what was read."""
        at = self.now(clock)
        self.agreement.update_voters(self.reason, at)
        self.health.rule(self.agreement.take_due(1000), at)
        self.health.take_changes()

    def health_of(self, target: TargetKey) -> Health:
        return self.health.seen(target).health


class Fleet:
    """Nodes and their database; `reach` says which addresses each node reaches now."""

    def __init__(self, nodes: Iterable[FleetNode]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.tables = Tables()
        self.clock = 0.0
        self.alive: set[str] = set()
        self.cut: set[tuple[str, str]] = set()

    def reach(self, node: FleetNode) -> set[str]:
        return {each for each in self.alive if (node.name, each) not in self.cut}

    def tick(self) -> None:
        self.clock += TICK
        for node in self.nodes.values():
            if not node.is_alive:
                continue
            if (self.clock + node.phase) % INTERVAL == 0:
                node.probe(self.clock, self.reach(node))
            if node.has_store:
                node.exchange(self.clock, self.tables)
            node.think(self.clock)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.tick()
