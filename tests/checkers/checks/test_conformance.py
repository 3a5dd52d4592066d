"""What every kind of check must do, whatever it asks. A new kind is one row in scenes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint, run_probe
from dnslb_backend.checkers.checks.registry import KINDS, parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.conftest import Authority
from tests.checkers.probing import HERE, LIMIT
from tests.checkers.scenes import ROWS, Row, Scene, Stage
from tests.rigs.mariadb import MariaDB
from tests.rigs.postgres import Postgres
from tests.rigs.processes import children, descriptors
from tests.rigs.waiting import until

SHORT = 0.3
SLACK = 0.4

# Pings need a network of their own to fail in: test_icmp.
IN_THIS_NETWORK = {kind: row for kind, row in ROWS.items() if kind != "icmp"}


def scenes(name: str) -> list[Any]:
    return [
        pytest.param(row, scene, id=kind)
        for kind, row in IN_THIS_NETWORK.items()
        if (scene := getattr(row, name)) is not None
    ]


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[MariaDB]:
    async with MariaDB(tcp=True) as database:
        await database.query(f"CREATE USER probe@'{HERE}' IDENTIFIED BY 's3cret'")
        yield database


@pytest.fixture(scope="module")
async def postgres() -> AsyncIterator[Postgres]:
    async with Postgres() as postgres:
        await postgres.query("CREATE ROLE probe LOGIN PASSWORD 's3cret'")
        yield postgres


@pytest.fixture
def stage(
    tools: CheckResources,
    authority: Authority,
    tmp_path: Path,
    database: MariaDB,
    postgres: Postgres,
) -> Stage:
    return Stage(tmp_path, authority, tools.push_reports, database, postgres)


def test_every_kind_has_its_row() -> None:
    assert ROWS.keys() == KINDS.keys()


@pytest.mark.parametrize(("row", "scene"), scenes("passing"))
async def test_a_good_target_passes(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, endpoint):
        result = await run_probe(parse_check(table), endpoint, LIMIT, tools)
    assert (result.outcome, result.code) == (Outcome.PASS, Code.PASS)
    assert 0 < result.duration < LIMIT


@pytest.mark.parametrize(("row", "scene"), scenes("failing"))
async def test_a_bad_target_fails(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, endpoint):
        result = await run_probe(parse_check(table), endpoint, LIMIT, tools)
    assert result.outcome is Outcome.FAIL
    assert result.code not in (Code.PASS, Code.TIMEOUT, Code.INTERNAL_ERROR)
    assert result.text.isprintable()
    assert (result.priority, result.weight) == (None, None)


@pytest.mark.parametrize(("row", "scene"), scenes("refusing"))
async def test_a_target_that_refuses(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, endpoint):
        result = await run_probe(parse_check(table), endpoint, LIMIT, tools)
    ours = row.refused == Code.INTERNAL_ERROR
    assert result.outcome is (Outcome.ERROR if ours else Outcome.FAIL)
    assert result.code == row.refused


@pytest.mark.parametrize(("row", "scene"), scenes("hanging"))
async def test_a_target_that_hangs(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, endpoint):
        check = parse_check(table)
        # Once in vain: what outlives a probe is there then.
        await run_probe(check, endpoint, 0.05, tools)
        result = await run_probe(check, endpoint, SHORT, tools)
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.TIMEOUT)
    assert result.text == f"no answer within {SHORT} s"
    assert SHORT <= result.duration < SHORT + SLACK


@pytest.mark.parametrize(("row", "scene"), scenes("hanging"))
async def test_a_probe_can_be_called_off(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, endpoint):
        check = parse_check(table)
        # Once in vain: what outlives a probe is there then.
        await run_probe(check, endpoint, 0.05, tools)
        before = descriptors()
        for moment in (0, 1, 5, 50):
            probe = asyncio.create_task(run_probe(check, endpoint, 60, tools))
            await asyncio.wait([probe], timeout=moment / 1000)
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
        # What the server of the scene has open goes with the probe.
        await until(lambda: len(descriptors()) <= len(before), what="closed descriptors")


@pytest.mark.parametrize("name", ["passing", "failing", "refusing", "hanging"])
@pytest.mark.parametrize("kind", IN_THIS_NETWORK)
async def test_no_probe_leaves_anything(
    tools: CheckResources, stage: Stage, kind: str, name: str
) -> None:
    scene: Scene | None = getattr(ROWS[kind], name)
    if scene is None:
        return
    async with scene(stage) as (table, endpoint):
        check = parse_check(table)
        limit = 0.05 if name == "hanging" else LIMIT
        await run_probe(check, endpoint, limit, tools)
        helpers, before = children(), descriptors()
        for _ in range(10):
            await run_probe(check, endpoint, limit, tools)
        await until(lambda: len(descriptors()) <= len(before), what="closed descriptors")
        assert children() == helpers


@pytest.mark.parametrize(("row", "scene"), scenes("passing"))
async def test_a_check_describes_itself(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, _):
        check = parse_check(table)
        for address in (HERE, "2001:db8::1"):
            shown = check.describe(ProbeEndpoint(address, 8443))
            assert shown
            assert shown.isprintable()
            assert "s3cret" not in shown
            assert "t0ken" not in shown
        assert "s3cret" not in repr(check)
        assert "t0ken" not in repr(check)


@pytest.mark.parametrize(("row", "scene"), scenes("passing"))
async def test_a_check_is_a_value(
    tools: CheckResources, stage: Stage, row: Row, scene: Scene
) -> None:
    async with scene(stage) as (table, _):
        one, two = parse_check(table), parse_check(table)
        assert one == two
        assert hash(one) == hash(two)
        with pytest.raises(ValueError, match="frozen"):
            setattr(one, "type", "other")  # noqa: B010 - a type checker refuses the plain way
