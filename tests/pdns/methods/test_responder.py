import json
from functools import partial
from typing import Any

import pytest

from dnslb_backend.core.health.decision import Decision, DecisionKind
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import ResourceRecord
from dnslb_backend.errors import NotReadyError, RequestError
from dnslb_backend.pdns.methods.dnssec import FALSE
from dnslb_backend.pdns.methods.responder import UNKNOWN_LIMIT, Responder
from dnslb_backend.pdns.wire.rows import render_rows
from tests.pdns.world import LB, OTHER, WALL, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def responder(world: World) -> Responder:
    return Responder(world.current)


def ask(responder: Responder, method: str, **parameters: Any) -> Any:
    answer = json.loads(responder.answer(method, parameters))
    assert list(answer) == ["result"]
    return answer["result"]


def test_a_row_says_all_that_powerdns_reads() -> None:
    rows = [
        ResourceRecord("WwW.lb.example", "A", "192.0.2.1", 5),
        ResourceRecord("x", "TXT", '"é\\""', 0, auth=False),
    ]
    rendered = render_rows(rows, 7)
    assert json.loads(rendered) == {
        "result": [
            {
                "qtype": "A",
                "qname": "WwW.lb.example.",
                "content": "192.0.2.1",
                "ttl": 5,
                "domain_id": 7,
                "auth": 1,
                "scopeMask": 0,
            },
            {
                "qtype": "TXT",
                "qname": "x.",
                "content": '"é\\""',
                "ttl": 0,
                "domain_id": 7,
                "auth": 0,
                "scopeMask": 0,
            },
        ]
    }
    assert rendered.isascii()
    assert b"\n" not in rendered
    assert render_rows([], 7) == b'{"result":[]}'


@pytest.mark.parametrize("method", ["lookup", "LOOKUP", "APILookup", "apilookup", "lOOkup"])
def test_methods_and_names_are_matched_without_regard_to_case(
    responder: Responder, method: str
) -> None:
    rows = ask(responder, method, qname="wWw.LB.example.", qtype="ANY", extra=[1])
    assert {(row["qtype"], row["content"]) for row in rows} == {
        ("A", "10.0.0.1"),
        ("A", "10.0.0.2"),
        ("AAAA", "2001:db8::1"),
    }
    (row,) = ask(responder, method, qname="v4.lb.example", qtype="a")
    assert (row["qname"], row["content"]) == ("V4.lb.example.", "10.0.0.4")


def test_a_single_type_is_answered_or_nodata(responder: Responder) -> None:
    assert [row["qtype"] for row in ask(responder, "lookup", qname=LB, qtype="SOA")] == ["SOA"]
    (row,) = ask(responder, "lookup", qname="v4.lb.example.", qtype="AAAA")
    assert (row["qtype"], row["content"]) == ("ENT", "")
    # What holds no SOA row is no zone: anything else would be taken for one.
    assert ask(responder, "lookup", qname="www.lb.example.", qtype="SOA") == []
    assert ask(responder, "lookup", qname="nope.lb.example.", qtype="ANY") == []


@pytest.mark.parametrize("qtype", ["ANY", "A"])
def test_what_is_not_known_yet_is_raised(responder: Responder, qtype: str) -> None:
    with pytest.raises(NotReadyError):
        responder.answer("lookup", {"qname": "pending.lb.example.", "qtype": qtype})


def test_a_transfer_is_the_zone_or_a_fault(world: World, responder: Responder) -> None:
    with pytest.raises(NotReadyError):
        responder.answer("list", {"zonename": LB, "domain_id": -1})
    world.decide(RecordKey(LB, "pending.lb.example", "A"), Decision(DecisionKind.NODATA))
    rows = ask(responder, "list", zonename="LB.example.", domain_id="7")
    assert rows[0]["qtype"] == "SOA"
    assert len(rows) == len(world.snapshot.rows(LB))
    assert ask(responder, "list", zonename="www.lb.example.") is False


def test_zones_are_told(world: World, responder: Responder) -> None:
    zones = ask(responder, "getAllDomains")
    assert [(zone["zone"], zone["id"]) for zone in zones] == [
        (f"{name}.", world.zones[name].id) for name in (LB, OTHER)
    ]
    info = ask(responder, "getDomainInfo", name="LB.Example.")
    assert info == zones[0]
    assert (info["serial"], info["kind"]) == (WALL, "native")
    assert ask(responder, "getDomainInfo", name="nope.") is False
    assert ask(responder, "getAllDomainMetadata", name=LB) == {}
    assert ask(responder, "getDomainMetadata", name=LB, kind="PRESIGNED") == []


def test_secondaries_are_told_once_of_every_change(world: World, responder: Responder) -> None:
    zones = ask(responder, "getUpdatedMasters")
    assert {zone["zone"] for zone in zones} == {"lb.example.", "other.example."}
    for zone in zones:
        assert ask(responder, "setNotified", id=zone["id"], serial=float(zone["serial"])) is True
    assert ask(responder, "getUpdatedMasters") == []
    world.change("www", "A", "10.0.0.3")
    (zone,) = ask(responder, "getUpdatedMasters")
    assert (zone["zone"], zone["notified_serial"]) == ("lb.example.", WALL)
    serial = f"{zone['serial']}.000000"
    assert ask(responder, "setNotified", id=str(zone["id"]), serial=serial) is True
    assert ask(responder, "getUpdatedMasters") == []
    assert ask(responder, "setNotified", id=12345, serial=1) is False


def test_powerdns_need_not_find_out_what_it_is_asked_to_tell(world: World) -> None:
    world.notify("192.0.2.54")
    for has_channel, found in ((False, {LB, OTHER}), (True, {OTHER})):
        responder = Responder(world.current, notifies=partial(bool, has_channel))
        zones = ask(responder, "getUpdatedMasters")
        assert {zone["zone"].removesuffix(".") for zone in zones} == found
        kinds = {zone["zone"]: zone["kind"] for zone in ask(responder, "getAllDomains")}
        assert kinds == {"lb.example.": "master", "other.example.": "native"}


def test_search_finds_names_and_contents(world: World, responder: Responder) -> None:
    found = ask(responder, "searchRecords", pattern="*WWW*", maxResults=100)
    assert ("alias.lb.example.", "www.lb.example") in {(r["qname"], r["content"]) for r in found}
    assert len(ask(responder, "searchRecords", pattern="*", maxResults="2")) == 2
    assert ask(responder, "searchRecords", pattern="*", maxResults=-5) == []
    (row,) = ask(responder, "searchRecords", pattern="10.0.0.?", maxResults=1)
    assert row["domain_id"] in {zone.id for zone in world.zones.values()}
    assert ask(responder, "searchRecords", pattern="[a-z]*", maxResults=5) == []


def test_commands(responder: Responder) -> None:
    assert ask(responder, "directBackendCmd", query=" ping \n") == "PONG"
    told = ask(responder, "directBackendCmd", query="STATUS WWW.lb.example.")
    assert told.splitlines()[0] == "www.lb.example 5 A 10.0.0.1"
    assert "not known yet" in ask(responder, "directBackendCmd", query="status pending.lb.example")
    assert "below" in ask(responder, "directBackendCmd", query="status deep.lb.example")
    assert "no such name" in ask(responder, "directBackendCmd", query="status x")
    for query in ("", "STATUS", "PING x", "\0", "x" * 10_000):
        assert "known are: PING" in ask(responder, "directBackendCmd", query=query)


@pytest.mark.parametrize(
    "method", ["", "feedRecord", "startTransaction", "__class__", "x" * 100_000]
)
def test_what_we_do_not_do_is_false(responder: Responder, method: str) -> None:
    assert ask(responder, method) is False


def test_initialize_succeeds(responder: Responder) -> None:
    assert ask(responder, "initialize", path="/run/x", timeout="2000") is True


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("lookup", {}),
        ("lookup", {"qname": "x."}),
        ("lookup", {"qname": ["x"], "qtype": "A"}),
        ("lookup", {"qname": "x.", "qtype": 1}),
        ("list", {"zonename": None}),
        ("getDomainInfo", {"name": {}}),
        ("setNotified", {"id": "x", "serial": 1}),
        ("setNotified", {"id": True, "serial": 1}),
        ("setNotified", {"id": float("nan"), "serial": 1}),
        ("setNotified", {"id": float("inf"), "serial": 1}),
        ("setNotified", {"id": "1" * 1000, "serial": 1}),
        ("setNotified", {"id": 1.5, "serial": 1}),
        ("searchRecords", {"pattern": "*", "maxResults": "many"}),
        ("searchRecords", {"pattern": "*" * 2000, "maxResults": 1}),
        ("directBackendCmd", {"query": 5}),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    responder: Responder, method: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(RequestError):
        responder.answer(method, parameters)


def test_metadata_says_whom_to_tell_and_who_may_transfer(
    world: World, responder: Responder
) -> None:
    told = {"ALSO-NOTIFY": ["192.0.2.54:5300"], "ALLOW-AXFR-FROM": ["192.0.2.0/24"]}
    assert ask(responder, "getAllDomainMetadata", name="lb.example.") == {}
    world.notify("192.0.2.54:5300")
    assert ask(responder, "getAllDomainMetadata", name="LB.example.") == told
    for kind, values in told.items():
        assert ask(responder, "getDomainMetadata", name="lb.example.", kind=kind) == values
    assert ask(responder, "getDomainMetadata", name="other.example.", kind="ALSO-NOTIFY") == []


def test_methods_that_are_not_supported_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    responder = Responder(World().current)
    for method in ("getAllDomains.json", "x" * 1000, *map(str, range(1000))) * 2:
        assert responder.answer(method, {}) == FALSE
    assert "url-suffix" in caplog.text
    assert caplog.text.count("'getAllDomains.json'") == 1
    assert len(caplog.records) == UNKNOWN_LIMIT
    assert max(len(record.getMessage()) for record in caplog.records) < 250
