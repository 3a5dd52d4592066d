"""What is explained is what DNS says, for records, clients and health drawn at random."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from tests.system.serving import CACHES, Serving, serving
from tests.system.writing import config, record, table

SEEDS = (1, 2, 3)
RECORDS = 25
POLICIES = ("all", "weighted", "sticky")
WAYS = ("fallback", "all", "last", "nodata", "servfail")
VIEWS = {
    "wide": ["10.0.0.0/8", "2001:db8::/32"],
    "middle": ["10.1.0.0/16", "10.9.0.0/16"],
    "narrow": ["10.1.1.0/24", "2001:db8:1::/48"],
}
CLIENTS = (
    "10.1.1.7/32",
    "10.1.2.0/24",
    "10.9.0.0/20",
    "10.200.0.0/16",
    "11.0.0.0/8",
    "192.0.2.1/32",
    "2001:db8:1::/64",
    "2001:db8:2::/56",
    "2001:db9::/32",
)


@dataclass(frozen=True)
class Drawn:
    """Records as they were drawn; every check passes or fails for good."""

    chance: random.Random

    def config(self) -> str:
        views = [table(f"views.{name}", networks=blocks) for name, blocks in VIEWS.items()]
        records = [self.record(f"r{number}") for number in range(RECORDS)]
        return config(*views, *records, default={"interval": 60})

    def record(self, name: str) -> str:
        draw = self.chance
        keys: dict[str, object] = {
            "policy": draw.choice(POLICIES),
            "prio_min_cnt": draw.randint(1, 3),
            "ttl": draw.choice(["auto", 7]),
            "ttl_min": 2,
            "fallback": draw.choice(["", "192.0.2.98", ["192.0.2.98", "192.0.2.99"]]),
        }
        keys["all_down"] = draw.choice(WAYS if keys["fallback"] else WAYS[1:])
        if draw.random() < 0.5:
            keys["max_answers"] = draw.randint(1, 3)
        dest = [self.dest(number) for number in range(draw.randint(1, 5))]
        result = draw.choice(["pass", "pass", "fail"])
        return record(name, dest=dest, check={"type": "static", "result": result}, **keys)

    def dest(self, number: int) -> dict[str, object]:
        draw = self.chance
        views = draw.choice([[], [], ["wide"], ["narrow"], ["middle", "wide"]])
        weight = draw.randint(1, 9)
        return {
            "host": f"192.0.2.{number + 1}",
            "prio": draw.randint(0, 3),
            "weight": weight,
            "views": views,
        }


async def compare(served: Serving, name: str, client: str) -> None:
    answer = await served.ask(name, ecs=client)
    query = f"name={name}.lb.example&type=A&client={client}"
    status, told = await served.daemon.get(f"/api/v1/explain?{query}")
    assert status == 200, told
    verdict = "NODATA" if answer.is_nodata else answer.rcode
    assert told["verdict"] == verdict
    (balanced,) = told["records"]
    rows: list[dict[str, Any]] = told["answer"]
    if balanced["by_chance"]:
        # Another draw: as many, from the same pool.
        assert len(rows) == len(answer.addresses)
        may_serve = {row["content"] for row in balanced["members"] if row["served"]}
        assert answer.addresses <= may_serve
    else:
        assert {row["content"] for row in rows} == answer.addresses
    if rows:
        assert {row["ttl"] for row in rows} == {answer.ttl}
        assert {row["scope"] for row in rows} == {answer.scope}
    picked = {row["content"] for row in balanced["members"] if row["picked"]}
    assert picked == {row["content"] for row in rows}
    assert all(row["reason"] for row in balanced["members"] if not row["picked"])


@pytest.mark.parametrize("caches", CACHES)
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_explained_is_what_is_answered(seed: int, caches: str) -> None:
    chance = random.Random(seed)
    async with serving(Drawn(chance).config(), caches) as served:
        for number in range(RECORDS):
            for client in chance.sample(CLIENTS, 4):
                await compare(served, f"r{number}", client)
