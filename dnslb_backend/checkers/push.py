"""Where targets report themselves: what each said last, and since when nobody said anything."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend.errors import RefusedError

FORGET_AFTER = 86400.0
"""Seconds after which a target that no check asks about any more is forgotten."""

TEXT_LIMIT = 4096


@dataclass(slots=True)
class Report:
    """The last word of a target; `at` is None while it has said nothing."""

    expected_since: float
    asked: float
    at: float | None = None
    up: bool = True
    text: str = ""


class PushBoard:
    """Reports by token and address; only those that a check asks about are kept.

    `clock` gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: dict[tuple[str, str], Report] = {}

    def report(self, token: str, address: str, up: bool, text: str = "") -> None:
        """The target at `address` says how it is; raises RefusedError if no check wants to know.

        Whoever brings the report must have checked that it comes from the target: the token is
        a secret that it shares with the check.
        """
        report = self._reports.get((token, address))
        if report is None:
            raise RefusedError(f"no push check of this token is waiting for {address}")
        report.at, report.up, report.text = self._clock(), up, text[:TEXT_LIMIT]

    def last(self, token: str, address: str) -> tuple[Report, float]:
        """What is known of a target, and its age in seconds; from now on its reports are kept.

        The age of a target that never reported counts from the first time it was asked about.
        """
        now = self._clock()
        report = self._reports.get((token, address))
        if report is None:
            self._forget(now)
            report = self._reports[token, address] = Report(expected_since=now, asked=now)
        report.asked = now
        return report, now - (report.expected_since if report.at is None else report.at)

    def _forget(self, now: float) -> None:
        old = [key for key, report in self._reports.items() if now - report.asked > FORGET_AFTER]
        for key in old:
            del self._reports[key]
