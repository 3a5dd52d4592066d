"""Names as operators write them mean the same to every command."""

from pathlib import Path

import pytest

from dnslb_backend.core.model.records import RecordKey
from tests.admin.node import Node
from tests.cli.command import run
from tests.core.building import ZONE, record

OTHER = "other.example"

COMMANDS = [
    ("status",),
    ("explain",),
    ("probe",),
    ("history",),
    ("drain", "10.0.0.1", "--record"),
    ("clear", "10.0.0.1", "--record"),
]


@pytest.fixture
def node() -> Node:
    """`www` in two zones, `api` and `shop` in one."""
    names = [(ZONE, "www"), (OTHER, "www"), (ZONE, "api"), (OTHER, "shop")]
    keys = [RecordKey(zone, f"{name}.{zone}", "A") for zone, name in names]
    node = Node(*(record("10.0.0.1", key=key) for key in keys))
    node.settle()
    return node


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_short_name_of_several_zones_is_refused_with_the_full_names(
    config: Path, command: tuple[str, ...]
) -> None:
    ended = await run(*command, "www", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert f"www exists in several zones (www.{ZONE}, www.{OTHER}): give the full" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
async def test_an_unknown_name_is_refused_with_those_that_are_like_it(
    config: Path, command: tuple[str, ...]
) -> None:
    for written in ("shopp", f"shp.{OTHER}"):
        ended = await run(*command, written, "-c", str(config))
        if (command, written) == (("explain",), f"shp.{OTHER}"):
            # A name of the zone that does not exist is an answer.
            assert ended.out.startswith(f"shp.{OTHER} ANY: NXDOMAIN")
            continue
        assert (ended.code, ended.out) == (1, "")
        assert f"no such record: {written}, did you mean shop.{OTHER}" in ended.err
    ended = await run(*command, "nothing-like-it", "-c", str(config))
    assert ended.err == "refused: name: no such record: nothing-like-it\n"


@pytest.mark.parametrize("command", COMMANDS[:-1])
async def test_a_short_name_of_one_zone_is_that(config: Path, command: tuple[str, ...]) -> None:
    ended = await run(*command, "API", "-c", str(config))
    assert (ended.code, ended.err) in ((0, ""), (0, "no transitions recorded\n"))


@pytest.mark.parametrize("command", ["explain", "probe"])
async def test_an_unknown_type_is_refused(config: Path, command: str) -> None:
    ended = await run(command, "api", "BOGUS", "-c", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert "type: unknown record type 'BOGUS'; such as A, AAAA, MX, or ANY" in ended.err
