"""How members are picked, as DNS shows it: at random by weight, by client network, not too many.

PowerDNS's caches are on, and hold for a minute what they may: no pick is among that.
"""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import dns.flags
import pytest

from tests.cli.command import run
from tests.rigs.daemon import Daemon, with_setting
from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.serving import CACHES, Serving, serving
from tests.system.writing import FINE, config, http, record

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
ALWAYS = {"type": "static"}
MANY = [f"10.{n // 250}.{n % 250}.1" for n in range(1000)]
UDP_LIMIT = 1232
TOKEN = "operate-0123456789abcdef"
OVERRIDES = "/api/v1/overrides"


def weighing(**weights: int) -> list[dict[str, object]]:
    """Destinations a, b and c with these weights."""
    hosts = {"a": A, "b": B, "c": C}
    return [{"host": hosts[name], "weight": weight} for name, weight in weights.items()]


CONFIG = config(
    record("weighted", policy="weighted", dest=weighing(a=1, b=2, c=7)),
    record("pair", policy="weighted", max_answers=2, dest=weighing(a=1, b=2, c=7)),
    record("spare", policy="weighted", max_answers=3, dest=weighing(a=1, b=0, c=1)),
    record("even", policy="weighted", dest=[A, B]),
    record("alias", "CNAME", dest=[{"host": "even.lb.example.", "check_address": A}]),
    record(
        "tiers",
        policy="weighted",
        dest=[{"host": A, "prio": 2}, {"host": B, "prio": 2}, {"host": C, "prio": 1, "weight": 99}],
    ),
    record("sticky", policy="sticky", dest=[A, B, C]),
    record("wide", policy="sticky", dest=[A, B, C], sticky={"ipv4": 8, "ipv6": 32}),
    record("everybody", policy="sticky", dest=[A, B, C], sticky={"ipv4": 0, "ipv6": 0}),
    record("few", dest=[A, B, C], max_answers=2),
    record("many", dest=MANY),
    record("some", policy="weighted", max_answers=3, dest=MANY[:100]),
    record(
        "mail",
        "MX",
        dest=[{"host": A, "content": f"10 {'m' * 40}{n}.lb.example."} for n in range(300)],
    ),
    default={"check": ALWAYS, "interval": 60},
)


@pytest.fixture(scope="module", params=CACHES)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Serving]:
    async with serving(CONFIG, request.param) as served:
        yield served


def clients(count: int) -> list[str]:
    """Addresses to ask from: those that ask one after the other share their /24."""
    return [f"127.1.{n // 250}.{n % 250 + 1}" for n in range(count)]


async def picks(served: Serving, name: str, count: int) -> Counter[str]:
    """What so many clients are given, who send no subnet: one packet cache is for all."""
    found: Counter[str] = Counter()
    for source in clients(count):
        found.update((await served.ask(name, source=source)).addresses)
    return found


async def test_one_is_picked_by_weight_and_no_cache_keeps_it(served: Serving) -> None:
    found = await picks(served, "weighted", 800)
    assert [found[host] / 800 for host in (A, B, C)] == pytest.approx([0.1, 0.2, 0.7], abs=0.08)


async def test_a_weight_override_moves_the_picks_and_ends(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"operate {TOKEN} ann\n")
    text = with_setting(CONFIG, "admin", "token_file", str(tokens))
    order = {"target": C, "action": "weight", "weight": 0, "name": "weighted.lb.example."}

    async with serving(text) as weighing:

        async def picks_of_c() -> int:
            return (await picks(weighing, "weighted", 40))[C]

        async def has_none() -> bool:
            return not await picks_of_c()

        assert (await weighing.daemon.request("POST", OVERRIDES, order, token=TOKEN))[0] == 201
        await until(has_none)
        path = f"{OVERRIDES}?target={C}"
        assert (await weighing.daemon.request("DELETE", path, token=TOKEN))[0] == 200
        await until(picks_of_c)


async def test_two_are_picked_without_replacement(served: Serving) -> None:
    found = await picks(served, "pair", 500)
    assert found.total() == 1000
    # Out is the one that two draws leave: 7/10 x 2/3 + 2/10 x 7/8, and so on.
    expected = [1 - 0.642, 1 - 0.311, 1 - 0.047]
    assert [found[host] / 500 for host in (A, B, C)] == pytest.approx(expected, abs=0.1)


async def test_weight_zero_is_not_picked_even_to_fill_the_answer(served: Serving) -> None:
    assert await picks(served, "spare", 20) == {A: 20, C: 20}


async def test_one_client_is_given_another_pick_later(served: Serving) -> None:
    seen: set[str] = set()

    async def both() -> bool:
        answer = await served.ask("even")
        # The lookups that PowerDNS makes for one question agree on one pick.
        assert len(answer.addresses) == 1
        seen.update(answer.addresses)
        return len(seen) == 2

    await until(both)


async def test_what_leads_to_a_pick_is_not_kept_either(served: Serving) -> None:
    assert set(await picks(served, "alias", 60)) == {A, B}


async def test_only_the_open_tier_is_picked_from(served: Serving) -> None:
    assert set(await picks(served, "tiers", 60)) == {A, B}


async def test_a_network_keeps_its_member_and_is_told_for_whom_it_is(served: Serving) -> None:
    seen: Counter[str] = Counter()
    for net in range(60):
        answers = [
            await served.ask("sticky", ecs=f"10.9.{net}.{last}")
            for last in ("1/32", "200/32", "0/24")
        ]
        (address,) = answers[0].addresses
        assert {answer.addresses for answer in answers} == {frozenset({address})}
        assert {answer.scope for answer in answers} == {24}
        seen[address] += 1
    assert set(seen) == {A, B, C}


async def test_without_a_subnet_it_is_the_network_of_who_asks(served: Serving) -> None:
    nets = {
        third: {(await served.ask("sticky", source=f"127.2.{third}.{n}")).addresses for n in (1, 9)}
        for third in range(30)
    }
    assert all(len(found) == 1 for found in nets.values())
    assert len({address for found in nets.values() for address in found}) == 3


async def test_how_much_of_the_client_counts_is_configured(served: Serving) -> None:
    near = [await served.ask("wide", ecs=f"10.{net}.0.0/16") for net in range(20)]
    assert len({answer.addresses for answer in near}) == 1
    assert {answer.scope for answer in near} == {8}
    far = [await served.ask("wide", ecs=f"{net}.0.0.0/16") for net in range(1, 40)]
    assert len({answer.addresses for answer in far}) == 3
    six = [await served.ask("wide", ecs=f"2001:db8:{net:x}::/48") for net in range(20)]
    assert len({answer.addresses for answer in six}) == 1
    assert {answer.scope for answer in six} == {32}


async def test_no_bits_of_the_client_give_all_the_same(served: Serving) -> None:
    found = [await served.ask("everybody", ecs=f"{net}.0.0.0/16") for net in range(1, 20)]
    assert len({answer.addresses for answer in found}) == 1


@pytest.mark.parametrize("ecs", ["0.0.0.0/0", "::/0", "10.0.0.0/4", "::ffff:10.9.1.0/120"])
@pytest.mark.parametrize("name", ["weighted", "sticky", "few", "many"])
async def test_whatever_the_subnet_says_there_is_an_answer(
    served: Serving, name: str, ecs: str
) -> None:
    answer = await served.ask(name, ecs=ecs)
    assert (answer.rcode, bool(answer.addresses)) == ("NOERROR", True)


async def test_max_answers_gives_every_client_some_of_them(served: Serving) -> None:
    found = await picks(served, "few", 60)
    assert (found.total(), set(found)) == (120, {A, B, C})


async def test_a_thousand_members_make_an_answer_that_udp_carries(served: Serving) -> None:
    found: set[str] = set()
    for source in clients(40):
        answer = await served.ask("many", source=source)
        assert "tc" not in answer.flags
        assert len(answer.message.to_wire()) <= UDP_LIMIT
        assert len(answer.addresses) > 60
        found |= answer.addresses
    assert len(found) > 800


async def test_where_512_bytes_are_too_few_it_is_truncated_and_tcp_has_it(served: Serving) -> None:
    short = await served.ask("many", edns=False)
    assert "tc" in short.flags
    assert len(short.message.to_wire()) <= 512
    whole = await served.ask("many", edns=False, tcp=True)
    assert "tc" not in whole.flags
    assert len(whole.addresses) > 60
    fitting = await served.ask("some", edns=False)
    assert ("tc" in fitting.flags, len(fitting.addresses)) == (False, 3)


async def test_contents_are_counted_by_their_length(served: Serving) -> None:
    answer = await served.ask("mail", "MX")
    assert not answer.message.flags & dns.flags.TC
    assert len(answer.message.to_wire()) <= UDP_LIMIT
    assert len(answer.contents) > 10


async def test_when_a_member_goes_only_its_clients_move() -> None:
    async with farm(4) as targets:
        hosts = [target.host for target in targets]
        www = record("www", policy="sticky", dest=hosts, check=http(targets[0].port))
        async with serving(config(www)) as served:

            async def owners() -> dict[str, str]:
                found = {}
                for net in range(100):
                    answer = await served.ask("www", ecs=f"10.{net}.0.0/24")
                    (found[f"10.{net}"],) = answer.addresses
                return found

            before = await owners()
            assert set(before.values()) == set(hosts)
            targets[0].fail()
            await served.daemon.logged(f"www.lb.example/A {hosts[0]}: UP -> DOWN")
            after = await owners()
            moved = {net for net in before if before[net] != after[net]}
            assert moved == {net for net in before if before[net] == hosts[0]}
            assert len(set(after.values())) == 3
            targets[0].heal()
            await served.daemon.logged(f"www.lb.example/A {hosts[0]}: DOWN -> UP")
            assert await owners() == before


async def test_a_member_that_came_back_starts_slowly() -> None:
    async with farm(2) as targets:
        hosts = [target.host for target in targets]
        check = http(targets[0].port)
        www = record("www", policy="weighted", slow_start=600, dest=hosts, check=check)
        async with serving(config(www)) as served:
            targets[0].fail()
            await served.daemon.logged(f"www.lb.example/A {hosts[0]}: UP -> DOWN")
            targets[0].heal()
            await served.daemon.logged(f"www.lb.example/A {hosts[0]}: DOWN -> UP")
            found = await picks(served, "www", 200)
            assert found[hosts[0]] < 40
            _, report = await served.daemon.get("/api/v1/status")
            members = {row["content"]: row for row in report["members"]}
            assert members[hosts[0]]["weight_percent"] == 5
            assert members[hosts[1]]["weight_percent"] == 100
            served.daemon.reload()
            await served.daemon.logged("reloaded: ")
            assert (await picks(served, "www", 200))[hosts[0]] < 40


BAD = {
    "weights all zero": (weighing(a=0, b=0), "dest", "every weight is 0"),
    "negative weight": (weighing(a=-1), "dest[0].weight", "greater than or equal to 0"),
    "weight that is no number": ([{"host": A, "weight": "x"}], "dest[0].weight", "valid integer"),
    "weight that is a fraction": ([{"host": A, "weight": 0.5}], "dest[0].weight", "integer"),
    "no answers": ([A], "max_answers", "greater than or equal to 1"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_picked_from_is_refused(case: str, tmp_path: Path) -> None:
    dest, path, words = BAD[case]
    limit = {"max_answers": 0} if path == "max_answers" else {}
    file = tmp_path / "dnslb.toml"
    file.write_text(
        config(record("www", policy="weighted", dest=dest, **limit), default={"check": ALWAYS})
    )
    ended = await run("serve", "-c", str(file))
    assert (ended.code, ended.out) == (126, "")
    [line] = ended.err.splitlines()
    assert line.startswith(f"{file}: records.www.A.{path}")
    assert words in line


async def test_who_asks_the_backend_by_hand_sees_everybody_who_may_be_picked() -> None:
    dest = [{"host": f"192.0.2.{number}", "weight": number} for number in (1, 2)]
    www = record("www", dest=dest, check=FINE, policy="weighted", max_answers=1)
    async with Daemon(config(www)) as daemon:
        asked = {"method": "directBackendCmd", "parameters": {"query": "STATUS www.lb.example"}}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"http://{daemon.http}/dns", json=asked) as response,
        ):
            told = (await response.json(content_type=None))["result"]
        assert told.splitlines() == [f"www.lb.example 5 A 192.0.2.{number}" for number in (1, 2)]
