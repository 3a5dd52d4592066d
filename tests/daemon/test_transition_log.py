"""The log says what clients lose and get back at the level that it deserves."""

import json
import logging

import pytest

from dnslb_backend import logs
from dnslb_backend.core.health.results import Result, failed, passed
from dnslb_backend.daemon.transition_log import log_ready, report_changes
from tests.core.building import KEY, Driver, record

A, B = "192.0.2.1", "192.0.2.2"
PASS, FAIL = passed("200 OK"), failed(-2, "timed out after 2 s")


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def happens(driver: Driver, log: pytest.LogCaptureFixture, **results: Result) -> list[str]:
    """What is logged of a check cycle with these results, debug lines aside."""
    driver.round({{"a": A, "b": B}[name]: result for name, result in results.items()})
    log.clear()
    report_changes(driver.health_map.take_changes())
    return [
        f"{each.levelname.lower()} {each.getMessage()}"
        for each in log.records
        if each.levelno > logging.DEBUG
    ]


def test_a_record_that_loses_all_members_is_one_error_and_its_return_one_info(
    log: pytest.LogCaptureFixture,
) -> None:
    driver = Driver(record(A, B))
    happens(driver, log, a=PASS, b=PASS)
    assert happens(driver, log, a=FAIL) == [
        f"info www.lb.example/A {A}: UP -> DOWN, no longer served (timed out after 2 s)",
        "warning www.lb.example A: serving (last healthy member: 1 of 2 members UP)",
    ]
    assert happens(driver, log, a=FAIL, b=FAIL)[-1] == (
        "error www.lb.example A: serving -> no answer (2 of 2 members DOWN)"
    )
    assert happens(driver, log, a=PASS, b=PASS)[-1] == (
        "info www.lb.example A: no answer -> serving (2 of 2 members UP)"
    )


def test_a_first_check_cycle_logs_only_what_is_down(log: pytest.LogCaptureFixture) -> None:
    assert happens(Driver(record(A, B)), log, a=PASS, b=PASS) == []
    assert happens(Driver(record(A, B)), log, a=FAIL, b=FAIL) == [
        f"info www.lb.example/A {A}: UNKNOWN -> DOWN (timed out after 2 s)",
        f"info www.lb.example/A {B}: UNKNOWN -> DOWN (timed out after 2 s)",
        "error www.lb.example A: pending -> no answer (2 of 2 members DOWN)",
    ]


def test_machines_read_fields_and_people_read_them_once(log: pytest.LogCaptureFixture) -> None:
    driver = Driver(record(A))
    happens(driver, log, a=PASS)
    happens(driver, log, a=FAIL)
    member, *_, decision = log.records
    of_record = {"zone": KEY.zone, "name": KEY.name, "type": "A"}
    of_line = {"time", "level", "logger", "message"}
    found = [json.loads(logs.JsonFormatter(False).format(each)) for each in (member, decision)]
    assert [{key: each[key] for key in each.keys() - of_line} for each in found] == [
        {
            **of_record,
            "address": A,
            "from": "UP",
            "to": "DOWN",
            "served": 1,
            "reason": "timed out after 2 s",
            "code": -2,
        },
        {
            **of_record,
            "from": "serving",
            "to": "no answer",
            "served": 0,
            "total": 1,
            "up": 0,
            "reason": "1 of 1 members DOWN",
        },
    ]
    assert logs.TextFormatter(True).format(decision) == (
        "<3>dnslb_backend.health: www.lb.example A: serving -> no answer (1 of 1 members DOWN)"
    )


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (PASS, "INFO ready: 1 records (1 serving), 2 of 2 members UP"),
        (FAIL, "WARNING ready: 1 records (1 no answer), 0 of 2 members UP"),
    ],
)
async def test_a_start_ends_with_a_summary(
    log: pytest.LogCaptureFixture, result: Result, line: str
) -> None:
    driver = Driver(record(A, B))
    happens(driver, log, a=result, b=result)
    log.clear()
    await log_ready(state.reported for state in driver.health_map.records.values())
    (found,) = log.records
    assert f"{found.levelname} {found.getMessage()}" == line
