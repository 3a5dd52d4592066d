"""A node among others: what its votes say, what it makes of theirs, and when it abstains."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest

from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.duties import probers
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.peer_table import PeerTable
from dnslb_backend.core.health.quorum import Voter, row_key
from dnslb_backend.core.health.results import Result, check_error, failed, passed
from dnslb_backend.core.health.saved_state import restore
from dnslb_backend.core.health.tally import AgreedHealth, Basis
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.quorum import CheckQuestion, QuestionKind, QuorumRules
from tests.core.building import KEY, Driver, at, capture, plan, record
from tests.core.fleet import TICK, Fleet, FleetNode

A, B = "192.0.2.1", "192.0.2.2"
TARGET = TargetKey(A, None, "check")
RULES = QuorumRules("site")
FRESH = 10.0


def fleet(
    *names: str,
    configured: Plan | None = None,
    rules: Mapping[str, QuorumRules] | None = None,
) -> Fleet:
    """These nodes, each at a site of its own, after their first rounds; everything is UP."""
    configured = configured or plan(record(A, B))
    rules = rules or {}
    found = Fleet(FleetNode(n, configured, rules.get(n, QuorumRules(n))) for n in names)
    for node in found.nodes.values():
        node.start(0.0, remembers=False)
    found.alive = {A, B}
    found.run(10)
    return found


def verdict(node: FleetNode, target: TargetKey = TARGET) -> AgreedHealth:
    found = node.agreement.verdict(target)
    assert found is not None
    return found


def healths(fleet: Fleet) -> set[Health]:
    return {node.health_of(TARGET) for node in fleet.nodes.values()}


# -- what a fleet does ------------------------------------------------------------------------


def test_nodes_agree_on_what_each_has_measured() -> None:
    world = fleet("ns1", "ns2", "ns3")
    for node in world.nodes.values():
        found = verdict(node)
        assert (found.basis, found.health, found.tally) == (Basis.AGREED, Health.UP, (3, 0))
    world.alive = {B}
    world.run(6)
    assert healths(world) == {Health.DOWN}


def test_a_node_that_is_cut_off_from_its_targets_is_outvoted() -> None:
    world = fleet("ns1", "ns2", "ns3")
    world.cut = {("ns1", A), ("ns1", B)}
    world.run(60)
    ns1 = world.nodes["ns1"]
    assert ns1.health.target(TARGET).health is Health.DOWN
    assert healths(world) == {Health.UP}
    assert verdict(ns1).tally == (2, 1)
    assert len(ns1.agreement.figures.outvoted) == 2
    assert ns1.health.records[KEY].decision.contents == (A, B)


def test_it_follows_the_others_also_over_its_own_restart_and_when_a_target_dies() -> None:
    world = fleet("ns1", "ns2", "ns3")
    world.cut = {("ns1", A), ("ns1", B)}
    world.run(30)
    ns1 = world.nodes["ns1"]
    ns1.is_alive = False
    world.run(5)
    ns1.start(world.clock, remembers=True)
    for _ in range(60):
        world.tick()
        assert ns1.health_of(TARGET) is Health.UP
    world.alive = {B}
    world.run(7)
    assert ns1.health_of(TARGET) is Health.DOWN


def test_without_its_database_a_node_holds_what_was_agreed_and_then_decides_itself() -> None:
    world = fleet("ns1", "ns2", "ns3")
    ns1 = world.nodes["ns1"]
    ns1.has_store = False
    world.cut = {("ns1", A), ("ns1", B)}
    world.run(39)
    assert (verdict(ns1).basis, verdict(ns1).health) == (Basis.HELD, Health.UP)
    assert verdict(world.nodes["ns2"]).tally == (2, 0)
    world.run(3)
    assert (verdict(ns1).basis, verdict(ns1).health) == (Basis.OWN, Health.DOWN)


def test_it_believes_in_a_dead_target_at_once_where_most_others_answer_it_since() -> None:
    world = fleet("ns1", "ns2", "ns3", configured=plan(record(A, B, "192.0.2.3")))
    world.alive.add("192.0.2.3")
    world.run(10)
    ns1 = world.nodes["ns1"]
    ns1.has_store = False
    world.run(1)
    world.alive.discard(A)
    world.run(9 + 7)
    assert ns1.health_of(TARGET) is Health.DOWN


def test_silent_canaries_vouch_for_nothing_and_answering_ones_for_all() -> None:
    for canaries, health in ((True, Health.DOWN), (False, Health.UP)):
        world = fleet("ns1", "ns2", "ns3")
        ns1 = world.nodes["ns1"]
        ns1.agreement.connectivity.canaries = canaries
        ns1.has_store = False
        world.cut = {("ns1", A)}
        world.run(12)
        assert ns1.health_of(TARGET) is health


def test_a_target_that_comes_back_while_too_few_vote_is_up_at_once() -> None:
    world = fleet("ns1", "ns2", "ns3")
    world.alive = {B}
    world.run(10)
    ns1 = world.nodes["ns1"]
    ns1.agreement.connectivity.canaries = False
    ns1.has_store = False
    world.run(12)
    assert (verdict(ns1).basis, verdict(ns1).health) == (Basis.HELD, Health.DOWN)
    world.alive = {A, B}
    world.run(5.5)
    assert (verdict(ns1).basis, verdict(ns1).health) == (Basis.HELD, Health.UP)


def test_a_node_that_abstains_does_not_count_anywhere() -> None:
    world = fleet("ns1", "ns2", "ns3")
    world.nodes["ns1"].reason = "no canary answers"
    world.cut = {("ns1", A), ("ns1", B)}
    world.run(10)
    assert {verdict(node).tally for node in world.nodes.values()} == {(2, 0)}


def test_a_node_starts_by_abstaining_until_its_first_round_has_ended() -> None:
    node = FleetNode("ns1", plan(record(A)), RULES)
    node.start(0.0, remembers=False)
    node.think(0.5)
    assert node.agreement.abstains == "starting"
    node.probe(1.0, {A})
    node.think(1.5)
    assert node.agreement.abstains == ""


# -- own votes --------------------------------------------------------------------------------


def told(result: Result, questions: Mapping[str, CheckQuestion] | None = None) -> Agreement:
    agreement = Agreement("ns1", RULES, at(0))
    driver = Driver(agreement=agreement)
    driver.health_map.apply_plan(plan(record(A), questions=questions), at(0))
    driver.hear(A, result)
    return agreement


ROW = row_key(A, None, "check")


def test_a_vote_says_what_was_measured_last() -> None:
    agreement = told(passed("fine", priority=7))
    vote = agreement.own_votes()[ROW]
    assert (vote.says, vote.text, vote.priority, vote.address) == (Health.UP, "fine", 7, A)
    assert list(agreement.take_changed(10)) == [ROW]
    assert not agreement.take_changed(10)


def test_a_vote_changes_with_its_standing_and_priority_not_with_every_text() -> None:
    agreement = Agreement("ns1", RULES, at(0))
    driver = Driver(record(A), agreement=agreement)
    changes = []
    for result in (passed("fine"), passed("better"), passed("better", priority=7), failed(1, "")):
        driver.hear(A, result)
        changes.append(list(agreement.take_changed(10)))
    assert changes == [[ROW], [], [ROW], [ROW]]


def test_an_error_of_ours_is_no_vote() -> None:
    assert told(check_error("no such program")).own_votes() == {}


def test_files_and_fixed_health_are_never_voted_on() -> None:
    agreement = told(passed(), questions={"check": CheckQuestion("q", QuestionKind.LOCAL)})
    assert agreement.own_votes() == {}
    assert agreement.verdict(TARGET) is None


def test_targets_with_one_question_are_up_if_one_of_them_is() -> None:
    agreement = Agreement("ns1", RULES, at(0))
    driver = Driver(agreement=agreement)
    configured = plan(
        record(A, checks=("one", "two")),
        questions={"one": CheckQuestion("q"), "two": CheckQuestion("q")},
    )
    driver.health_map.apply_plan(configured, at(0))
    driver.hear(A, failed(1, "no"), check=0)
    assert [vote.says for vote in agreement.own_votes().values()] == [Health.DOWN]
    driver.hear(A, passed(), check=1)
    assert [vote.says for vote in agreement.own_votes().values()] == [Health.UP]


def test_what_falls_silent_here_or_is_removed_is_withdrawn() -> None:
    agreement = Agreement("ns1", RULES, at(0))
    driver = Driver(record(A, B), agreement=agreement)
    driver.hear(A, passed())
    driver.hear(B, passed())
    agreement.take_changed(10)
    driver.adopt(record(A))
    driver.wait(100)
    assert set(agreement.take_changed(10).values()) == {None}
    assert agreement.own_votes() == {}


def test_a_report_proves_life_wherever_it_arrives() -> None:
    reported = plan(record(A), questions={"check": CheckQuestion("check", QuestionKind.REPORTED)})
    world = fleet("ns1", "ns2", "ns3", configured=reported)
    world.cut = {("ns1", A), ("ns2", A)}
    world.run(10)
    assert healths(world) == {Health.UP}


# -- who judges -------------------------------------------------------------------------------


def judged_by(*voters: str) -> Plan:
    return plan(record(A, B), questions={"check": CheckQuestion("check", voters=voters)})


def test_only_named_sites_judge_and_others_follow_without_probing() -> None:
    world = fleet("ns1", "ns2", "ns3", configured=judged_by("ns1", "ns2"))
    ns3 = world.nodes["ns3"]
    assert not ns3.health.is_probed(TARGET)
    assert ns3.agreement.probers(TARGET) == ("ns1", "ns2")
    assert ns3.health.target(TARGET).health is Health.UNKNOWN
    assert {verdict(node).tally for node in world.nodes.values()} == {(2, 0)}
    assert ns3.health.records[KEY].decision.contents == (A, B)
    world.alive = {B}
    world.run(7)
    assert ns3.health.records[KEY].decision.contents == (B,)


def test_one_named_site_is_enough() -> None:
    world = fleet("ns1", "ns2", configured=judged_by("ns1"))
    world.alive = {B}
    world.run(7)
    assert healths(world) == {Health.DOWN}
    assert verdict(world.nodes["ns2"]).basis is Basis.AGREED


def answering() -> Fleet:
    rules = {"ns9": QuorumRules("ns9", votes=False)}
    return fleet("ns1", "ns2", "ns9", rules=rules)


def test_a_node_without_votes_follows_and_writes_nothing() -> None:
    world = answering()
    assert "ns9" not in world.tables.voters
    assert verdict(world.nodes["ns9"]).tally == (2, 0)
    assert world.nodes["ns9"].agreement.probers(TARGET) == ("ns1", "ns2")
    assert world.nodes["ns1"].agreement.probers(TARGET) is None
    world.alive = {B}
    world.run(7)
    assert world.nodes["ns9"].health.records[KEY].decision.contents == (B,)


def test_it_never_decides_itself_however_long_the_votes_are_lost() -> None:
    world = answering()
    ns9 = world.nodes["ns9"]
    ns9.has_store = False
    world.run(300)
    assert (verdict(ns9).basis, verdict(ns9).health) == (Basis.HELD, Health.UP)
    ns9.start(world.clock, remembers=True)
    world.run(300)
    assert ns9.health.records[KEY].decision.contents == (A, B)


def test_it_answers_nothing_before_the_first_votes() -> None:
    ns9 = FleetNode("ns9", plan(record(A, B)), QuorumRules("ns9", votes=False))
    world = Fleet([ns9])
    ns9.start(0.0, remembers=False)
    world.run(30)
    assert ns9.health.pending() == [KEY]
    world.nodes["ns1"] = FleetNode("ns1", plan(record(A, B)), QuorumRules("ns1"))
    world.nodes["ns2"] = FleetNode("ns2", plan(record(A, B)), QuorumRules("ns2"))
    world.alive = {A, B}
    for name in ("ns1", "ns2"):
        world.nodes[name].start(world.clock, remembers=False)
    world.run(10)
    assert ns9.health.pending() == []
    assert ns9.health.records[KEY].decision.contents == (A, B)


# -- not all probe all --------------------------------------------------------------------------


NAMES = [f"ns{n}" for n in range(1, 10)]
SITES = {name: f"dc{n % 3}" for n, name in enumerate(NAMES)}
ROWS = [f"{n:032x}" for n in range(2000)]


def test_targets_are_shared_evenly_over_nodes_and_over_sites() -> None:
    chosen = {row: probers(row, SITES.items(), 3) for row in ROWS}
    load = Counter(node for nodes in chosen.values() for node in nodes)
    assert all(550 < load[name] < 790 for name in NAMES), load
    assert all(len({SITES[node] for node in nodes}) == 3 for nodes in chosen.values())


def test_a_node_that_leaves_moves_its_own_duties_and_no_others() -> None:
    left = {name: site for name, site in SITES.items() if name != "ns4"}
    for row in ROWS:
        before, after = probers(row, SITES.items(), 3), probers(row, left.items(), 3)
        if "ns4" not in before:
            assert before == after
        else:
            assert len(set(after) - set(before)) <= 2
            assert len(after) == 3


def sharing(count: int, targets: int = 12) -> tuple[Fleet, list[TargetKey]]:
    addresses = [f"192.0.2.{n}" for n in range(1, targets + 1)]
    names = NAMES[:5]
    rules = {name: QuorumRules(name, probers=count) for name in names}
    world = fleet(*names, configured=plan(record(*addresses)), rules=rules)
    world.alive = set(addresses)
    world.run(20)
    return world, [TargetKey(address, None, "check") for address in addresses]


def probing(world: Fleet, target: TargetKey) -> set[str]:
    return {n.name for n in world.nodes.values() if n.is_alive and n.health.is_probed(target)}


def test_so_many_nodes_probe_each_target_and_all_know_the_same() -> None:
    world, targets = sharing(3)
    for target in targets:
        assert len(probing(world, target)) == 3
        known = {node.agreement.probers(target) for node in world.nodes.values()}
        assert known == {tuple(sorted(probing(world, target)))}
        assert {verdict(n, target).tally for n in world.nodes.values()} == {(3, 0)}
    load = Counter(name for target in targets for name in probing(world, target))
    assert load.keys() == world.nodes.keys()
    world.alive.discard(targets[0].address)
    world.run(7)
    assert {n.health_of(targets[0]) for n in world.nodes.values()} == {Health.DOWN}


def test_votes_never_sink_while_duties_move() -> None:
    world, targets = sharing(3)
    leaver = world.nodes["ns2"]
    leaver.is_alive = False
    for _ in range(120):
        world.tick()
        for node in world.nodes.values():
            for target in targets if node.is_alive else ():
                assert sum(verdict(node, target).tally) >= 2
    assert all(len(probing(world, target)) == 3 for target in targets)
    leaver.start(world.clock, remembers=False)
    for _ in range(120):
        world.tick()
        for target in targets:
            assert sum(verdict(world.nodes["ns1"], target).tally) >= 3
    assert all(len(probing(world, target)) == 3 for target in targets)


def test_where_the_others_do_not_vote_a_node_stands_in() -> None:
    world, targets = sharing(3)
    target = targets[0]
    silent, *_ = probing(world, target)
    # Its probes of this target end in errors of its own: it has no vote on it any more.
    world.nodes[silent].health.mark_unknown(target, world.nodes[silent].now(world.clock))
    world.nodes[silent].phase = 0.25
    world.run(30)
    assert len(probing(world, target)) == 5
    assert all(name in (n.agreement.probers(target) or ()) for name, n in world.nodes.items())
    assert sum(verdict(world.nodes["ns1"], target).tally) >= 3


def test_without_other_voters_every_target_is_its_own_and_held_until_it_knows() -> None:
    world, targets = sharing(2)
    ns1 = world.nodes["ns1"]
    followed = next(t for t in targets if not ns1.health.is_probed(t))
    ns1.agreement.connectivity.canaries = True
    ns1.has_store = False
    while verdict(ns1, followed).basis is not Basis.HELD:
        world.tick()
    assert ns1.health.is_probed(followed)
    assert ns1.health_of(followed) is Health.UP
    world.alive.discard(followed.address)
    world.run(6)
    assert (verdict(ns1, followed).basis, ns1.health_of(followed)) == (Basis.OWN, Health.DOWN)


# -- signs of life ----------------------------------------------------------------------------


def voter(beat: int, instance: str = "one", abstains: str = "", protocol: int = 1) -> Voter:
    return Voter("ns2", instance, "ns2", beat, 1, abstains, protocol=protocol)


def seen(*rows: tuple[float, Voter]) -> PeerTable:
    peer_table = PeerTable("ns1")
    for mono, row in rows:
        peer_table.voters_read([row], mono, FRESH)
        peer_table.update_voters(mono, FRESH)
    return peer_table


def test_what_stands_there_at_the_first_look_is_old_until_it_moves() -> None:
    assert not seen((1, voter(7)), (2, voter(7))).voters
    assert seen((1, voter(7)), (2, voter(8))).voters


def test_a_voter_counts_until_it_has_been_silent_for_too_long() -> None:
    peer_table = seen((1, voter(7)), (2, voter(8)), (12, voter(8)))
    assert peer_table.voters
    peer_table.update_voters(12.5, FRESH)
    assert not peer_table.voters
    assert peer_table.peers["ns2"].why_not_counted(44, FRESH) == "silent for 42 s"


@pytest.mark.parametrize(("abstains", "protocol"), [("starting", 1), ("", 2)])
def test_some_do_not_count_although_they_live(abstains: str, protocol: int) -> None:
    rows = [voter(beat, abstains=abstains, protocol=protocol) for beat in (7, 8)]
    assert not seen((1, rows[0]), (2, rows[1])).voters


def test_a_beat_that_went_back_is_no_sign_of_life() -> None:
    """A backup was restored: its dead nodes are as dead as before, and living ones go on."""
    peer_table = seen((0, voter(7)), (1, voter(8)))
    peer_table.voters_read([voter(3)], 9.0, 10.0)
    assert not peer_table.peers["ns2"].why_not_counted(9.0, 10.0)
    assert "silent" in peer_table.peers["ns2"].why_not_counted(11.5, 10.0)
    peer_table.voters_read([voter(4)], 12.0, 10.0)
    assert not peer_table.peers["ns2"].why_not_counted(12.0, 10.0)


def test_two_daemons_of_one_name_are_nobody_until_one_has_rested() -> None:
    rows = [(float(n), voter(n, "one" if n % 2 else "two")) for n in range(1, 9)]
    peer_table = seen(*rows, (9, voter(10, "two")), (10, voter(11, "two")))
    assert not peer_table.voters
    for beat in range(12, 22):
        peer_table.voters_read([voter(beat, "two")], beat, FRESH)
        peer_table.update_voters(beat, FRESH)
    assert peer_table.voters


def test_a_run_that_follows_another_at_leisure_is_no_second_daemon() -> None:
    first = [(1.0, voter(7)), (2.0, voter(8))]
    peer_table = seen(
        *first, (3, voter(1, "two")), (13, voter(2, "three")), (14, voter(3, "three"))
    )
    assert peer_table.voters
    assert seen((1, voter(7)), (2, voter(1, "two"))).peers["ns2"].age(5) is None
    assert peer_table.peers["ns2"].age(15.5) == 1.5


def test_votes_belong_to_the_run_that_gave_them() -> None:
    peer_table = PeerTable("ns1")
    vote = told(passed()).own_votes()[ROW]
    assert peer_table.votes_read("ns2", "one", {ROW: vote}, is_whole=True) == {ROW}
    for beat in (7, 8):
        peer_table.voters_read([voter(beat)], beat, FRESH)
    peer_table.update_voters(8, FRESH)
    assert [cast.node for cast in peer_table.votes_on(ROW)] == ["ns2"]
    assert peer_table.votes_read("ns2", "one", {ROW: vote}, is_whole=False) == set()
    assert peer_table.votes_read("ns2", "one", {}, is_whole=False) == set()
    assert peer_table.votes_read("ns2", "one", {}, is_whole=True) == {ROW}
    assert list(peer_table.votes_on(ROW)) == []
    peer_table.votes_read("ns2", "two", {ROW: vote}, is_whole=True)
    peer_table.voters_read([voter(9)], 9, FRESH)
    assert list(peer_table.votes_on(ROW)) == []


def test_a_node_that_is_gone_is_forgotten() -> None:
    peer_table = seen((1, voter(7)), (2, voter(8)))
    peer_table.voters_read([], 3, FRESH)
    assert not peer_table.peers
    assert peer_table.update_voters(3, FRESH)


# -- without a quorum -------------------------------------------------------------------------


def test_own_health_and_what_was_agreed_are_restored_apart() -> None:
    world = fleet("ns1", "ns2", "ns3")
    world.cut = {("ns1", A)}
    world.run(10)
    ns1 = world.nodes["ns1"]
    ns1.has_store = False
    ns1.start(world.clock, remembers=True)
    assert ns1.health.target(TARGET).health is Health.DOWN
    assert ns1.health_of(TARGET) is Health.UP
    assert verdict(ns1).basis is Basis.HELD
    assert ns1.agreement.own_votes() == {}


def test_a_node_that_decides_alone_from_now_on_starts_with_what_was_agreed() -> None:
    rules = {"ns3": QuorumRules("ns3", votes=False)}
    world = fleet("ns1", "ns2", "ns3", rules=rules)
    ns3 = world.nodes["ns3"]
    assert ns3.health.target(TARGET).health is Health.UNKNOWN
    now = ns3.now(world.clock)
    saved = capture(ns3.health, {}, now)
    alone = HealthMap()
    alone.apply_plan(ns3.plan, now)
    assert restore(alone, replace(saved, elapsed=1.0), now, 300) == {KEY}
    assert alone.target(TARGET).health is Health.UP
    assert alone.records[KEY].decision.contents == (A, B)


def test_a_first_answer_that_waits_for_votes_is_given_when_they_come() -> None:
    rules = {"ns3": QuorumRules("ns3", votes=False)}
    world = fleet("ns1", "ns2", "ns3", rules=rules)
    ns3 = world.nodes["ns3"]
    ns3.start(world.clock, remembers=False)
    ns3.probe(world.clock, world.alive)
    assert ns3.health.pending() == [KEY]
    for _ in range(3):
        world.clock += TICK
        for node in world.nodes.values():
            node.exchange(world.clock, world.tables)
            node.think(world.clock)
    assert ns3.health.pending() == []
    assert set(ns3.health.records[KEY].decision.contents) == {A, B}
