"""The TTL that DNS shows: as configured, or following the checks."""

from pathlib import Path

import pytest

from tests.cli.command import run
from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.serving import CACHES, Serving, serving
from tests.system.writing import config, http, record, table

CALM, SHORT = 4, 1
AUTO = {"ttl": "auto", "ttl_min": SHORT, "ttl_max": 60, "interval": 3, "fast_interval": 1}


async def shows(served: Serving, ttl: int, addresses: set[str]) -> None:
    """Wait until DNS gives exactly these addresses with this TTL."""

    async def shown() -> bool:
        answer = await served.ask("www")
        return (answer.ttl, set(answer.addresses)) == (ttl, addresses)

    await until(shown, within=20, what=f"TTL {ttl} of {sorted(addresses)}")


@pytest.mark.parametrize("caches", CACHES)
async def test_it_is_long_while_all_is_calm_and_short_while_anything_moves(caches: str) -> None:
    async with farm(2) as (first, second):
        both = {first.host, second.host}
        www = record("www", dest=[*both], check=http(first.port), fall=2, rise=2, **AUTO)
        async with serving(config(www), caches) as served:
            # A failure takes an interval to be seen, and a fast one to be believed.
            await shows(served, CALM, both)
            second.fail()
            await shows(served, SHORT, both)
            await shows(served, SHORT, {first.host})
            second.heal()
            await shows(served, CALM, both)


@pytest.mark.parametrize("caches", CACHES)
async def test_it_is_short_while_a_member_is_drained(caches: str, tmp_path: Path) -> None:
    tokens = tmp_path / "admin.tokens"
    tokens.write_text("operate operate-0123456789abcdef\n")
    tokens.chmod(0o600)
    both = {"192.0.2.1", "192.0.2.2"}
    www = record("www", dest=[*both], check={"type": "static"}, fall=2, **AUTO)
    text = config(www, table("admin", token_file=str(tokens)))
    async with serving(text, caches) as served:
        await shows(served, CALM, both)
        order = ("192.0.2.2", "-c", str(served.daemon.config_file))
        assert (await run("drain", *order)).code == 0
        await shows(served, SHORT, {"192.0.2.1"})
        assert (await run("clear", *order)).code == 0
        await shows(served, CALM, both)


@pytest.mark.parametrize(
    ("keys", "ttl"),
    [
        ({"ttl_max": 2}, 2),
        ({"ttl_min": 30}, 30),
        ({"ttl_min": 0, "ttl_max": 0}, 0),
        ({"ttl": 17}, 17),
    ],
)
async def test_it_stays_within_its_bounds(keys: dict[str, object], ttl: int) -> None:
    www = record("www", dest=["192.0.2.1"], check={"type": "static"}, **{**AUTO, **keys})
    async with serving(config(www)) as served:
        assert (await served.ask("www")).ttl == ttl
