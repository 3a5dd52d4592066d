"""Random worlds: cuts, crashes, lost databases, wrong clocks; and what must hold in each."""

from collections import deque
from collections.abc import Iterator
from random import Random

import pytest

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.tally import Basis
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.quorum import Needed, QuorumRules
from tests.core.building import plan, record
from tests.core.fleet import INTERVAL, TICK, Fleet, FleetNode

TARGETS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
FRESH, HOLD = 10.0, 30.0
SETTLED = FRESH + INTERVAL + 3
"""So long after the last event everybody knows the same."""
GIVEN_UP = FRESH + HOLD + INTERVAL + 3
"""So long after it nobody believes in a dead target, however cut off."""


class World:
    """One random fleet; `checks` counts how often a target could have failed over falsely."""

    def __init__(self, seed: int, down: Needed, probers: int | None) -> None:
        self.probers = probers
        self.random = random = Random(seed)
        configured = plan(record(*TARGETS))
        self.sites = [f"dc{random.randrange(4)}" for _ in range(random.randint(2, 7))]
        self.fleet = Fleet(
            FleetNode(
                f"ns{n}",
                configured,
                QuorumRules(site, down, FRESH, HOLD, probers=probers),
                skew=random.uniform(-3600, 3600),
            )
            for n, site in enumerate(self.sites)
        )
        self.nodes = list(self.fleet.nodes.values())
        for node in self.nodes:
            node.start(0.0, remembers=False)
        self.fleet.alive = set(TARGETS)
        self.calm = 0.0
        self.dead_for = dict.fromkeys(TARGETS, 0.0)
        self.past: deque[tuple[set[str], set[tuple[str, str]]]] = deque(
            maxlen=round(SETTLED / TICK)
        )
        self.checks = 0

    def happen(self) -> None:
        """One event."""
        random, fleet = self.random, self.fleet
        node, address = random.choice(self.nodes), random.choice(TARGETS)
        self.calm = 0.0
        match random.randrange(7):
            case 0:
                fleet.cut ^= {(node.name, address)}
            case 1:
                fleet.cut |= {(node.name, each) for each in TARGETS}
            case 2:
                fleet.cut -= {(node.name, each) for each in TARGETS}
            case 3:
                node.has_store = not node.has_store
            case 4:
                node.is_alive = False
            case 5:
                node.start(fleet.clock, remembers=random.random() < 0.7)
            case 6:
                fleet.alive ^= {address}

    def step(self) -> Iterator[str]:
        """One tick; what should not be."""
        fleet = self.fleet
        fleet.tick()
        self.calm += TICK
        connected = {n.name for n in self.nodes if n.is_alive and n.has_store}
        reaching = {(n.name, each) for n in self.nodes for each in fleet.reach(n)}
        for each in TARGETS:
            self.dead_for[each] = 0.0 if each in fleet.alive else self.dead_for[each] + TICK
        self.past.append((connected, reaching))
        if len(self.past) == self.past.maxlen and self.probers is None:
            yield from self._failovers()
        if self.calm > SETTLED:
            yield from self._disagreements()
        if self.calm > GIVEN_UP:
            yield from self._undead()

    def _target(self, node: FleetNode, address: str) -> TargetKey:
        return TargetKey(address, None, "check")

    def _failovers(self) -> Iterator[str]:
        """Where half of the sites have reached a target all the time, nobody fails it over."""
        always = set.intersection(*(connected for connected, _ in self.past))
        ever = set.union(*(connected for connected, _ in self.past))
        steady = set.intersection(*(reaching for _, reaching in self.past))
        judges = [n for n in self.nodes if n.name in ever]
        if len({n.rules.site for n in judges}) < 2:
            return
        for address in TARGETS:
            reached: dict[str, bool] = {}
            for node in judges:
                is_good = (node.name, address) in steady and node.name in always
                is_good &= self.fleet.clock - node.started > SETTLED
                reached[node.rules.site] = reached.get(node.rules.site, True) and is_good
            if 2 * sum(reached.values()) < len(reached) or sum(reached.values()) < 2:
                continue
            for node in judges:
                if node.name in always and self.fleet.clock - node.started > SETTLED:
                    self.checks += 1
                    if node.health_of(self._target(node, address)) is Health.DOWN:
                        yield f"{node.name} has failed {address} over at {self.fleet.clock}"

    def _disagreements(self) -> Iterator[str]:
        for address in TARGETS:
            found = {}
            for node in self.nodes:
                if node.is_alive and node.has_store:
                    verdict = node.agreement.verdict(self._target(node, address))
                    assert verdict is not None
                    if verdict.basis is Basis.AGREED:
                        found[node.name] = (verdict.health, verdict.tally)
            if len(set(found.values())) > 1:
                yield f"{address} at {self.fleet.clock}: {found}"

    def _undead(self) -> Iterator[str]:
        for address, seconds in self.dead_for.items():
            for node in self.nodes if seconds > GIVEN_UP else ():
                if node.is_alive and self.fleet.clock - node.started > GIVEN_UP:
                    health = node.health_of(self._target(node, address))
                    if health is not Health.DOWN:
                        yield f"{address} is dead, and {health} at {node.name}"


def wrong(seed: int, down: Needed, probers: int | None = None) -> tuple[list[str], int]:
    """What went wrong in one world, and how often it could have."""
    world = World(seed, down, probers)
    found: list[str] = []
    until = 0.0
    for _ in range(25):
        if world.random.random() < 0.25:
            until += GIVEN_UP + 10
        until += world.random.uniform(0.5, 12)
        while world.fleet.clock < until:
            found += world.step()
        world.happen()
    return found, world.checks


def check(seeds: range) -> None:
    checks = 0
    for seed in seeds:
        found, checked = wrong(seed, "majority")
        assert found == [], f"seed {seed}"
        checks += checked
    assert checks > 100 * len(seeds)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(0, 50, 10))
def test_no_false_failover_no_disagreement_and_no_undead_target(first: int) -> None:
    check(range(first, first + 10))


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_nor_in_many_more_worlds() -> None:
    check(range(1000, 1500))


def test_one_cut_off_node_fails_the_world_over_where_any_is_enough() -> None:
    assert any(wrong(seed, "any")[0] for seed in range(20))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("first", range(0, 20, 10))
def test_nodes_that_share_the_targets_agree_as_well(first: int) -> None:
    for seed in range(first, first + 10):
        assert wrong(seed, "majority", probers=3)[0] == [], f"seed {seed}"
