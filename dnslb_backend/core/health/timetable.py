"""The timetable: when which record is due for a check cycle, and which target for a probe.

Sans-IO: callers pass the time in, and report when probes begin and end. No target waits for
another one, nor for a resolver:

first           at once, when its record is new or was changed, or when its address is resolved
at the ticks    of the first record that uses it, every `interval`
at its own pace `fast_interval` or `down_interval` after its last probe began

A target that is still being probed when it is due again skips that tick; at a pace of its own it
is due as soon as that probe has ended. All times are monotonic, in seconds.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.schedule import next_tick, phase_start, probe_interval
from dnslb_backend.core.model.records import RecordKey, Timing

EARLY = 0.02
"""What is due within so many seconds is due now: several at once cost far less than one by one."""

JUST_PROBED = 0.5
"""A target is not probed between its ticks within so many seconds of its last probe."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class Due(NamedTuple):
    """Targets of a record that are to be probed, due since `at`; at a tick a cycle begins."""

    key: RecordKey
    at: float
    targets: list[TargetKey]
    is_tick: bool


@dataclass(slots=True)
class _Ticks:
    """The ticks of one record: `phase` is any of them, `next` the next one."""

    added: float
    phase: float
    next: float


@dataclass(slots=True)
class _Probing:
    """The last probe of a target; `pause` (s) grows while its check is broken.

    The `timing` of a target never changes: with another one, the check has another fingerprint.
    """

    timing: Timing
    begun: float
    has_own_pace: bool
    is_in_flight: bool = True
    pause: float = 0.0
    paused_until: float = -math.inf


class Timetable:
    """What is due when, for the records that were added. `seed` sets the phase of their ticks;
    what is due within `early` seconds is due now."""

    def __init__(self, health: HealthMap, seed: str = "", early: float = EARLY) -> None:
        self._early = early
        self._health = health
        self._seed = seed
        self._ticks: dict[RecordKey, _Ticks] = {}
        self._probing: dict[TargetKey, _Probing] = {}
        self._heap: list[tuple[float, int, RecordKey | TargetKey]] = []
        self._numbers = count()

    # -- records ------------------------------------------------------------------------

    def add(self, key: RecordKey, at: Instant) -> None:
        """A record is new or was changed: its first cycle is due at once."""
        timing = self._health.records[key].record.timing
        phase = phase_start(f"{key}{self._seed}", timing.interval, timing.shift, at)
        self._ticks[key] = _Ticks(at.mono, phase, at.mono)
        self._push(at.mono, key)

    def remove(self, key: RecordKey) -> None:
        self._ticks.pop(key, None)

    # -- what is due --------------------------------------------------------------------

    def next_due(self) -> float:
        """When `take` may return something again; infinity is never."""
        return self._heap[0][0] if self._heap else math.inf

    def take(self, now: float, limit: int) -> Iterator[Due]:
        """What is due by now, oldest first, from at most `limit` entries; each is returned once."""
        for _ in range(limit):
            if self.next_due() > now + self._early:
                return
            at, _, item = heapq.heappop(self._heap)
            due = self._tick(item, at, now) if isinstance(item, RecordKey) else self._own(item, now)
            if due is not None:
                yield due

    def new_targets(self, key: RecordKey) -> list[TargetKey]:
        """The targets of a record that have never been probed."""
        return [
            target
            for target in self._health.targets_of(key)
            if target not in self._probing and self._health.is_probed(target)
        ]

    def _tick(self, key: RecordKey, at: float, now: float) -> Due | None:
        ticks = self._ticks.get(key)
        if ticks is None or ticks.next != at:
            return None
        interval = self._health.records[key].record.timing.interval
        # A tick right after the first cycle would double the load of a start.
        earliest = ticks.added + interval / 2
        ticks.next = next_tick(ticks.phase, interval, max(at, now, earliest))
        self._push(ticks.next, key)
        is_first = at == ticks.added
        targets = [
            target
            for target in self._health.targets_of(key)
            if self._is_due_at_tick(target, key, ticks.added if is_first else None, now)
        ]
        return Due(key, at, targets, is_tick=True)

    def _is_due_at_tick(
        self, target: TargetKey, key: RecordKey, added: float | None, now: float
    ) -> bool:
        """Whether the target is due at a tick of this record, its first where `added` is given."""
        if not self._health.is_probed(target):
            return False
        probing = self._probing.get(target)
        if probing is None:
            return True
        if probing.is_in_flight or probing.paused_until > now:
            return False
        if added is not None:
            return probing.begun < added
        if probing.has_own_pace and self._own_due(target, probing) is not None:
            return False
        return self._health.targets.first_user(target) == key

    def _own(self, target: TargetKey, now: float) -> Due | None:
        probing = self._probing.get(target)
        if probing is None or probing.is_in_flight or not self._health.targets.users(target):
            return None
        if not self._health.is_probed(target):
            return None
        due = self._own_due(target, probing)
        if due is None or max(due, probing.paused_until) > now + self._early:
            return None
        return Due(self._health.targets.first_user(target), due, [target], is_tick=False)

    def _own_due(self, target: TargetKey, probing: _Probing) -> float | None:
        """When a target is due at its own pace, None where it follows the ticks."""
        if not probing.has_own_pace:
            return None
        timing = probing.timing
        own = probe_interval(timing, self._health.target(target))
        return None if own == timing.interval else probing.begun + own

    def _push(self, due: float, item: RecordKey | TargetKey) -> None:
        heapq.heappush(self._heap, (due, next(self._numbers), item))

    # -- probes -------------------------------------------------------------------------

    def begin(self, target: TargetKey, due: float, now: float) -> Timing | None:
        """A probe that was due begins, with this timing; None where one began since then or is in
        flight, or no record uses the target any more."""
        probing = self._probing.get(target)
        begun = max(now, due)
        if probing is None:
            if not (users := self._health.targets.users(target)):
                return None
            timing = self._health.records[next(iter(users))].record.timing
            has_own_pace = (timing.fast_interval, timing.down_interval) != (None, None)
            self._probing[target] = _Probing(timing, begun, has_own_pace)
            return timing
        if probing.is_in_flight or probing.begun >= due:
            return None
        probing.begun, probing.is_in_flight = begun, True
        return probing.timing

    def is_askable(self, target: TargetKey, now: float) -> bool:
        """Whether to probe it between its ticks: not right after it was."""
        probing = self._probing.get(target)
        if probing is None or probing.is_in_flight or probing.paused_until > now:
            return False
        return probing.begun < now - JUST_PROBED

    def end(self, target: TargetKey, now: float, *, is_broken: bool = False) -> bool:
        """Its probe has ended, and counts already; a broken check is paused longer every time.
        Whether it may be due now before its record's next tick."""
        probing = self._probing[target]
        probing.is_in_flight = False
        if is_broken:
            probing.pause = min(max(2 * probing.pause, FIRST_PAUSE), LONGEST_PAUSE)
            probing.paused_until = now + probing.pause
        elif probing.pause:
            probing.pause, probing.paused_until = 0.0, -math.inf
        if probing.has_own_pace:
            self.follow(target, now)
        return probing.has_own_pace

    def follow(self, target: TargetKey, now: float) -> None:
        """The health of a target has changed, and perhaps its interval with it."""
        probing = self._probing.get(target)
        if probing is None or probing.is_in_flight:
            return
        due = self._own_due(target, probing)
        if due is not None and self._health.targets.users(target):
            self._push(max(due, now, probing.paused_until), target)

    def forget(self, targets: Iterable[TargetKey]) -> None:
        for target in targets:
            self._probing.pop(target, None)
