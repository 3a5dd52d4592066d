"""What is asked and ordered of signed zones, sense or nonsense, without a PowerDNS."""

import asyncio
import json
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import pytest

from dnslb_backend.core.answers.dnssec import DnssecItem, Metadata, TsigKey, ZoneKey
from dnslb_backend.core.health.decision import PENDING
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import RequestError, StoreError
from dnslb_backend.pdns.connectors.sockets import listen_unix
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.dnssec import (
    CONTENT_LIMIT,
    KEY_LIMIT,
    KIND_LIMIT,
    RULE_TERM,
    DnssecMethods,
)
from dnslb_backend.pdns.methods.responder import Responder
from tests.pdns.transports import serve_http, serve_unix
from tests.pdns.world import LB, OTHER, World
from tests.rigs.waiting import passes, until

CONTENT = "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: {}=\n"


class Drawer:
    """A vault that keeps nothing for longer than a test, and can be jammed."""

    def __init__(self) -> None:
        self.articles: dict[tuple[str, ...], DnssecItem] = {}
        self.is_jammed = False
        self.asked = 0
        self.is_open = asyncio.Event()
        self.is_open.set()

    def was_asked(self) -> bool:
        return self.asked > 0

    def keys(self, zone: str) -> list[ZoneKey]:
        return [a for a in self.articles.values() if isinstance(a, ZoneKey) and a.zone == zone]

    def metadata(self, zone: str) -> dict[str, tuple[str, ...]]:
        found = (a for a in self.articles.values() if isinstance(a, Metadata) and a.zone == zone)
        return {each.kind: each.values for each in found}

    def transfer_keys(self) -> list[TsigKey]:
        return [each for each in self.articles.values() if isinstance(each, TsigKey)]

    async def put(self, article: DnssecItem) -> None:
        self.asked += 1
        await passes(0)
        await self.is_open.wait()
        if self.is_jammed:
            raise StoreError("jammed")
        self.articles[article.identity] = article

    async def delete(self, article: DnssecItem) -> None:
        await passes(0)
        await self.is_open.wait()
        del self.articles[article.identity]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture
def responder(world: World, drawer: Drawer) -> Responder:
    return Responder(world.current, key_store=drawer)


def ask(responder: Responder, method: str, **parameters: Any) -> Any:
    return json.loads(responder.answer(method, parameters))["result"]


async def order(responder: Responder, method: str, **parameters: Any) -> Any:
    assert responder.is_write(method)
    return json.loads(await responder.execute_write(method, parameters))["result"]


async def add(responder: Responder, number: int = 0, zone: str = LB, **changes: Any) -> Any:
    key = {"flags": 257, "active": True, "published": True, "content": CONTENT.format(number)}
    return await order(responder, "addDomainKey", name=f"{zone.upper()}.", key=key | changes)


def neighbours(responder: Responder, world: World, qname: str) -> tuple[str, str, str]:
    found = ask(
        responder,
        "getBeforeAndAfterNamesAbsolute",
        id=str(world.zones[LB].id),
        qname=f"{qname}.",
    )
    return found["unhashed"], found["before"], found["after"]


async def test_a_key_has_the_same_number_wherever_it_is_added(responder: Responder) -> None:
    number = await add(responder)
    assert 0 < number < 2**31
    assert await add(responder, active="0", published="1", flags="256") == number
    (key,) = ask(responder, "getDomainKeys", name="lb.example.")
    assert key == {
        "id": number,
        "flags": 256,
        "active": False,
        "published": True,
        "content": CONTENT.format(0),
    }
    assert await add(responder, 1) != number
    assert await add(responder, zone=OTHER) != number


async def test_zones_that_are_not_ours_are_left_to_other_backends(responder: Responder) -> None:
    assert await add(responder, zone="elsewhere.example") is False
    assert ask(responder, "getDomainKeys", name="elsewhere.example.") is False
    assert ask(responder, "getDomainKeys", name="lb.example.") == []
    assert ask(responder, "getDomainMetadata", name="elsewhere.example.", kind="X") == []
    assert ask(responder, "getAllDomainMetadata", name="elsewhere.example.") == {}
    said = {"name": "elsewhere.example.", "kind": "X", "value": ["1"]}
    assert await order(responder, "setDomainMetadata", **said) is False
    asked = {"id": 12345, "qname": "x."}
    assert ask(responder, "getBeforeAndAfterNamesAbsolute", **asked) is False


@pytest.mark.parametrize(
    "changes",
    [
        {"content": ""},
        {"content": "Private-key-format: v1.2\n"},
        {"content": "-----BEGIN PRIVATE KEY-----"},
        {"content": CONTENT.format("x" * CONTENT_LIMIT)},
        {"content": 5},
        {"flags": 65536},
        {"flags": -1},
        {"flags": "x"},
        {"active": "yes"},
        {"published": 2},
    ],
)
async def test_what_powerdns_could_not_read_back_is_refused(
    responder: Responder, changes: dict[str, Any]
) -> None:
    with pytest.raises(RequestError) as refused:
        await add(responder, **changes)
    assert "PrivateKey" not in str(refused.value)
    assert ask(responder, "getDomainKeys", name="lb.example.") == []


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("addDomainKey", {"name": "lb.example.", "key": "x"}),
        ("addDomainKey", {"name": "lb.example."}),
        ("addDomainKey", {"key": {}}),
        ("removeDomainKey", {"name": "lb.example.", "id": "x"}),
        ("setDomainMetadata", {"name": "lb.example.", "kind": "", "value": ["1"]}),
        ("setDomainMetadata", {"name": "lb.example.", "kind": "X" * 65, "value": ["1"]}),
        ("setDomainMetadata", {"name": "lb.example.", "kind": "A\nB", "value": ["1"]}),
        ("setDomainMetadata", {"name": "lb.example.", "kind": "X", "value": "1"}),
        ("setDomainMetadata", {"name": "lb.example.", "kind": "X", "value": [1]}),
        ("setDomainMetadata", {"name": "lb.example.", "kind": "X", "value": ["x" * 40_000]}),
        ("setTSIGKey", {"name": "k", "algorithm": "a"}),
        ("setTSIGKey", {"name": "k", "algorithm": "a", "content": "x" * 20_000}),
    ],
)
async def test_nonsense_is_refused_and_changes_nothing(
    responder: Responder, drawer: Drawer, method: str, parameters: dict[str, object]
) -> None:
    with pytest.raises(RequestError):
        await responder.execute_write(method, parameters)
    assert drawer.articles == {}


async def test_a_zone_with_another_one_within_it_cannot_be_signed() -> None:
    """The resolvers that validate would refuse the inner one: nothing proves where it begins."""
    world = World(nested="sub.deep.other.example")
    responder = Responder(world.current, key_store=Drawer())
    with pytest.raises(RequestError, match=r"sub\.deep\.other\.example is a zone within it"):
        await add(responder, zone=OTHER)
    assert await add(responder, zone="sub.deep.other.example")
    assert await add(responder)


async def test_what_a_zone_may_have_is_bounded(responder: Responder) -> None:
    for number in range(KEY_LIMIT):
        await add(responder, number)
    with pytest.raises(RequestError, match="at most"):
        await add(responder, KEY_LIMIT)
    said: dict[str, Any] = {"name": "lb.example.", "kind": "X", "value": ["1"]}
    for number in range(KIND_LIMIT):
        await order(responder, "setDomainMetadata", **said | {"kind": f"X-{number}"})
    with pytest.raises(RequestError, match="at most"):
        await responder.execute_write("setDomainMetadata", said | {"kind": "X-MORE"})
    changed = said | {"kind": "X-1", "value": ["2"]}
    assert await order(responder, "setDomainMetadata", **changed) is True


async def test_orders_that_come_at_once_do_not_undo_each_other(responder: Responder) -> None:
    number = await add(responder, active=False, published=False)
    name = {"name": "lb.example.", "id": number}
    await asyncio.gather(
        order(responder, "activateDomainKey", **name),
        order(responder, "publishDomainKey", **name),
    )
    (key,) = ask(responder, "getDomainKeys", name="lb.example.")
    assert (key["active"], key["published"]) == (True, True)


async def test_an_order_that_cannot_be_kept_is_a_fault(
    responder: Responder, drawer: Drawer
) -> None:
    drawer.is_jammed = True
    with pytest.raises(StoreError):
        await add(responder)


async def test_a_write_that_hangs_fails_before_powerdns_gives_up(
    responder: Responder, drawer: Drawer
) -> None:
    """As do those that wait for it; none is executed later."""
    drawer.is_open.clear()
    began = monotonic()
    writes = [
        order(responder, "setDomainMetadata", name="lb.example.", kind=kind, value=["1"])
        for kind in ("X-1", "X-2")
    ]
    found = await asyncio.gather(*writes, return_exceptions=True)
    assert [str(error) for error in found] == ["not written within 1.5 s; nothing was changed"] * 2
    assert monotonic() - began < 2
    drawer.is_open.set()
    await order(responder, "setDomainMetadata", name="lb.example.", kind="X-3", value=["1"])
    assert ask(responder, "getAllDomainMetadata", name="lb.example.") == {"X-3": ["1"]}


def test_neighbours_are_told_relative_to_the_zone(responder: Responder, world: World) -> None:
    assert neighbours(responder, world, "") == ("lb.example.", ".", "_sip._tcp.")
    assert neighbours(responder, world, "V4") == ("v4.lb.example.", "v4.", "*.wild.")
    assert neighbours(responder, world, "zzz") == ("www.lb.example.", "www.", ".")


async def test_neighbours_follow_a_reload(responder: Responder, world: World) -> None:
    assert neighbours(responder, world, "www")[2] == "."
    world.serve("x", "A", "10.0.0.9")
    world.rebuild()
    assert neighbours(responder, world, "www")[2] == "x."


def test_what_is_not_known_is_no_neighbour(responder: Responder, world: World) -> None:
    assert neighbours(responder, world, "pendingx")[1] == "\\000.pending."
    world.decide(RecordKey(LB, "www.lb.example", "A"), PENDING)
    assert neighbours(responder, world, "wwwx")[1] == "\\000.www."
    assert neighbours(responder, world, "www")[1] == "www."


async def test_a_zone_that_ceased_to_hash_is_still_asked_for_hashes(
    world: World, drawer: Drawer
) -> None:
    clock = [0.0]
    signing = DnssecMethods(world.current, drawer, lambda: clock[0])
    zero = {"id": world.zones[LB].id, "qname": f"{'0' * 32}."}

    def asked() -> Any:
        return json.loads(signing.answers["getbeforeandafternamesabsolute"](zero))["result"]

    assert asked()["before"] == "."
    said = {"name": "lb.example.", "kind": "NSEC3PARAM", "value": ["1 0 0 -"]}
    await signing.execute_write("setdomainmetadata", said)
    assert len(asked()["before"]) == 33
    await signing.execute_write("setdomainmetadata", said | {"value": []})
    clock[0] = RULE_TERM - 1
    assert len(asked()["before"]) == 33
    clock[0] = RULE_TERM + 1
    assert asked()["before"] == "."


SET = {
    "method": "setDomainMetadata",
    "parameters": {"name": "lb.example.", "kind": "SOA-EDIT", "value": ["EPOCH"]},
}
LOOK = {"method": "lookup", "parameters": {"qname": "v4.lb.example.", "qtype": "ANY"}}


async def test_what_comes_after_an_order_waits_for_it(responder: Responder, drawer: Drawer) -> None:
    drawer.is_open.clear()
    async with serve_unix(responder) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        for request in (LOOK, SET, LOOK):
            writer.write(json.dumps(request).encode() + b"\n")
        first = json.loads(await reader.readline())
        assert first["result"][0]["content"] == "10.0.0.4"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readline()
        # Nobody else waits.
        other_reader, other_writer = await asyncio.open_unix_connection(path)
        other_writer.write(json.dumps(LOOK).encode() + b"\n")
        assert json.loads(await other_reader.readline()) == first
        drawer.is_open.set()
        assert json.loads(await reader.readline())["result"] is True
        assert json.loads(await reader.readline()) == first
        drawer.is_jammed = True
        writer.write(json.dumps(SET).encode() + b"\n")
        assert await reader.read() == b""
        for each in (writer, other_writer):
            each.close()


async def test_a_connection_is_handed_on_after_its_order(
    responder: Responder, drawer: Drawer, tmp_path: Path
) -> None:
    drawer.is_open.clear()
    connector = UnixConnector(responder)
    await connector.start([listen_unix(str(tmp_path / "sock"), 0o600)])
    reader, writer = await asyncio.open_unix_connection(tmp_path / "sock")
    writer.write(json.dumps(SET).encode() + b"\n")
    await until(drawer.was_asked)
    stopping = asyncio.create_task(connector.stop(grace=5))
    await passes(0.05)
    assert not stopping.done()
    drawer.is_open.set()
    (left,) = await stopping
    assert json.loads(await reader.readline())["result"] is True
    assert drawer.metadata(LB) == {"SOA-EDIT": ("EPOCH",)}
    left.sock.close()
    writer.close()


async def test_a_page_in_a_browser_gives_no_orders(responder: Responder, drawer: Drawer) -> None:
    """Another site's page may send a form to any port of the machine it is read on."""
    form = {"parameters": json.dumps(SET["parameters"])}
    async with serve_http(responder, serves_keys=True) as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/dns/setDomainMetadata"
        async with session.post(
            url, data=form, headers={"Origin": "http://elsewhere.example"}
        ) as answer:
            assert answer.status == 403
        assert drawer.articles == {}
        async with session.post(url, data=form) as answer:
            assert await answer.json() == {"result": True}
    assert drawer.metadata(LB) == {"SOA-EDIT": ("EPOCH",)}
