"""Where targets report themselves: what each said last, when, and which report counted last."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.results import Result
from dnslb_backend.errors import ConflictError

FORGET_AFTER = 86400.0
"""Seconds after which a target that no check asks about any more is forgotten."""

TEXT_LIMIT = 4096


@dataclass(slots=True)
class LatestReport:
    """The last report of a target, with its `number`; `at` is None before the first one."""

    expected_since: float
    is_expected: float
    at: float | None = None
    up: bool = True
    text: str = ""
    number: int = 0


class PushReports:
    """Reports by token and address; only those that a check asks about are kept.

    `clock` gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: dict[tuple[str, str], LatestReport] = {}
        self._follow: Callable[[str], None] | None = None

    def follow(self, reported: Callable[[str], None]) -> None:
        """From now on call `reported` with the address of every report, once it is kept."""
        self._follow = reported

    def report(self, token: str, address: str, up: bool, text: str = "") -> None:
        """The target at `address` says how it is; raises ConflictError if no check wants to know.

        The caller must have checked that it comes from the target: the token is a secret that the
        target shares with the check.
        """
        report = self._reports.get((token, address))
        if report is None:
            raise ConflictError(f"no push check of this token is waiting for {address}")
        report.at, report.up, report.text = self._clock(), up, text[:TEXT_LIMIT]
        report.number += 1
        if self._follow is not None:
            self._follow(address)

    def last(self, token: str, address: str) -> tuple[LatestReport, float]:
        """What is known of a target, and its age in seconds; from now on its reports are kept.

        The age of a target that never reported counts from the first time it was asked about.
        """
        now = self._clock()
        report = self._reports.get((token, address))
        if report is None:
            self._expire(now)
            report = self._reports[token, address] = LatestReport(
                expected_since=now, is_expected=now
            )
        report.is_expected = now
        return report, now - (report.expected_since if report.at is None else report.at)

    def _expire(self, now: float) -> None:
        old = [
            key for key, report in self._reports.items() if now - report.is_expected > FORGET_AFTER
        ]
        for key in old:
            del self._reports[key]


class CountedReports:
    """Which report of every target that reports itself has counted: each counts once."""

    def __init__(self) -> None:
        self._counted: dict[TargetKey, int] = {}
        self._by_address: dict[str, set[TargetKey]] = {}

    def targets(self, address: str) -> set[TargetKey]:
        """Who may have reported from this address."""
        return self._by_address.get(address, set())

    def is_repeated(self, target: TargetKey, result: Result) -> bool:
        """Whether a result repeats a report that has counted already."""
        if result.report is not None:
            self._by_address.setdefault(target.address, set()).add(target)
        return bool(result.report) and self._counted.get(target) == result.report

    def count(self, target: TargetKey, result: Result) -> None:
        if result.report:
            self._counted[target] = result.report

    def forget(self, target: TargetKey) -> None:
        self._counted.pop(target, None)
        if (targets := self._by_address.get(target.address)) is not None:
            targets.discard(target)
            if not targets:
                del self._by_address[target.address]
