"""Check errors in the log: how loud they are."""

import logging

import pytest

from dnslb_backend.checkers.schedule.error_log import log_check_error
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.observation import Observation
from dnslb_backend.core.health.results import Result, check_error, failed
from dnslb_backend.core.health.target import NEVER_PROBED
from tests.core.building import at


@pytest.mark.parametrize(
    ("result", "levels"),
    [
        (check_error("no such program"), [logging.ERROR]),
        (check_error("this daemon stalled for 0.9 s during the probe", is_stall=True),
         [logging.WARNING]),
        (failed(1, "exit code 1"), []),
    ],
)  # fmt: skip
def test_a_stall_of_a_busy_machine_is_a_warning_and_a_broken_check_an_error(
    caplog: pytest.LogCaptureFixture, result: Result, levels: list[int]
) -> None:
    caplog.set_level(logging.DEBUG)
    target = TargetKey("192.0.2.1", None, "check")
    log_check_error(Observation(target, result, at(0), NEVER_PROBED, NEVER_PROBED))
    assert [record.levelno for record in caplog.records] == levels
