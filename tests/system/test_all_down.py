"""What is served when nobody is well, per record, with PowerDNS's caches on and off."""

from collections.abc import AsyncIterator

import pytest

from tests.rigs.daemon import Daemon
from tests.rigs.nameserver import NameServer
from tests.rigs.namespaces import Namespace
from tests.rigs.targets import HttpTarget, farm
from tests.rigs.waiting import until
from tests.system.serving import CACHES, KEPT, Serving, serving
from tests.system.writing import BROKEN, config, http, record, table

SORRY, OTHER = "192.0.2.98", "192.0.2.99"


def records(targets: list[HttpTarget]) -> list[str]:
    """One record for each way, all of the same members."""
    ways: dict[str, dict[str, object]] = {
        "fallback": {"fallback": [SORRY, OTHER]},
        "explicit": {"fallback": SORRY, "all_down": "fallback"},
        "ignored": {"fallback": SORRY, "all_down": "nodata"},
        "all": {"all_down": "all"},
        "last": {"all_down": "last"},
        "nodata": {"all_down": "nodata"},
        "nothing": {},
        "servfail": {"all_down": "servfail"},
    }
    hosts = [target.host for target in targets]
    return [
        record(name, dest=hosts, check=http(targets[0].port), **keys) for name, keys in ways.items()
    ]


async def answers(served: Serving, name: str, expected: set[str] | str) -> None:
    """Wait until DNS says so: these addresses, or this in place of any."""

    async def said() -> bool:
        answer = await served.ask(name)
        if expected == "NODATA":
            return answer.is_nodata
        if expected == "SERVFAIL":
            return answer.rcode == "SERVFAIL"
        return set(answer.addresses) == expected

    await until(said, what=f"{name}: {expected}")


@pytest.mark.parametrize("caches", CACHES)
async def test_each_record_has_its_own_way(caches: str) -> None:
    async with farm(3) as targets, serving(config(*records(targets)), caches) as served:
        first, second, third = targets
        everybody = {target.host for target in targets}
        ways: dict[str, set[str] | str] = {
            "fallback": {SORRY, OTHER},
            "explicit": {SORRY},
            "ignored": "NODATA",
            "all": everybody,
            "last": {second.host, third.host},
            "nodata": "NODATA",
            "nothing": "NODATA",
            "servfail": "SERVFAIL",
        }
        for name in ways:
            await answers(served, name, everybody)
        first.fail()
        for name in ways:
            await answers(served, name, everybody - {first.host})
        # Both at once: what is not good any more is decided when the round has ended.
        second.fail()
        third.fail()
        for name in ways:
            if name != "last":
                await answers(served, name, ways[name])
        _, status = await served.daemon.get("/api/v1/status")
        assert {row["effective"] for row in status["members"] if row["address"] in everybody} == {
            "DOWN"
        }
        last = await served.ask("last")
        assert last.addresses
        assert last.addresses <= {second.host, third.host}
        assert (await served.ask("all", "AAAA")).is_nodata
        first.heal()
        for name in ways:
            await answers(served, name, {first.host})


@pytest.mark.parametrize("way", ["last", "nodata", "servfail", "all"])
async def test_who_was_never_well_has_no_last_answer(way: str) -> None:
    www = record("www", dest=["192.0.2.1"], check=BROKEN, all_down=way)
    expected: dict[str, set[str] | str] = {"servfail": "SERVFAIL", "all": {"192.0.2.1"}}
    async with serving(config(www)) as served:
        await answers(served, "www", expected.get(way, "NODATA"))


@pytest.fixture
async def resolver(namespace: Namespace) -> AsyncIterator[NameServer]:
    async with NameServer(namespace.outer) as server:
        yield server


@pytest.mark.parametrize("caches", CACHES)
async def test_a_fallback_may_be_names_that_are_resolved(
    caches: str, namespace: Namespace, resolver: NameServer
) -> None:
    resolver.addresses["sorry.example"] = ["192.0.2.51", "192.0.2.52"]
    www = record(
        "www",
        dest=["192.0.2.1"],
        check=BROKEN,
        fallback=["sorry.example", "gone.example", SORRY],
        dns_ttl=0.6,
    )
    allowed = [table(name, allow=[f"{namespace.outer}/32"]) for name in ("server", "admin")]
    daemon = Daemon(config(*allowed, www), host=namespace.inner, inside=namespace.inside)
    pdns = daemon.powerdns(**(KEPT if caches == "on" else {}))
    if caches == "on":
        control = table("pdns", control_socket=str(pdns.control_socket))
        daemon.configure(config(*allowed, www, control))
    async with daemon, pdns:
        served = Serving(daemon, pdns)
        await answers(served, "www", {SORRY, "192.0.2.51", "192.0.2.52"})
        resolver.addresses["sorry.example"] = ["192.0.2.53"]
        await answers(served, "www", {SORRY, "192.0.2.53"})
        resolver.is_silent = True
        await daemon.logged("sorry.example cannot be resolved")
        assert (await served.ask("www")).addresses == {SORRY, "192.0.2.53"}
