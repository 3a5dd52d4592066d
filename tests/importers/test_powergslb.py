"""PowerGSLB's tables, imported: what each of them becomes, and what has no equal."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.errors import SourceError
from dnslb_backend.importers.acceptance import accepted_text
from dnslb_backend.importers.draft import Draft
from dnslb_backend.importers.powergslb import draft_of_tables
from dnslb_backend.importers.powergslb_tables import TABLES
from dnslb_backend.importers.sql_dump import SqlRow, Tables, read_tables
from tests.importers.loading import SAMPLES, check_loads, tables
from tests.pdns.geo_databases import place, write_places

TCP = {"type": "tcp", "ip": "${content}", "port": 80}
TYPES: list[SqlRow] = [
    {"value": 1, "type": "A"},
    {"value": 5, "type": "CNAME"},
    {"value": 16, "type": "TXT"},
    {"value": 28, "type": "AAAA"},
]


def sample(name: str, geo_database: str = "") -> Draft:
    text = (SAMPLES / f"{name}.sql").read_text()
    return draft_of_tables(read_tables(text, TABLES, f"{name}.sql"), f"{name}.sql", geo_database)


def database(
    *contents: str,
    monitor: object = None,
    policy: object = None,
    weights: tuple[int, ...] = (),
    rule: str = "0.0.0.0/0 ::/0",
    qtype: int = 1,
) -> Tables:
    """One zone with the name www."""
    records: list[SqlRow] = [
        {
            "id": n,
            "rrset_id": 1,
            "content": content,
            "monitor_id": 1,
            "view_id": 1,
            "weight": weight,
        }
        for n, (content, weight) in enumerate(
            zip(contents, weights or (0,) * len(contents), strict=True), start=1
        )
    ]
    rrset: SqlRow = {"id": 1, "domain_id": 1, "name": "www", "type_value": qtype, "ttl": 60}
    found: Tables = {
        "domains": [{"id": 1, "domain": "lb.example"}],
        "types": TYPES,
        "monitors": [{"id": 1, "monitor_json": _json(monitor or TCP)}],
        "views": [{"id": 1, "view": "Public", "rule": rule}],
        "rrsets": [rrset],
        "records": records,
    }  # fmt: skip
    if policy is not None:
        found["routings"] = [{"id": 1, "policy_json": _json(policy)}]
        rrset["routing_id"] = 1
    return found


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def zone_of(found: Tables) -> tuple[dict[str, Any], list[str]]:
    draft = draft_of_tables(found, "x.sql")
    return tables(draft)["zones"]["lb.example"], list(map(str, draft.notes))


@pytest.mark.parametrize("name", ["powergslb-1", "powergslb-2"])
def test_a_sample_becomes_what_is_written_beside_it_and_loads(name: str, tmp_path: Path) -> None:
    text = accepted_text(sample(name))
    assert text == (SAMPLES / f"{name}.toml").read_text()
    check_loads(text, tmp_path)


def test_places_become_views_where_a_database_is_named(tmp_path: Path) -> None:
    path = write_places(tmp_path / "geo.mmdb", {"192.0.2.0/24": place("DE", "EU")})
    draft = sample("powergslb-2", str(path))
    found = tomllib.loads(accepted_text(draft))
    assert found["geo"] == {"database": str(path)}
    assert found["views"]["Europe"] == {"countries": ["DE", "FR"], "continents": ["EU"]}
    europe = found["zones"]["example.com"]["records"]["europe"]["A"]
    assert europe["dest"] == ["192.0.2.1", {"host": "192.0.2.3", "views": ["Europe"]}]
    assert any("are given what is for everybody only while" in note.text for note in draft.notes)


@pytest.mark.parametrize(
    ("monitor", "check"),
    [
        ({"type": "icmp", "ip": "%(content)s"}, {"type": "icmp"}),
        ({"type": "tcp", "ip": "${content}", "port": 80}, {"type": "tcp", "port": 80}),
        ({"type": "tls", "ip": "${content}", "port": 443, "tls_verify": False},
         {"type": "tls", "port": 443, "verify": False}),
        ({"type": "https", "url": "https://%(content)s/", "secure": False,
          "headers": {"Host": "a.example", "X-A": "1"}},
         {"type": "http", "url": "https://%(address)s/", "verify": False,
          "host": "a.example", "headers": {"X-A": "1"}}),
        ({"type": "http", "url": "http://${content}:80/?b=%20", "expected_status": "101, 200-204"},
         {"type": "http", "url": "http://%(address)s:80/?b=%%20", "status": ["101", "200-204"]}),
        ({"type": "exec", "args": ["check", "${content}", "5%"], "expected_code": 3},
         {"type": "exec", "argv": ["check", "%(address)s", "5%%"], "pass_codes": [3]}),
    ],
)  # fmt: skip
def test_a_monitor_becomes_a_check(monitor: object, check: object) -> None:
    zone, notes = zone_of(database("192.0.2.1", monitor=monitor))
    assert notes == []
    assert zone["records"]["www"]["A"]["check"] == check


@pytest.mark.parametrize(
    ("monitor", "why"),
    [
        ("{", "no JSON"),
        ("[]", "a monitor of type None"),
        ({"type": "redis"}, "a monitor of type 'redis'"),
        ({"type": ["tcp"]}, "a monitor of type ['tcp']"),
        ({"type": "tcp", "ip": "gw.example", "port": 1}, "no address"),
        ({"type": "tcp", "ip": "${content}"}, "greater than or equal to 1"),
        ({"type": "tcp", "ip": "${content}", "port": "x"}, "no number"),
        ({"type": "tcp", "ip": "${content}", "port": 1, "interval": 0}, "greater than 0"),
        ({"type": "exec", "args": "true"}, "no list of texts"),
        ({"type": "exec", "args": ["x", "%(id)s"]}, "more of a record than its content"),
        ({"type": "http", "url": "http://[/"}, "URL of the monitor"),
        ({"type": "http", "url": "http://${content}/", "body_match": "("}, "regular expression"),
        ({"type": "http", "url": "http://${content}/", "method": "POST"}, "GET"),
        ({"type": "http", "url": "http://user:secret@${content}/"}, "must not contain a password"),
    ],
)
def test_a_monitor_without_an_equal_is_noted_with_its_row(monitor: object, why: str) -> None:
    zone, notes = zone_of(database("192.0.2.1", monitor=monitor))
    assert "records" not in zone
    assert notes[0].startswith("records.id 1: www A")
    assert why in notes[0]


@pytest.mark.parametrize(
    ("policy", "keys"),
    [
        ({"type": "round-robin"}, {}),
        ({"type": "round-robin", "max_answers": 1}, {"max_answers": 1}),
        ({"type": "weighted-random", "max_answers": 2}, {"policy": "weighted", "max_answers": 2}),
        ({"type": "sticky-hash"}, {"policy": "sticky", "sticky": {"ipv4": 24, "ipv6": 64}}),
    ],
)
def test_a_routing_policy_becomes_a_policy(policy: object, keys: dict[str, Any]) -> None:
    zone, notes = zone_of(database("192.0.2.1", "192.0.2.2", policy=policy))
    assert notes == []
    found = zone["records"]["www"]["A"]
    assert {key: found.get(key) for key in ("policy", "sticky", "max_answers")} == {
        "policy": None, "sticky": None, "max_answers": None, **keys,
    }  # fmt: skip
    assert found["all_down"] == "all"


@pytest.mark.parametrize(("most", "is_static"), [(2, True), (1, False)])
def test_answers_without_a_check_are_static_where_all_are_given(most: int, is_static: bool) -> None:
    policy = {"type": "round-robin", "max_answers": most}
    found = database("192.0.2.1", "192.0.2.2", monitor={"type": "none"}, policy=policy)
    zone, notes = zone_of(found)
    assert notes == []
    assert ("records" in zone) is not is_static
    assert len(zone.get("static", ())) == 2 * is_static


def test_weights_are_priorities_above_0_and_the_highest_is_the_last_resort() -> None:
    found = database("192.0.2.1", "192.0.2.2", policy={"type": "round-robin"}, weights=(10, 0))
    record = zone_of(found)[0]["records"]["www"]["A"]
    assert record["dest"] == ["192.0.2.1@11", "192.0.2.2@1"]
    assert record["fallback"] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (database("192.0.2.1", policy={"type": "geo"}), "routing policy of type 'geo'"),
        (database("192.0.2.1", policy="{"), "is no JSON"),
        (database("192.0.2.1", "192.0.2.2", policy={"type": "round-robin", "max_answers": "x"}),
         "max_answers"),
        (database("192.0.2.1", rule="10.0.0.0/33"), "not understood"),
        (database("2001:db8::1"), "is no data for A"),
        (database("a b", qtype=5, monitor={"type": "none"}), "is no data for CNAME"),
        (database("b.example", qtype=5), "asks the content"),
        (database("x" * 300, qtype=16, monitor={"type": "none"}), "is no data for TXT"),
        (database("text", qtype=16), "served without its check"),
        (database("192.0.2.1", "192.0.2.2", policy={"type": "weighted-random"}, weights=(99999, 1)),
         "65535"),
    ],
)  # fmt: skip
def test_what_has_no_equal_is_noted_and_the_rest_loads(found: Tables, why: str) -> None:
    _, notes = zone_of(found)
    assert why in notes[0]


@pytest.mark.parametrize("name", ["..", "a" * 64])
def test_a_name_that_is_none_is_noted(name: str) -> None:
    found = database("192.0.2.1")
    found["rrsets"][0]["name"] = name
    zone, notes = zone_of(found)
    assert "records" not in zone
    assert notes


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"domains": []}, "x.sql: has no domains"),
        ({"domains": [{"id": 1, "domain": "a..b"}]}, "not a domain name"),
        ({"rrsets": []}, "rrsets has no row with id 1"),
        ({"records": [{"id": "x"}]}, "no database of PowerGSLB"),
    ],
)
def test_tables_of_something_else_are_refused(change: Tables, why: str) -> None:
    with pytest.raises(SourceError, match=r"x\.sql") as refusal:
        zone_of({**database("192.0.2.1"), **change})
    assert why in str(refusal.value)


def test_a_dump_of_another_program_is_refused() -> None:
    with pytest.raises(SourceError, match="without the table domains, records"):
        draft_of_tables({}, "x.sql")


def test_the_tables_of_the_first_release_are_read() -> None:
    monitor = json.dumps({"type": "icmp", "ip": "%(content)s"})
    row: SqlRow = {"domain_id": 1, "name": "www.lb.example", "type": "A", "ttl": 60}
    rest: SqlRow = {"disabled": 0, "fallback": 0, "persistence": 0, "weight": 0}
    found: Tables = {
        "domains": [{"id": 1, "name": "lb.example"}],
        "records": [
            {"id": 1, "content": "192.0.2.1", "monitor": monitor, **row, **rest},
            {"id": 2, "content": "192.0.2.2", "monitor": monitor, **row, **rest},
            {"id": 3, "content": "192.0.2.3", "monitor": None, **row, **rest, "name": "other.test"},
        ],
    }
    zone, notes = zone_of(found)
    assert zone["records"]["www"]["A"]["dest"] == ["192.0.2.1", "192.0.2.2"]
    assert "other.test is not in the zone" in notes[0]


@pytest.mark.parametrize(
    ("method", "policy", "why"), [("wrr", "weighted", ""), ("twrr", None, "'twrr' has no equal")]
)
def test_methods_of_a_fork_become_policies(method: str, policy: str | None, why: str) -> None:
    found: Tables = {
        **database("192.0.2.1", "192.0.2.2", weights=(2, 1)),
        "names": [{"id": 1, "domain_id": 1, "name": "www.lb.example"}],
        "names_types": [{"id": 1, "name_id": 1, "type_value": 1, "ttl": 60, "lbmethod_id": 1}],
        "lbmethods": [{"id": 1, "lbmethod": method}],
        "contents": [{"id": 1, "content": "192.0.2.1"}, {"id": 2, "content": "192.0.2.2"}],
        "contents_monitors": [
            {"id": 1, "content_id": 1, "monitor_id": 1},
            {"id": 2, "content_id": 2, "monitor_id": 1},
        ],
        "records": [
            {"id": n, "name_type_id": 1, "content_monitor_id": n, "view_id": 1, "weight": 3 - n}
            for n in (1, 2)
        ],
    }
    zone, notes = zone_of(found)
    record = zone.get("records", {}).get("www", {}).get("A", {})
    assert record.get("policy") == policy
    assert why in "".join(notes)


def test_an_answer_with_another_weight_in_another_view_is_left_out() -> None:
    found = database("192.0.2.1", "192.0.2.1", weights=(2, 1))
    found["views"].append({"id": 2, "view": "Inner", "rule": "10.0.0.0/8"})
    found["records"][1]["view_id"] = 2
    _, notes = zone_of(found)
    assert "has another weight in another view" in notes[0]
