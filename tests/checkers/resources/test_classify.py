import asyncio
import errno
import logging
import os
import ssl
import time
from typing import ClassVar, Literal

import pytest

from dnslb_backend.checkers.checks import base
from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint, run_probe
from dnslb_backend.checkers.resources.classify import (
    ProbeError,
    TargetError,
    classify_exception,
    conversation,
)
from dnslb_backend.checkers.resources.deadlines import STALL_ALLOWANCE
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome, Result, passed

HERE, NOWHERE = "127.0.0.1", "255.255.255.255"
"""There is a way to the one, and none to the other without asking for it."""


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (TimeoutError(), Outcome.FAIL, Code.TIMEOUT),
        (OSError(errno.ETIMEDOUT, "x"), Outcome.FAIL, Code.TIMEOUT),
        (OSError(errno.ECONNREFUSED, "x"), Outcome.FAIL, Code.REFUSED),
        (OSError(errno.ECONNRESET, "x"), Outcome.FAIL, Code.REFUSED),
        (OSError(errno.EPIPE, "x"), Outcome.FAIL, Code.REFUSED),
        (OSError(errno.EHOSTUNREACH, "x"), Outcome.FAIL, Code.REFUSED),
        (ConnectionResetError(), Outcome.FAIL, Code.REFUSED),
        (ssl.SSLError(1, "x"), Outcome.FAIL, Code.TLS),
        (ssl.SSLCertVerificationError("x"), Outcome.FAIL, Code.TLS),
        (TargetError(Code.STATUS, "x"), Outcome.FAIL, Code.STATUS),
        (ProbeError("x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.ENETUNREACH, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.EMFILE, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.ENFILE, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.ENOMEM, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.ENOBUFS, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.EADDRNOTAVAIL, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.EPERM, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError("no number"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (ZeroDivisionError("x"), Outcome.ERROR, Code.INTERNAL_ERROR),
    ],
)
def test_whose_fault_an_exception_is(error: Exception, outcome: Outcome, code: Code) -> None:
    result = classify_exception(error, 2, NOWHERE)
    assert (result.outcome, result.code) == (outcome, code)
    assert result.text


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (ssl.SSLError(1, "x"), Outcome.FAIL, Code.TLS),
        (TimeoutError(), Outcome.FAIL, Code.TIMEOUT),
        (ConnectionResetError(errno.ECONNRESET, "x"), Outcome.FAIL, Code.REFUSED),
        (asyncio.IncompleteReadError(b"", 1), Outcome.FAIL, Code.REFUSED),
        # A library that keeps the number of an error of TLS, and drops its type.
        (OSError(1, "[SSL: WRONG_VERSION_NUMBER]"), Outcome.FAIL, Code.REFUSED),
        (OSError("no number"), Outcome.FAIL, Code.REFUSED),
        (IndexError("x"), Outcome.FAIL, Code.STATUS),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), Outcome.FAIL, Code.STATUS),
        (AssertionError(), Outcome.FAIL, Code.STATUS),
        (TargetError(Code.NO_MATCH, "x"), Outcome.FAIL, Code.NO_MATCH),
        (ProbeError("x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.ENOMEM, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.ENOBUFS, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (OSError(errno.EMFILE, "x"), Outcome.ERROR, Code.INTERNAL_ERROR),
        (MemoryError(), Outcome.ERROR, Code.INTERNAL_ERROR),
    ],
)
def test_whose_fault_it_is_once_the_target_can_be_spoken_to(
    error: Exception, outcome: Outcome, code: Code, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Exception) as raised, conversation():  # noqa: PT011 - which, is the test
        raise error
    result = classify_exception(raised.value, 2, HERE)
    assert (result.outcome, result.code) == (outcome, code)
    assert result.text
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EACCES])
def test_what_a_router_far_away_says_is_no_fault_of_ours(number: int) -> None:
    result = classify_exception(OSError(number, "x"), 2, HERE)
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.REFUSED)


def test_the_text_is_the_systems_own() -> None:
    refused = OSError(errno.ECONNREFUSED, "Connect call failed ('192.0.2.1', 80)")
    assert classify_exception(refused, 2, HERE).text == os.strerror(errno.ECONNREFUSED)
    assert classify_exception(TimeoutError(), 2.5, HERE).text == "no answer within 2.5 s"


class BuggyCheck(Check):
    """Raises what nobody thought of."""

    type: Literal["buggy"] = "buggy"

    async def probe(self, endpoint: ProbeEndpoint, limit: float, tools: CheckResources) -> Result:
        raise ZeroDivisionError("a bug\nin two lines")

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return "a bug"


async def test_a_bug_in_a_check_is_our_fault_and_logged_with_its_traceback(
    tools: CheckResources, caplog: pytest.LogCaptureFixture
) -> None:
    result = await run_probe(BuggyCheck(), ProbeEndpoint("192.0.2.1"), 1, tools)
    assert result.outcome is Outcome.ERROR
    assert result.text == "unexpected ZeroDivisionError: a bug"
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


class StallingCheck(Check):
    """Stalls the whole event loop, and never ends."""

    type: Literal["stalling"] = "stalling"

    async def probe(self, endpoint: ProbeEndpoint, limit: float, tools: CheckResources) -> Result:
        end = time.monotonic() + limit + STALL_ALLOWANCE + 0.1
        while time.monotonic() < end:
            pass
        await asyncio.Event().wait()
        return passed()

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return "nothing"


async def test_when_the_daemon_stood_still_the_target_was_not_silent(tools: CheckResources) -> None:
    result = await run_probe(StallingCheck(), ProbeEndpoint("192.0.2.1"), 0.1, tools)
    assert result.outcome is Outcome.ERROR
    assert result.text.startswith("this daemon stalled for 0.")
    assert result.is_stall


class ForgetfulCheck(Check):
    """Says that it keeps the time, and does not."""

    manages_timeout: ClassVar[bool] = True
    type: Literal["forgetful"] = "forgetful"

    async def probe(self, endpoint: ProbeEndpoint, limit: float, tools: CheckResources) -> Result:
        await asyncio.Event().wait()
        return passed()

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return "nothing"


async def test_a_check_that_forgets_the_time_is_our_fault(
    tools: CheckResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "OVERTIME", 0.1)
    result = await run_probe(ForgetfulCheck(), ProbeEndpoint("192.0.2.1"), 0.1, tools)
    assert result.outcome is Outcome.ERROR
    assert result.text == "check did not end within 0.1 s after its timeout"


class ClockCheck(Check):
    """Passes at once."""

    manages_timeout: ClassVar[bool] = True
    type: Literal["clock"] = "clock"

    async def probe(self, endpoint: ProbeEndpoint, limit: float, tools: CheckResources) -> Result:
        return passed()

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return "the time"


async def test_the_duration_is_that_of_the_probe(tools: CheckResources) -> None:
    times = iter([10.0, 10.25])
    result = await run_probe(
        ClockCheck(), ProbeEndpoint("::1"), 1, tools, clock=lambda: next(times)
    )
    assert result.duration == 0.25
