"""Answers that change, or differ from client to client, are signed as they are given."""

from tests.rigs.dig import Answer
from tests.rigs.targets import farm
from tests.rigs.validators import Unbound, delv
from tests.rigs.waiting import until
from tests.system.signed import MODES, ZONE, Signed, signed
from tests.system.writing import config, http, record

BRISK = {"interval": 0.2, "timeout": 0.15, "dns_timeout": 0.04}

PASS = {"type": "static", "result": "pass"}

TABLE = f"""
[zones."{ZONE}"]
soa = {{ minimum = 1, ttl = 1 }}
"""


def resolver(made: Signed, source: str = "127.0.0.1") -> Unbound:
    return Unbound({ZONE: made.pdns}, made.trusted, source=source)


async def believed(unbound: Unbound, name: str, addresses: set[str]) -> Answer:
    """Ask until a validator gives these addresses and says that they are proved."""

    async def answered() -> Answer | None:
        answer = await unbound.ask(f"{name}.{ZONE}")
        assert answer.rcode == "NOERROR", str(answer.message)
        assert "ad" in answer.flags, str(answer.message)
        return answer if answer.addresses == addresses else None

    answer = await until(answered, what=f"{name} = {sorted(addresses)}")
    assert answer is not None
    return answer


async def test_a_failover_is_believed() -> None:
    async with farm(2) as (first, second):
        everybody = {first.host, second.host}
        www = record("www", dest=[*everybody], check=http(first.port), ttl=1)
        async with (
            signed("on", config(www, default=BRISK) + TABLE) as made,
            resolver(made) as unbound,
        ):
            await believed(unbound, "www", everybody)
            await second.stop()
            await believed(unbound, "www", {first.host})
            await first.stop()
            for mode in MODES:
                await made.prove_by(mode)
                nothing = await believed(unbound, "www", set())
                assert nothing.is_nodata
            await first.start()
            await believed(unbound, "www", {first.host})


async def test_what_chance_picks_is_believed() -> None:
    addresses = [f"127.0.0.{number}" for number in range(2, 6)]
    any_one = record("any", dest=addresses, check=PASS, policy="weighted", max_answers=1)
    async with signed("on", config(any_one) + TABLE) as made:
        seen = set[str]()
        for _ in range(12):
            verdict = await delv(made.pdns, made.trusted, f"any.{ZONE}")
            assert verdict.is_valid, str(verdict)
            seen |= {address for address in addresses if f"\t{address}\n" in verdict.text}
        assert len(seen) > 1


async def test_who_is_given_nothing_does_not_hide_it_from_others() -> None:
    """A resolver may conclude from one proof what it would otherwise ask (RFC 8198)."""
    dest = [{"host": "127.0.0.9", "views": ["office"]}]
    views = '\n[views.office]\nnetworks = ["127.0.0.2/32"]\n'
    desk = record("desk", dest=dest, check=PASS)
    async with (
        signed("on", config(desk) + TABLE + views) as made,
        resolver(made, "127.0.0.1") as outside,
        resolver(made, "127.0.0.2") as office,
    ):
        for mode in MODES:
            await made.prove_by(mode)
            for unbound in (outside, office, outside, office):
                for qtype in ("AAAA", "TXT"):
                    answer = await unbound.ask(f"desk.{ZONE}", qtype)
                    assert answer.is_nodata
                    assert "ad" in answer.flags
                beside = await unbound.ask(f"desk{mode}.{ZONE}")
                assert beside.rcode == "NXDOMAIN"
                assert "ad" in beside.flags
            await believed(outside, "desk", set())
            await believed(office, "desk", {"127.0.0.9"})
