"""A fleet decides together: whatever happens to one node, no answer of the others is wrong."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.rigs.namespaces import ForbiddenError
from tests.rigs.places import Bridge, places
from tests.system.fleet_scenes import SCENES, Scene
from tests.system.fleet_stage import INTERVAL, NAMES, Fleet, fleet, watch

MARKS = {True: [pytest.mark.soak], False: []}
BUSY = 30.0
"""Seconds more to wait for what is judged afterwards."""


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    try:
        with places(3, targets=3) as bridge:
            yield bridge
    except ForbiddenError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
async def stage(bridge: Bridge, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet(bridge, tmp_path_factory.mktemp("fleet")) as stage:
        yield stage


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "scene", [pytest.param(scene, id=scene.name, marks=MARKS[scene.is_long]) for scene in SCENES]
)
async def test_no_answer_is_wrong(stage: Fleet, scene: Scene) -> None:
    await stage.steady()
    began = time.monotonic()
    try:
        await scene.harm(stage)
        await watch(scene.quiet)
        problems, waited = await turn(stage, scene)
        problems += wrong(stage, scene, began, waited)
    finally:
        await scene.mend(stage)
    assert not problems, "\n".join(problems)
    await stage.steady()


async def turn(stage: Fleet, scene: Scene) -> tuple[list[str], float]:
    """A target falls ill and recovers: where nodes take too long, or do not agree.

    And for how many seconds a CPU was missing meanwhile.
    """
    problems, most = [], 0.0
    limit = 2 * INTERVAL + scene.late
    third = stage.nodes[2]
    prompt = [node for node in stage.nodes if node is not third or scene.apart == 0.0]
    for act in (stage.fall_ill, stage.recover):
        waited = starved()
        due = await act(stage.targets[0])
        try:
            took = await stage.follow(prompt, due, limit + BUSY)
            waited = starved() - waited
            most = max(most, waited)
            problems += judge(scene, act.__name__, took, limit, waited)
            if scene.apart:
                await stage.follow([third], due, limit + scene.apart + BUSY)
        except TimeoutError as error:
            problems.append(f"{act.__name__}: {error}")
    return problems, most


def judge(
    scene: Scene, what: str, took: list[list[float]], limit: float, waited: float
) -> list[str]:
    """Whether nodes followed in time, and together; `waited`: seconds that a CPU was missing."""
    problems = []
    for name, seconds in zip(NAMES, took, strict=True):
        figures = f"{what}: {name} after {', '.join(f'{each:.2f}' for each in seconds)} s"
        print(f"{scene.name}: {figures}, {waited:.1f} s starved")  # noqa: T201 - for people
        apart = max(seconds) - min(seconds)
        if max(seconds) > limit + waited:
            problems.append(f"{figures}, not {limit} s")
        if scene.spread is not None and apart > scene.spread + waited:
            problems.append(f"{figures}, not within {scene.spread} s")
    return problems


def starved() -> float:
    """Seconds since the start in which something on this machine waited for a CPU (PSI)."""
    try:
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
    except OSError:
        return 0.0
    return int(some.rpartition("total=")[2]) / 1e6


def wrong(stage: Fleet, scene: Scene, began: float, waited: float) -> list[str]:
    """Every wrong answer of the nodes that are judged."""
    problems = []
    for node in stage.nodes:
        late = late_of(scene, node is stage.nodes[2])
        if late is not None:
            slack = 2 * INTERVAL + late + waited
            changes = node.observed.changes
            found = stage.truth.wrong(changes, began, slack, node.excused)
            problems += [f"{node.name} after {line}" for line in found]
    return problems


def late_of(scene: Scene, is_third: bool) -> float | None:
    return scene.late if not is_third or scene.apart == 0.0 else scene.apart
