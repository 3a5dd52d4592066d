"""The result of one probe: always a value, never an exception."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import NamedTuple

TEXT_LIMIT = 200
"""A result's text is for one line of a table; longer ones are cut to this many characters."""


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    """An error of the daemon itself: the health of the target is kept."""


class Code(IntEnum):
    """Result codes below 1; an exit code of a command is stored as it is."""

    PASS = 0
    NO_MATCH = -1
    TIMEOUT = -2
    INTERNAL_ERROR = -3
    REFUSED = -4
    TLS = -5
    STATUS = -6


class Result(NamedTuple):
    """Outcome of one probe. Every probe makes one: a frozen dataclass takes eight times as long.

    `priority` and `weight` are None where the destination's own apply.
    `duration` is in seconds, start of the probe to its end. `report` is given where the target
    reports itself: the number of its report that this repeats, 0 before the first.
    """

    outcome: Outcome
    code: int
    text: str = ""
    priority: int | None = None
    weight: int | None = None
    duration: float = 0.0
    report: int | None = None
    is_stall: bool = False
    """An error because this process stalled; it is not stored."""
    certificate_expires: float | None = None
    """When the first certificate of a verified chain expires (Unix time); it is not stored."""

    def lasting(self, seconds: float) -> "Result":
        """The same, of a probe that took so long."""
        # Not by `_replace`, which takes three times as long.
        return Result(
            self.outcome,
            self.code,
            self.text,
            self.priority,
            self.weight,
            seconds,
            self.report,
            self.is_stall,
            self.certificate_expires,
        )


def first_expiry(results: Iterable[Result | None]) -> float | None:
    """When the first certificate that these probes verified expires; None where none did."""
    expiries = (result.certificate_expires for result in results if result is not None)
    return min((each for each in expiries if each is not None), default=None)


def passed(text: str = "", *, priority: int | None = None, weight: int | None = None) -> Result:
    return Result(Outcome.PASS, Code.PASS, text[:TEXT_LIMIT], priority, weight)


CONNECTED = passed("connected")


def failed(code: int, text: str) -> Result:
    return Result(Outcome.FAIL, code, text[:TEXT_LIMIT])


def check_error(text: str, *, is_stall: bool = False) -> Result:
    """An error of the daemon itself: cannot spawn, no file descriptors, a missing binary."""
    code = Code.INTERNAL_ERROR
    return Result(Outcome.ERROR, code, text[:TEXT_LIMIT], is_stall=is_stall)
