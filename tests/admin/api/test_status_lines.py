"""/api/v1/status/lines: the status a line a record, each as soon as it is rendered."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dnslb_backend.admin.api.status import StatusQuery
from dnslb_backend.admin.api.status_lines import StatusHead, render_lines
from dnslb_backend.admin.settings import AdminSettings
from dnslb_backend.core.model.records import RecordKey
from tests.admin.api.test_status import big
from tests.admin.node import BROKEN, OK, Node, serving
from tests.core.building import ZONE, at, record

PATH = "/api/v1/status/lines"


async def lines(session: aiohttp.ClientSession, **query: str) -> list[dict[str, Any]]:
    async with session.get(PATH, params=query) as response:
        assert response.status == 200
        assert response.content_type == "application/jsonl"
        return [json.loads(line) async for line in response.content]


async def test_they_say_what_the_status_says(client: aiohttp.ClientSession, node: Node) -> None:
    node.adopt(record("10.0.0.1", "10.0.0.2", fallback=("192.0.2.9",)))
    node.settle({"10.0.0.1": BROKEN, "10.0.0.2": BROKEN})
    head, line = await lines(client)
    async with client.get("/api/v1/status") as response:
        status = await response.json()
    assert line == {"record": status["records"][0], "members": status["members"]}
    StatusHead.model_validate(head, extra="forbid")
    # A fallback address is no member.
    assert [head[key] for key in ("records", "members", "up", "down", "unknown")] == [1, 2, 0, 2, 0]
    assert {key: head[key] for key in ("node", "version", "started", "ready")} == {
        key: status[key] for key in ("node", "version", "started", "ready")
    }


async def test_they_come_in_order_and_only_what_was_asked_for(
    client: aiohttp.ClientSession, node: Node
) -> None:
    names = ("www", "api", "db", "api.other")
    keys = [RecordKey(ZONE, f"{name}.{ZONE}", kind) for name in names for kind in ("AAAA", "A")]
    node.adopt(*(record("10.0.0.1", key=key) for key in keys))
    found = [(line["record"]["name"], line["record"]["type"]) for line in (await lines(client))[1:]]
    assert found == sorted((key.name, key.type) for key in keys)
    head, *some = await lines(client, name=f"db {names[0]}.{ZONE}. a*r.{ZONE}")
    assert head["records"] == len(some) == 6
    assert {line["record"]["name"].removesuffix(f".{ZONE}") for line in some} == {
        "db",
        "www",
        "api.other",
    }
    head, *none = await lines(client, name="nothing. x*")
    assert (head["records"], none) == (0, [])
    async with client.get(PATH, params={"name": "nothing"}) as response:
        assert response.status == 422
    async with client.get(PATH, params={"nmae": "www"}) as response:
        assert response.status == 422
    async with client.head(PATH) as response:
        assert response.status == 200


async def test_the_moment_that_was_asked_about_is_shown(node: Node) -> None:
    many = big(500, 2)
    rendering = render_lines(many, StatusQuery())
    parts = [await anext(rendering), await anext(rendering)]
    for key in list(many.health_map.records):
        for target in many.health_map.targets_of(key):
            many.health_map.record(many.health_map.observe(target, BROKEN, at(2)))
    parts += [part async for part in rendering]
    _, *found = map(json.loads, b"".join(parts).splitlines())
    assert len(found) == 500
    assert {member["health"] for line in found for member in line["members"]} == {"UP"}


async def test_a_record_of_very_many_members_leaves_others_their_turn() -> None:
    huge = Node(record(*(f"10.0.{n >> 8}.{n & 255}" for n in range(5000))))
    huge.freeze()

    async def render() -> int:
        return sum([len(part) async for part in render_lines(huge, StatusQuery())])

    rendering = asyncio.create_task(render())
    turns, longest, began = 0, 0.0, time.thread_time()
    while not rendering.done():
        await asyncio.sleep(0)  # noqa: TID251 - the turns are what is counted
        longest = max(longest, (now := time.thread_time()) - began)
        began = now
        turns += 1
    assert rendering.result() > 1_000_000
    assert turns > 20
    assert longest < 0.1


async def test_who_leaves_early_is_no_fault(
    node: Node, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A browser leaves whenever it likes: no traceback comes of it."""
    many = big(2500, 4)
    many.freeze()
    settings = AdminSettings(listen="127.0.0.1:0", token_file=token_file)
    async with serving(many, settings) as url:
        async with aiohttp.ClientSession(url) as session:
            response = await session.get(PATH)
            await response.content.readany()
            response.close()
        async with aiohttp.ClientSession(url) as session:
            for _ in range(20):
                async with session.get("/livez") as response:
                    assert response.status == 200
    assert [entry.getMessage() for entry in caplog.records if entry.levelname == "ERROR"] == []


async def test_the_status_takes_several_names(client: aiohttp.ClientSession, node: Node) -> None:
    keys = [RecordKey(ZONE, f"{name}.{ZONE}", "A") for name in ("www", "api", "db")]
    node.adopt(*(record("10.0.0.1", key=key) for key in keys))
    node.round({"10.0.0.1": OK}, keys[0])
    async with client.get("/api/v1/status", params={"name": " www  d* "}) as response:
        found = await response.json()
    assert {row["name"] for row in found["records"]} == {f"www.{ZONE}", f"db.{ZONE}"}
