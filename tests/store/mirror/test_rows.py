"""The core's state becomes rows, and is read from rows."""

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnslb_backend.core.health.decision import DecisionKind, Pool
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.resolutions import Status
from dnslb_backend.core.health.results import check_error, failed, passed
from dnslb_backend.core.health.saved_state import SavedState
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.quorum import QuorumRules
from dnslb_backend.core.model.records import AllDown, Dest, Policy, RecordKey
from dnslb_backend.core.model.rules import Damping, Thresholds
from dnslb_backend.core.model.zones import MAX_TTL
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.store.database.tables import (
    HOST,
    NODE_TABLES,
    RECORD,
    STATE,
    STATIC,
    TRANSITION,
    ZONE,
    Table,
    TableRow,
)
from dnslb_backend.store.database.values import (
    clamp_int64,
    parse_sql_datetime,
    printable,
    row_key,
    sql_datetime,
)
from dnslb_backend.store.mirror.member_rows import read_member
from dnslb_backend.store.mirror.record_rows import read_records, record_rows
from dnslb_backend.store.mirror.rows import (
    Stamp,
    read_serials,
    static_row,
    transition_row,
    zone_row,
)
from tests.core.building import KEY, Driver, at, capture, plan, record, zone
from tests.core.fleet import Fleet, FleetNode

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"
PASS, FAIL, ERROR = passed("200 in 3 ms"), failed(1, "exit code 1"), check_error("no such program")
STAMP = Stamp("ns1", "s1")


def rows_of(memory: SavedState) -> dict[Table, list[TableRow]]:
    found: dict[Table, list[TableRow]] = {table: [] for table in NODE_TABLES}
    for item in memory.records.values():
        for table, row in record_rows(item, STAMP, 5.0):
            found[table].append(row)
    return found


def column(rows: list[TableRow], table: Table, name: str) -> list[object]:
    return [row[table.columns.index(name)] for row in rows]


def driven() -> Driver:
    """A record that has seen everything: names, several checks, faults, overrides, a fallback."""
    checks, fallback = ("one", "two"), ["sorry.example"]
    many = record(f"{A}@3", "web.example", checks=checks, require=1, fall=3, fallback=fallback)
    other = record(
        B, key=RecordKey(KEY.zone, "b.lb.example", "A"), fallback=[C], all_down=AllDown.LAST
    )
    driver = Driver(many, other)
    driver.health_map.open_cycle(KEY)
    driver.resolve("web.example", C, B)
    driver.resolve("sorry.example", status=Status.NXDOMAIN)
    driver.hear(A, PASS, check=0)
    driver.hear(A, FAIL, check=1)
    driver.hear(B, passed(priority=7, weight=2), check=0)
    driver.hear(C, ERROR, check=0)
    driver.close()
    driver.hear(A, FAIL, check=0)
    driver.round({B: FAIL}, other.key)
    driver.health_map.set_overrides(
        [Override("1", C, Action.DRAIN, author="ann")], at(driver.clock)
    )
    return driver


def test_a_saved_state_is_read_back() -> None:
    driver = driven()
    memory = capture(driver.health_map, {}, at(driver.clock))
    rows = rows_of(memory)
    found = read_records(rows[RECORD], rows[HOST], rows[STATE])
    assert found.keys() == memory.records.keys()
    for key, item in found.items():
        assert item == _rounded(memory, key)


@pytest.mark.parametrize(
    ("health", "stale", "found"),
    [
        *(("UP", 0, False), ("DOWN", 0, False), ("UP", 1, True)),
        *(("UP", None, False), ("UNKNOWN", None, True)),
    ],
)
def test_whether_a_result_is_too_old_is_a_column_of_its_own(
    health: str, stale: int | None, found: bool
) -> None:
    """Rows of versions before 8 do not have it; there only a stale one is not what it was."""
    driver = Driver(record(A))
    driver.round({A: PASS})
    (row,) = rows_of(capture(driver.health_map, {}, at(9)))[STATE]
    columns = dict(zip(STATE.columns, row, strict=True))
    assert (columns["own"], columns["stale"]) == ("UP", 0)
    read = read_member(columns | {"health": health, "stale": stale})
    assert read.status.state.stale is found
    assert read.status.state.last_known is Health.UP


def test_damping_is_read_back() -> None:
    item = replace(record(A, B), thresholds=Thresholds(damping=Damping(flips=2)), failback=60.0)
    driver = Driver(item)
    for answer in (PASS, FAIL, PASS, FAIL, PASS):
        driver.round({A: answer, B: PASS})
    memory = capture(driver.health_map, {}, at(driver.clock))
    held, _ = memory.records[KEY].members
    assert held.states[0].suppressed_until
    assert held.states[0].flips
    assert held.states[0].undamped is Health.UP
    rows = rows_of(memory)
    assert read_records(rows[RECORD], rows[HOST], rows[STATE])[KEY] == _rounded(memory, KEY)


def test_a_member_that_waits_for_failback_goes_on_waiting() -> None:
    driver = Driver(replace(record(A, B, checks=("one", "two"), require=2), failback=60.0))
    for answer in (PASS, FAIL, PASS):
        for check in (0, 1):
            driver.hear(A, answer, check=check)
            driver.hear(B, PASS, check=check)
        driver.close()
    memory = capture(driver.health_map, {}, at(driver.clock))
    assert [member.waiting_since is None for member in memory.records[KEY].members] == [False, True]
    rows = rows_of(memory)
    assert read_records(rows[RECORD], rows[HOST], rows[STATE])[KEY] == _rounded(memory, KEY)


def test_the_last_good_answers_of_views_are_read_back() -> None:
    item = record(A, B, all_down=AllDown.LAST)
    item = replace(item, dests=(item.dests[0], replace(item.dests[1], views=("x",))))
    driver = Driver(item)
    driver.round({A: PASS, B: PASS})
    driver.round({A: FAIL, B: FAIL})
    memory = capture(driver.health_map, {}, at(driver.clock))
    assert memory.records[KEY].last_pools == (Pool("x", (B,), (1,)),)
    assert [pool.is_last_resort for pool in memory.records[KEY].decision.pools] == [True]
    rows = rows_of(memory)
    assert read_records(rows[RECORD], rows[HOST], rows[STATE])[KEY] == _rounded(memory, KEY)


def test_a_row_names_the_views_that_a_member_is_for() -> None:
    item = record(A, B)
    item = replace(item, dests=(item.dests[0], replace(item.dests[1], views=("x", "y"))))
    driver = Driver(item)
    driver.round({A: PASS, B: PASS})
    rows = rows_of(capture(driver.health_map, {}, at(9)))[STATE]
    assert column(rows, STATE, "views") == ["", "x,y"]
    assert column(rows, STATE, "served") == [1, 1]


def test_a_fallback_for_clients_in_no_view_is_in_no_view() -> None:
    item = record(A, B, fallback=[A])
    driver = Driver(replace(item, dests=(replace(item.dests[0], views=("x",)), item.dests[1])))
    driver.round({A: PASS, B: FAIL})
    assert driver.served() == {A}
    rows = rows_of(capture(driver.health_map, {}, at(9)))[STATE]
    assert column(rows, STATE, "views") == ["", ""]


def _rounded(memory: SavedState, key: RecordKey) -> object:
    """Without what is not stored: monotonic times, votes, and what a result said of priorities."""
    item = memory.records[key]
    return replace(
        item,
        members=tuple(
            replace(
                saved,
                status=_plain_status(saved.status),
                states=tuple(map(_plain, saved.states)),
                waiting_since=_ms(saved.waiting_since),
            )
            for saved in item.members
        ),
    )


def _plain_status(status: MemberStatus) -> MemberStatus:
    """Without what is configured, and the override, which is restored by itself."""
    return replace(
        status,
        member=replace(
            status.member, priority=status.priority or 0, weight=status.weight, targets=(), views=()
        ),
        state=_plain(status.state),
        override=None,
        waits_in=frozenset(),
    )


def _ms(wall: float | None) -> float | None:
    return None if wall is None else round(wall, 3)


def _plain(state: TargetState) -> TargetState:
    result = state.result._replace(priority=None, weight=None) if state.result else None
    return state._replace(
        last_seen=0.0,
        votes=None,
        result=result,
        flips=tuple(round(flip, 3) for flip in state.flips),
        suppressed_until=_ms(state.suppressed_until),
    )


def test_a_row_shows_health_override_and_reason() -> None:
    rows = rows_of(capture(driven().health_map, {}, at(9)))[STATE]
    mine = [row for row in rows if row[STATE.columns.index("name")] == KEY.name]
    assert column(mine, STATE, "content") == [A, C, B]
    assert column(mine, STATE, "dest") == [A, "web.example", "web.example"]
    assert column(mine, STATE, "served") == [0, 0, 1]
    assert column(mine, STATE, "override") == [None, "drain", None]
    assert column(mine, STATE, "reason")[1] == "override drain by ann"
    assert set(column(mine, STATE, "node")) == {"ns1"}
    assert set(column(mine, STATE, "session")) == {"s1"}


def test_every_row_has_as_many_values_as_its_table_has_columns() -> None:
    for table, rows in rows_of(capture(driven().health_map, {}, at(9))).items():
        for row in rows:
            assert len(row) == len(table.columns), table.name
    assert len(zone_row(zone(), 1, STAMP)) == len(ZONE.columns)
    static = static_row(zone(), "a.lb.example", ZoneRow("A.lb.example", "A", A, 5), STAMP)
    assert len(static) == len(STATIC.columns)


def test_a_decision_is_read_in_the_word_of_earlier_versions() -> None:
    driver = Driver(record(A, all_down=AllDown.SERVFAIL))
    driver.round({A: FAIL})
    rows = rows_of(capture(driver.health_map, {}, at(driver.clock)))
    index = RECORD.columns.index("decision")
    assert column(rows[RECORD], RECORD, "decision") == ["servfail"]
    former = [(*row[:index], "fault", *row[index + 1 :]) for row in rows[RECORD]]
    found = read_records(former, rows[HOST], rows[STATE])
    assert found == read_records(rows[RECORD], rows[HOST], rows[STATE])
    assert found[KEY].decision.kind is DecisionKind.SERVFAIL


@pytest.mark.parametrize("column", ["decision", "last_good", "ttl", "answer"])
@pytest.mark.parametrize("wrong", [None, "nonsense", "[1]", "{}", ""])
def test_invalid_rows_are_ignored(column: str, wrong: str | None) -> None:
    rows = rows_of(capture(driven().health_map, {}, at(9)))
    index = RECORD.columns.index(column)
    broken = [(*row[:index], wrong, *row[index + 1 :]) for row in rows[RECORD]]
    assert read_records(broken, rows[HOST], rows[STATE]) == {}


@pytest.mark.parametrize("name", ["standing", "effective", "checks", "last_check", "weight"])
def test_an_invalid_member_does_not_affect_the_others(name: str) -> None:
    rows = rows_of(capture(driven().health_map, {}, at(9)))
    index = STATE.columns.index(name)
    first, *others = rows[STATE]
    broken = (*first[:index], "nonsense", *first[index + 1 :])
    whole = read_records(rows[RECORD], rows[HOST], rows[STATE])[KEY]
    found = read_records(rows[RECORD], rows[HOST], [broken, *others])[KEY]
    assert found.members == whole.members[1:]


def test_zones_keep_their_serial() -> None:
    row = zone_row(zone(), 2**32 - 1, STAMP)
    assert read_serials([row]) == {"lb.example": 2**32 - 1}
    soa = "ns1.lb.example. hostmaster.lb.example. 4294967295 7200 3600 1209600 5"
    assert row[ZONE.columns.index("soa")] == soa


def test_a_transition_in_words() -> None:
    moved = Transition(
        1.5, KEY, A, A, Health.UP, Health.DOWN, True, False, 1, None, "exit\ncode \x1b[31m1"
    )
    row = transition_row("e1", "ns1", moved)
    assert len(row) == len(TRANSITION.columns)
    assert row[1] == "1970-01-01 00:00:01.500"
    assert row[-2:] == ("exit code \ufffd[31m1", "{}")


def test_labels_are_json_in_both_tables() -> None:
    labels = ("dc=fra", "rack=12")
    dests = (Dest(A, is_literal=True, labels=labels),)
    driver = Driver(replace(record(A), dests=dests))
    driver.round({A: passed("200 OK")})
    (saved,) = capture(driver.health_map, {}, at(driver.clock)).records.values()
    tables = list(record_rows(saved, STAMP, 5.0))
    (row,) = [row for table, row in tables if table is STATE]
    assert row[STATE.columns.index("labels")] == '{"dc":"fra","rack":"12"}'
    records, hosts, states = (
        [row for table, row in tables if table is wanted] for wanted in (RECORD, HOST, STATE)
    )
    (found,) = read_records(records, hosts, states).values()
    assert found.members[0].status.member.labels == labels
    moved = Transition(
        *(1.5, KEY, A, A, Health.UP, Health.DOWN, True, False, 1, None, "timed out", labels),
    )
    assert transition_row("e1", "ns1", moved)[-1] == '{"dc":"fra","rack":"12"}'


def test_a_slow_start_is_kept() -> None:
    driver = Driver(replace(record(A, B), policy=Policy.WEIGHTED, slow_start=60.0))
    for result in (passed(), failed(1, "gone"), passed()):
        driver.round({A: result, B: passed()})
    (saved,) = capture(driver.health_map, {}, at(driver.clock)).records.values()
    tables = list(record_rows(saved, STAMP, 5.0))
    records, hosts, states = (
        [row for table, row in tables if table is wanted] for wanted in (RECORD, HOST, STATE)
    )
    (found,) = read_records(records, hosts, states).values()
    began = [member.ramping_since for member in found.members]
    assert began == [pytest.approx(saved.members[0].ramping_since, abs=0.001), None]
    assert found.decision.weights == (5, 100)


# -- values -------------------------------------------------------------------------------


@given(st.floats(0, 4e9))
def test_a_moment_comes_back_to_the_millisecond(wall: float) -> None:
    back = parse_sql_datetime(sql_datetime(wall))
    assert back is not None
    assert -1e-5 <= wall - back <= 0.0011


@pytest.mark.parametrize("wall", [-1e30, -1.0, 0.0, 2e11, 4e11, float("inf"), 1e300])
def test_no_clock_makes_a_time_that_a_table_refuses(wall: float) -> None:
    text = sql_datetime(wall)
    assert text is not None
    assert "1970-01-01 00:00:00.000" <= text <= "9999-12-31 23:59:59.999"


@given(st.text(st.characters(codec=None), max_size=40))
def test_text_fits_and_can_be_encoded(text: str) -> None:
    found = printable(text, 10)
    assert len(found) <= 10
    assert not set(found) & {chr(code) for code in range(32)}
    found.encode()


@given(st.text(string.printable[:95]))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text, 1000) == text


@pytest.mark.parametrize("number", [10**4000, -(10**4000), 2**63, 5, None])
def test_numbers_fit_into_64_bits(number: int | None) -> None:
    found = clamp_int64(number)
    assert found is None or -(2**63) <= found < 2**63
    assert found == number or abs(number or 0) > 2**62


def test_parts_of_a_key_do_not_run_together() -> None:
    assert row_key("a", "bc") != row_key("ab", "c")
    assert row_key("\ud800") != row_key("\ud801")


def test_a_ttl_fits() -> None:
    big = ZoneRow("a.lb.example", "A", A, 2**40)
    assert static_row(zone(), "a.lb.example", big, STAMP)[-2] == MAX_TTL


@pytest.mark.parametrize("checks", [("one",), ("one", "two")])
def test_own_health_and_what_nodes_agree_on_are_read_back_apart(checks: tuple[str, ...]) -> None:
    configured = plan(record(A, checks=checks))
    world = Fleet(FleetNode(name, configured, QuorumRules(name)) for name in ("n1", "n2", "n3"))
    for node in world.nodes.values():
        node.start(0.0, remembers=False)
    world.alive, world.cut = {A}, {("n1", A)}
    world.run(20)
    cut_off = world.nodes["n1"]
    memory = capture(cut_off.health, {}, at(world.clock))
    rows = rows_of(memory)
    ((key, found),) = read_records(rows[RECORD], rows[HOST], rows[STATE]).items()
    assert found == _rounded(memory, key)
    (member,) = found.members
    assert {state.last_known for state in member.states} == {member.own} == {Health.DOWN}
    assert set(member.agreed) == {member.status.state.health} == {Health.UP}
    assert column(rows[STATE], STATE, "own") == ["DOWN"]
    assert column(rows[STATE], STATE, "health") == ["UP"]
