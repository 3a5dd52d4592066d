"""What may happen to a fleet of three, most of it to the third.

harm     is done to the fleet, and undone by `mend`
quiet    seconds after it in which no answer may change
late     seconds more than two intervals that a change of targets may take
apart    the same for the third node; None: nobody judges its answers
spread   seconds within which nodes follow one after the other; None: they do not agree then
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from tests.system.fleet_stage import FRESH, HOLD, QUORUM, TIMEOUT, Fleet

Act = Callable[[Fleet], Awaitable[None]]

STALLED = 6.5
"""Seconds for which a Galera cluster takes no writes when a member leaves it by surprise."""

ALONE = FRESH + HOLD + 2.0
"""Seconds after which a node without the votes of others goes by its own view."""


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    harm: Act
    mend: Act
    quiet: float = 6.0
    late: float = 0.0
    apart: float | None = 0.0
    spread: float | None = 1.0
    is_long: bool = True


async def heal(fleet: Fleet) -> None:
    for node in fleet.nodes:
        node.place.heal()


async def cut_from_targets(fleet: Fleet) -> None:
    fleet.nodes[2].place.cut(fleet.bridge.target_network)


async def cut_from_database(fleet: Fleet) -> None:
    place = fleet.nodes[2].place
    place.cut(*fleet.bridge.others(place))


async def cut_from_both(fleet: Fleet) -> None:
    await cut_from_database(fleet)
    await cut_from_targets(fleet)


async def restart_while_cut(fleet: Fleet) -> None:
    await cut_from_targets(fleet)
    await fleet.nodes[2].restart()


async def kill_one(fleet: Fleet) -> None:
    await fleet.nodes[2].member.kill()


async def kill_two(fleet: Fleet) -> None:
    await fleet.nodes[1].member.kill()
    await fleet.nodes[2].member.kill()


async def start_members(fleet: Fleet) -> None:
    """The last that was lost comes first: without it the others are no majority."""
    for node in reversed(fleet.nodes):
        if not node.member.alive:
            await node.member.launch()
    await fleet.cluster.complete()


async def rejoin(fleet: Fleet) -> None:
    await kill_one(fleet)
    await fleet.cluster.complete(2)
    await start_members(fleet)


async def freeze(fleet: Fleet) -> None:
    fleet.nodes[2].member.pause()


async def thaw(fleet: Fleet) -> None:
    fleet.nodes[2].member.resume()


async def isolate(fleet: Fleet) -> None:
    await fleet.nodes[2].member.isolate()


async def join_again(fleet: Fleet) -> None:
    await fleet.nodes[2].member.heal()


async def slow_down(fleet: Fleet) -> None:
    """Every packet to a target takes longer than a check may."""
    fleet.nodes[2].place.delay(2.0, fleet.bridge.target_network)


async def step_clocks(fleet: Fleet) -> None:
    for node, seconds in zip(fleet.nodes, (86400.0, -86400.0, 3600.0), strict=True):
        node.clock.step(seconds)


async def set_clocks(fleet: Fleet) -> None:
    for node in fleet.nodes:
        node.clock.step(0)


async def same_name(fleet: Fleet) -> None:
    third = fleet.nodes[2]
    await third.restart(fleet.text(third, name="ns2"))


async def other_questions(fleet: Fleet) -> None:
    third = fleet.nodes[2]
    await third.restart(fleet.text(third, timeout=TIMEOUT - 0.1))


async def without_quorum(fleet: Fleet) -> None:
    third = fleet.nodes[2]
    await third.restart(fleet.text(third, votes=False))


async def share_probes(fleet: Fleet) -> None:
    """Each target is probed by two of the three, and one of them is cut off."""
    await follow_rules(fleet, {**QUORUM, "probers": 2})
    await cut_from_targets(fleet)


async def probe_all(fleet: Fleet) -> None:
    await heal(fleet)
    await follow_rules(fleet, QUORUM)


async def follow_rules(fleet: Fleet, quorum: Mapping[str, object]) -> None:
    fleet.quorum = quorum
    for node in fleet.nodes:
        read = len(node.daemon.log)
        node.daemon.configure(fleet.text(node))
        node.daemon.reload()
        await node.daemon.logged("reloaded", within=30, after=read)


async def restore(fleet: Fleet) -> None:
    third = fleet.nodes[2]
    await third.restart(fleet.text(third))


async def nothing(fleet: Fleet) -> None:
    """It is over by itself."""


SCENES = (
    Scene("cut from targets", cut_from_targets, heal, is_long=False),
    Scene("restarted while cut from targets", restart_while_cut, heal),
    Scene("slower than its checks may be", slow_down, heal, is_long=False),
    Scene("cut from the database", cut_from_database, heal, late=STALLED, apart=ALONE),
    Scene("cut from both", cut_from_both, heal, late=STALLED, apart=None, quiet=45),
    Scene("member killed", kill_one, start_members, late=STALLED, apart=ALONE),
    Scene("member killed as a target dies", kill_one, start_members, 0.1, STALLED, ALONE, None),
    Scene("member isolated as a target dies", isolate, join_again, 0.1, STALLED, ALONE, None),
    Scene("two members killed", kill_two, start_members, late=ALONE, apart=ALONE, spread=None),
    Scene("member frozen", freeze, thaw, late=STALLED, apart=ALONE),
    Scene("member isolated", isolate, join_again, late=STALLED, apart=ALONE),
    Scene("member rejoined", rejoin, nothing, late=STALLED),
    Scene("clocks step by days", step_clocks, set_clocks, is_long=False),
    # Neither of the two votes: the third is the only voter, and that is too few.
    Scene("two of one name", same_name, restore, late=ALONE, apart=ALONE, spread=None),
    Scene("cut from targets that two of three probe", share_probes, probe_all, quiet=12),
    Scene("one of a version that does not vote", without_quorum, restore, apart=ALONE),
    Scene("one asks other questions", other_questions, restore, apart=ALONE),
)
