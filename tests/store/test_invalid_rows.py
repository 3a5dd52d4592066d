"""Whatever is in a row that an earlier run left: a start goes on with all other rows."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnslb_backend.clock import now
from dnslb_backend.core.answers.dnssec import Metadata, TsigKey, ZoneKey
from dnslb_backend.core.health.history import HistoryQuery
from dnslb_backend.core.health.override_requests import OverrideRequest
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.health.results import passed
from dnslb_backend.core.model.records import AllDown, Record
from dnslb_backend.core.model.rules import Damping, Thresholds
from dnslb_backend.store.database.tables import NODE, SCHEMA_VERSION, TABLES, Table
from dnslb_backend.store.mirror.rows import read_serials
from tests.core.building import ZONE
from tests.store.farm import FAIL, farm_record
from tests.store.test_persistence import Node, alive

FARM = {f"n{number}": {f"192.0.2.{number}{last}" for last in "01"} for number in range(4)}
POISONED = "n1"
NOW = now().wall
DAMPED = Thresholds(damping=Damping(flips=1, window=300, hold=60))


def records() -> list[Record]:
    """Some rest on what flapping left behind, and on what served last."""
    found = [
        farm_record(name, *sorted(members), thresholds=DAMPED) for name, members in FARM.items()
    ]
    last = farm_record("last", "192.0.2.99", all_down=AllDown.LAST)
    return [*found, last]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state file with something in every table."""
    path = tmp_path_factory.mktemp("template") / "state.sqlite"
    asyncio.run(leave_state(path))
    return path


async def leave_state(path: Path) -> None:
    node = Node(path, None, *records())
    async with alive(node):
        for result in (passed("1", priority=3), FAIL, passed("2"), FAIL):
            node.farm.check("n1", result, "192.0.2.10")
            node.farm.check("n2", result, "192.0.2.20")
        node.farm.check_all()
        node.farm.check("last", FAIL)
        node.record_changes()
        await node.persistence.override(OverrideRequest(Action.DRAIN, "192.0.2.30", author="ann"))
        await node.persistence.stored_keys.put(ZoneKey(ZONE, 1, 257, True, True, "secret"))
        await node.persistence.stored_keys.put(Metadata(ZONE, "SOA-EDIT", ("EPOCH",)))
        await node.persistence.stored_keys.put(TsigKey("key", "hmac-sha256", "secret"))


def poison(path: Path, table: str, column: str, value: object, where: str = "1") -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE OR IGNORE {table} SET `{column}` = ? WHERE {where}", (value,))
        database.commit()


async def start(path: Path) -> Node:
    """A node that has begun with this file, and has heard of no target yet."""
    node = Node(path, None, *records())
    async with alive(node, flush=False):
        node.farm.settle()
        await node.persistence.history(HistoryQuery())
        node.persistence.detail()
    return node


def check(path: Path, *, is_dated: bool = True) -> None:
    """It starts, serves nothing that is not configured, and all that is not poisoned.

    Without a valid sign of life nobody knows how old the rest is, and it is not served.
    """
    node = asyncio.run(start(path))
    if is_dated:
        assert node.farm.served("n0") == FARM["n0"]
        assert node.farm.served("n2") == {"192.0.2.21"}
    assert node.farm.served(POISONED) <= FARM[POISONED]
    assert node.farm.served("n3") <= FARM["n3"]
    assert node.farm.served("last") <= {"192.0.2.99"}
    # What waits for a moment of another clock must not wait for ever.
    assert all(
        (node.farm.map.target(target).suppressed_until or 0.0) <= now().mono + 3600
        for target in node.farm.map.targets
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["UP", "DOWN", "serve", "192.0.2.66", "n", ""]),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.just("a"), inner),
)
EVIL = [
    *("[" * 5000, "[" * 900 + "]" * 900, '[["", ["203.0.113.9"], [1]]]', '["203.0.113.9"]'),
    *('[["", ["192.0.2.10"], [1, 2]]]', '[["", ["192.0.2.10"], [-1]]]', "[NaN]", "1e999"),
    *(9e999, -9e999, 2**63 - 1, -(2**63), 0, 1.5, "", "x", "\0", b"", b"\xff", "9" * 5000, None),
    *("9999-12-31 23:59:59.999", "0001-01-01 00:00:00", "1969-12-31", "2026-01-01T00:00:00+14:00"),
    *("203.0.113.9", "\u202e", "UP", "up", "serve", "[true]", "{}", "null", "drain"),
    '[["UP", false, 0, 3, 1, [0, "", 1e308], [1e300, 0, 0], [[1e300], 1e300, 1e300, 1e300]]]',
    '[["UP", false, 0, null, null, null, [null, null, null], [["x"], "x", "x", "x"]]]',
    f'[["DOWN", false, 0, null, null, null, [{NOW}, {NOW}, {NOW}], [[], 9e10, 9e10, 9e10]]]',
]
VALUES = (
    st.sampled_from(EVIL)
    | JSON.map(json.dumps)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
COLUMNS = [(table, column) for table in TABLES for column in table.columns]


REPORTED = [
    *(("lb_record", column, "[" * 5000) for column in ("answer", "last_good")),
    *(("lb_record", "ttl", value) for value in (9e999, "x", -1, 2**62)),
    ("lb_record", "answer", '[["", ["192.0.2.10", "192.0.2.11"], [1]]]'),
    ("lb_record", "answer", '[["", ["203.0.113.9"], [1]]]'),
    ("lb_record", "last_good", '["203.0.113.9"]'),
    *(("lb_state", "checks", value) for value in ("[" * 5000, *EVIL[-3:])),
    *(("lb_state", "streak", value) for value in (9e999, -9e999, -5)),
    *(("lb_state", "priority", value) for value in ("x", b"x", 1.5)),
    *(("lb_state", "views", value) for value in (b"", b"x")),
    ("lb_state", "duration_ms", 9e999),
    ("lb_host", "addresses", '["nonsense"]'),
    *(("lb_zone", "serial", value) for value in ("x", -1, 2**40)),
    *(("lb_node", "uptime", value) for value in ("x", 9e999, -9e999)),
    *(("lb_node", "seen", value) for value in ("x", b"", "9999-12-31 23:59:59")),
    *(("lb_key", "version", value) for value in ("x", 2**63 - 1, 9e999)),
    ("lb_metadata", "content", "[" * 5000),
    *(("lb_override", "created", value) for value in ("x", "0001-01-01", b"x")),
    ("lb_transition", "at", "x"),
    *(("lb_decision", "to_decision", value) for value in ("x", b"", None)),
    *(("lb_decision", "up", value) for value in ("x", -1, 9e999)),
]


@pytest.mark.parametrize(("table", "column", "value"), REPORTED)
def test_a_start_ignores_an_invalid_row(
    template: Path, tmp_path: Path, table: str, column: str, value: object
) -> None:
    path = tmp_path / "state.sqlite"
    shutil.copyfile(template, path)
    is_of_one = table in ("lb_record", "lb_state", "lb_host")
    poison(path, table, column, value, f"name LIKE '{POISONED}.%'" if is_of_one else "1")
    check(path, is_dated=table != "lb_node")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(COLUMNS), VALUES), min_size=1, max_size=3))
def test_any_value_in_any_column_costs_its_row_alone(
    template: Path, found: list[tuple[tuple[Table, str], object]]
) -> None:
    path = template.with_name("poisoned.sqlite")
    shutil.copyfile(template, path)
    is_dated = True
    for (table, column), value in found:
        where = f"name LIKE '{POISONED}.%'" if "name" in table.columns else "1"
        is_dated &= table is not NODE
        if table is not SCHEMA_VERSION and column not in ("node", "name"):
            poison(path, table.name, column, value, where)
    check(path, is_dated=is_dated)


def test_invalid_rows_are_named_once_and_the_rest_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [("ns1", "key", "s1", f"zone{n}", 1, "\x1b" * 1000, 5, "x" * 1000) for n in range(99)]
    for _ in range(3):
        assert read_serials([*rows, ("ns1", "key", "s1", "good", 1, "", 5, 7)]) == {"good": 7}
    (entry,) = caplog.messages
    assert entry.startswith("ignoring invalid rows of lb_zone: zone zone0 (ValueError(")
    assert entry.endswith(" and 94 more")
    assert len(entry) < 2000
