"""300 records of four members each, checked by real commands, decided as the original did.

What is expected is worked out by tests.core.restatement, from the same figures that the
configuration and the commands were written from.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.core.restatement import command_priority, enabled
from tests.rigs.daemon import Daemon
from tests.rigs.powerdns import PowerDNS
from tests.system.scripts import Scripts
from tests.system.writing import config, record

SEED = 20260101
RECORDS = 300
ADDRESSES = 700
"""Fewer than there are members: some are checked for several records."""

OUTPUTS = (
    "",
    "ok",
    "ok prio=@",
    "ok prio=1",
    "ok prio=2",
    "ok prio=3",
    "ok prio=12",
    "ok prio=0",
    "ok prio=-2",
    "ok prio=+2",
    "ok prio=+++",
    "ok prio=high",
    "ok prio=",
    "ok\nprio=2\nprio=9",
    "prio=4 nok",
    "OK prio=3",
    "überall ok prio=2",
    "ok prio=\udcff3",  # a byte that is no UTF-8
)
EXPECTS = ("", "", "", "ok", "^ok", "(?i)^ok\\b", "nothing like it", "ok$")
PRIO_REGEXES = ("", "prio=(\\S*)", "prio=(\\d+)", "(?m)^prio=(.*)$", "prio=\\S+", "(@)")
FALLBACKS = ("", "", "{elsewhere}", "{dest}")


@dataclass(frozen=True)
class Said:
    """What the check of one address prints, and how it ends."""

    output: str
    code: int

    @property
    def text(self) -> str:
        """What is read of it: bytes that are no UTF-8 are dropped."""
        return self.output.encode(errors="surrogateescape").decode(errors="ignore")

    @classmethod
    def draw(cls, chance: random.Random) -> "Said":
        code = chance.choice([0] * 20 + [1, 2, 7, 126, 127, 255])
        return cls(chance.choice(OUTPUTS), code)


@dataclass(frozen=True)
class Balanced:
    """One record as it was drawn: `dest` gives the static priority of each address."""

    name: str
    type: str
    dest: dict[str, int]
    expect: str
    prio_regex: str
    prio_min_cnt: int
    fallback: str

    @classmethod
    def draw(cls, chance: random.Random, number: int, pools: dict[str, list[str]]) -> "Balanced":
        # Two numbers, one name: both families under it.
        qtype = ("A", "AAAA")[number % 2]
        addresses = chance.sample(pools[qtype], 4)
        elsewhere = {"A": "203.0.113.9", "AAAA": "2001:db8:ffff::9"}[qtype]
        fallback = chance.choice(FALLBACKS).format(elsewhere=elsewhere, dest=addresses[0])
        return cls(
            name=f"r{number // 2}",
            type=qtype,
            dest={address: chance.choice([-1, 0, 1, 1, 1, 1, 2, 2, 3]) for address in addresses},
            expect=chance.choice(EXPECTS),
            prio_regex=chance.choice(PRIO_REGEXES),
            prio_min_cnt=chance.choice([-1, 0, 1, 1, 2, 3, 4, 99]),
            fallback=fallback,
        )

    def written(self, argv: list[str]) -> str:
        # A priority of 1 is the default, and left out.
        dest = [host if prio == 1 else f"{host}@{prio}" for host, prio in self.dest.items()]
        keys = {"fallback": self.fallback} if self.fallback else {}
        return record(
            self.name,
            self.type,
            dest=dest,
            check=argv,
            expect=self.expect,
            prio_regex=self.prio_regex,
            prio_min_cnt=self.prio_min_cnt,
            **keys,
        )

    def results(self, said: dict[str, Said]) -> dict[str, tuple[int, int | None]]:
        """Result code and priority of each address."""
        return {
            address: command_priority(
                said[address].code, said[address].text, self.expect, self.prio_regex, static
            )
            for address, static in self.dest.items()
        }

    def answer(self, said: dict[str, Said]) -> set[str]:
        priorities = {address: prio for address, (_, prio) in self.results(said).items()}
        serving = enabled(priorities, self.prio_min_cnt)
        return serving or ({self.fallback} if self.fallback else set())


@dataclass
class World:
    """All that was drawn, and the daemon and the name server that were told of it."""

    daemon: Daemon
    pdns: PowerDNS
    records: list[Balanced]
    said: dict[str, Said] = field(default_factory=dict)


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Running, and every first round has ended."""
    chance = random.Random(SEED)
    scripts = Scripts(tmp_path_factory.mktemp("decisions") / "checks")
    pools = {
        "A": [f"10.0.{n // 250}.{n % 250}" for n in range(ADDRESSES // 2)],
        "AAAA": [f"2001:db8::{n + 1:x}" for n in range(ADDRESSES // 2)],
    }
    said = {address: Said.draw(chance) for pool in pools.values() for address in pool}
    for address, words in said.items():
        scripts.say(address, words.output, words.code)
    records = [Balanced.draw(chance, number, pools) for number in range(RECORDS)]
    written = [each.written(scripts.argv) for each in records]
    text = config(*written, default={"interval": 60, "timeout": 30, "dns_timeout": 1})
    async with Daemon(text, ready=False) as daemon:
        await daemon.ready(within=40)
        async with daemon.powerdns() as pdns:
            yield World(daemon, pdns, records, said)


async def test_every_answer_is_what_the_rules_say(world: World) -> None:
    kinds = set()
    for each in world.records:
        expected = each.answer(world.said)
        answer = await world.pdns.ask(f"{each.name}.lb.example", each.type)
        assert answer.rcode == "NOERROR", each
        assert answer.addresses == expected, each
        assert answer.is_nodata is not bool(expected), each
        kinds.add((len(expected), expected == {each.fallback}))
    # All sorts of answers came about: none, one to four, fallbacks.
    assert {count for count, _ in kinds} == {0, 1, 2, 3, 4}
    assert (1, True) in kinds


async def test_every_result_code_and_priority_is_what_the_rules_say(world: World) -> None:
    _, status = await world.daemon.get("/api/v1/status")
    rows = {
        (row["name"], row["type"], row["content"]): row
        for row in status["members"]
        if not row["fallback"]
    }
    assert len(rows) == 4 * RECORDS
    for each in world.records:
        served = each.answer(world.said)
        for address, (code, priority) in each.results(world.said).items():
            row = rows[f"{each.name}.lb.example", each.type, address]
            assert (row["result_code"], row["priority"]) == (code, priority), (each, row)
            assert row["health"] == ("UP" if code == 0 else "DOWN"), (each, row)
            assert row["served"] == (address in served), (each, row)


async def test_what_cannot_be_drawn_is_decided_by_the_rules_as_well(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path / "checks")
    late, killed, well, twice = "192.0.2.1", "192.0.2.2", "192.0.2.3", "127.0.0.1"
    scripts.do(late, "printf ok; sleep 60")
    scripts.do(killed, "printf ok; kill -KILL $$")
    scripts.say(well, "ok")
    scripts.say(twice, "ok")
    records = [
        record("some", dest=[late, killed, well]),
        record("none", dest=[late, killed], fallback=well),
        # One address, two destinations: the higher priority is the one that counts.
        record("twice", dest=[f"{twice}@1", "localhost@3", f"{well}@2"]),
        record("again", dest=["localhost@3", f"{twice}@1", f"{well}@2"]),
    ]
    defaults = {"check": scripts.argv, "expect": "ok", "interval": 60, "timeout": 1.5}
    async with (
        Daemon(config(*records, default={**defaults, "dns_timeout": 1})) as daemon,
        daemon.powerdns() as pdns,
    ):
        served = {"some": well, "none": well, "twice": twice, "again": twice}
        for name, address in served.items():
            assert (await pdns.ask(f"{name}.lb.example")).addresses == {address}
        _, status = await daemon.get("/api/v1/status")
        codes = {row["address"]: row["result_code"] for row in status["members"]}
        # A signal shows as the shell shows it: 128 and its number.
        assert codes == {late: -2, killed: 128 + 9, well: 0, twice: 0}
