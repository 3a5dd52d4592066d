"""Rounds: every balanced record is resolved and probed at its ticks, each in a loop of its own.

A round resolves all host names of its record and, at the same time, probes every address that
is known, new ones as the resolver names them. At most `slots` records are in their round at
once; two rounds of one record never overlap, and one that overruns skips ticks. A target that
several records share is probed by the first of them whose round comes, for all.

A loop never ends by itself: a bug in one round is logged with its traceback, the record's
targets become UNKNOWN, and the loop begins again after a pause that grows.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from dnslb_backend import metrics
from dnslb_backend.checkers.brake import Brake
from dnslb_backend.checkers.check import Check, Endpoint, run_probe
from dnslb_backend.checkers.gate import Gate, probe_limit
from dnslb_backend.checkers.resolver import Family, Resolver
from dnslb_backend.checkers.stalls import StallWatch
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.checkers.trials import Trials
from dnslb_backend.core.healthmap import HealthMap
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.members import TargetKey
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.resolutions import Status
from dnslb_backend.core.results import Code, Outcome, Result, fault
from dnslb_backend.core.schedule import anchor, next_tick, pace
from dnslb_backend.core.trials import Trial

log = logging.getLogger(__name__)

SWEEP_INTERVAL = 1.0
SWEEP_SLICE = 500
EARLY = 0.001
"""A target that is due within this many seconds is due: clocks are not exact."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class Rounds:
    """Keeps the health map current. `changed` is called after anything was told to the map."""

    def __init__(
        self,
        health: HealthMap,
        resolver: Resolver,
        tools: Tools,
        *,
        slots: int,
        now: Callable[[], Instant],
        changed: Callable[[], None],
    ) -> None:
        self._health = health
        self._resolver = resolver
        self._tools = tools
        self._now = now
        self._changed = changed
        self._slots = asyncio.Semaphore(slots)
        self._checks: Mapping[str, Check] = {}
        self._loops: dict[RecordKey, asyncio.Task[None]] = {}
        self._probes: dict[TargetKey, asyncio.Task[None]] = {}
        self._begun: dict[TargetKey, tuple[float, RecordKey]] = {}
        self._is_running = False
        self.swept = now().mono
        self._gate = Gate(probe_limit())
        self._trials = Trials()
        self._stalls = StallWatch(lambda: now().mono)
        self._brake = Brake((), 0.0, lambda: now().mono, self._count, self._ask_anew)

    @property
    def brake(self) -> Brake:
        return self._brake

    async def run(self) -> None:
        """Live until cancelled; every loop and probe ends with it."""
        self._is_running = True
        work = [
            asyncio.create_task(self._stalls.run(), name="stalls"),
            asyncio.create_task(self._brake.run(), name="brake"),
        ]
        for key in self._health.records:
            self._begin(key)
        try:
            while True:
                await asyncio.sleep(SWEEP_INTERVAL)
                await self._sweep()
        finally:
            self._is_running = False
            ending = [*work, *self._loops.values(), *self._probes.values()]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)

    def adopt(self, checks: Mapping[str, Check], changed: Iterable[RecordKey], slots: int) -> None:
        """Follow a health map that has adopted a new plan: `changed` records are probed at once.

        Loops of other records go on undisturbed; what nobody asks for any more stops now.
        """
        self._checks = checks
        self._slots = asyncio.Semaphore(slots)
        for key in self._loops.keys() - self._health.records.keys():
            self._loops.pop(key).cancel()
        for key in changed:
            if (loop := self._loops.pop(key, None)) is not None:
                loop.cancel()
            if self._is_running:
                self._begin(key)
        self._forget()

    async def try_out(self, key: RecordKey) -> list[Trial]:
        """Probe every target of a record now, outside its rounds; the results count for nothing.

        Whoever asks at the same time for the same target is told the same result.
        """
        targets = self._health.targets_of(key)
        return list(await asyncio.gather(*(self._try_out(key, target) for target in targets)))

    async def _try_out(self, key: RecordKey, target: TargetKey) -> Trial:
        state = self._health.records[key]
        check = self._checks[target.check]
        endpoint = Endpoint(target.address, target.port)
        limit = state.record.timing.timeout

        async def probe() -> Result:
            async with self._gate.entered(target.address):
                return await run_probe(check, endpoint, limit, self._tools)

        result = await self._trials.result(target, probe)
        after = self._health.preview(target, result, self._now())
        return Trial(
            key=key,
            contents=tuple(m.content for m in state.members if target in m.targets),
            address=target.address,
            asked=check.describe(endpoint),
            result=result,
            before=self._health.target(target).health,
            after=after.health,
            streak=after.streak,
        )

    def _begin(self, key: RecordKey) -> None:
        self._loops[key] = asyncio.create_task(self._live(key), name=f"rounds of {key}")

    async def _live(self, key: RecordKey) -> None:
        pause = FIRST_PAUSE
        while True:
            began = self._now().mono
            try:
                await self._go_round(key)
            except Exception:
                if self._now().mono - began > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                log.exception("%s: a bug in its round; it begins again in %g s", key, pause)
                for target in self._health.targets_of(key):
                    self._health.lose(target, self._now())
                self._changed()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _go_round(self, key: RecordKey) -> None:
        timing = self._health.records[key].record.timing
        anchored = anchor(str(key), timing.interval, timing.shift, self._now())
        due = self._now().mono
        previous, is_tick = due - timing.interval, True
        earliest = due + timing.interval / 2
        while True:
            async with self._slots:
                started = self._now().mono
                await self._round(key, previous, due, is_tick=is_tick)
            if is_tick:
                previous = started
            now = self._now().mono
            # Timers may fire a little early: the tick that was is none to come. And a tick right
            # after the first round would double the load of a start.
            tick = next_tick(anchored, timing.interval, max(now, due, earliest))
            if now - started > timing.interval:
                metrics.ROUNDS_SKIPPED.inc(int((now - started) / timing.interval))
            due = min([tick, *self._own_pace(key)])
            is_tick = due >= tick
            await asyncio.sleep(max(due - now, 0))

    def _own_pace(self, key: RecordKey) -> list[float]:
        """When the targets are due that are probed faster than by the ticks."""
        timing = self._health.records[key].record.timing
        if timing.fast_interval is None and timing.down_interval is None:
            return []
        return [
            self._begun[target][0] + own
            for target in self._health.targets_of(key)
            if (own := pace(timing, self._health.target(target))) != timing.interval
            and target in self._begun
        ]

    def _is_due(self, key: RecordKey, target: TargetKey, previous: float, *, is_tick: bool) -> bool:
        """Whether a round probes this target.

        One with a pace of its own has its own times; others are probed at the ticks, unless
        another record had them probed since this one's `previous` tick.
        """
        if target in self._probes:
            return True
        begun, by = self._begun.get(target, (-math.inf, key))
        timing = self._health.records[key].record.timing
        own = pace(timing, self._health.target(target))
        if own == timing.interval:
            return is_tick and (by == key or begun <= previous)
        return begun + own <= self._now().mono + EARLY

    async def _round(self, key: RecordKey, previous: float, due: float, *, is_tick: bool) -> None:
        """One round that was to begin at `due`, the last one at a tick at `previous`.

        Both are monotonic seconds.
        Between ticks nothing is resolved, and only targets with a pace of their own are probed.
        """
        self._health.open_round(key)
        hosts = self._health.records[key].record.host_names() if is_tick else ()
        resolving = {asyncio.create_task(self._resolve(key, host)) for host in hosts}
        probes: dict[TargetKey, asyncio.Task[None]] = {}
        try:
            self._probe_due(key, previous, due, probes, is_tick=is_tick)
            while resolving:
                done, resolving = await asyncio.wait(resolving, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                self._probe_due(key, previous, self._now().mono, probes, is_tick=is_tick)
            if probes:
                await asyncio.wait(probes.values())
        finally:
            for task in resolving:
                task.cancel()
            if key in self._health.records and self._loops.get(key) is asyncio.current_task():
                self._health.close_round(key, self._now())
                self._changed()

    def _probe_due(
        self,
        key: RecordKey,
        previous: float,
        due: float,
        probes: dict[TargetKey, asyncio.Task[None]],
        *,
        is_tick: bool,
    ) -> None:
        """Begin the probes that are due and not in `probes` yet; one under way serves as well."""
        for target in self._health.targets_of(key):
            if target not in probes and self._is_due(key, target, previous, is_tick=is_tick):
                probes[target] = self._probes.get(target) or self._probe(key, target, due)

    async def _resolve(self, key: RecordKey, host: str) -> None:
        timing = self._health.records[key].record.timing
        before = self._health.records[key].hosts.get(host)
        family: Family = "AAAA" if key.type == "AAAA" else "A"
        answer = await self._resolver.resolve(host, family, timing.dns_timeout)
        metrics.RESOLUTIONS.labels(answer.status).inc()
        if answer.status is Status.FAILED and (before is None or before.last != answer):
            log.warning("%s: %s cannot be resolved: %s", key, host, answer.text)
        self._health.resolved(key, host, answer, self._now())
        self._changed()

    def _probe(self, key: RecordKey, target: TargetKey, due: float) -> asyncio.Task[None]:
        """Begin a probe, as a task of its own: other records may come to wait for it."""
        self._begun[target] = (self._now().mono, key)
        self._health.begin_probe(target)
        limit = self._health.records[key].record.timing.timeout
        check = self._checks[target.check]
        probe = asyncio.create_task(self._execute(target, check, limit, due))
        self._probes[target] = probe
        return probe

    async def _execute(self, target: TargetKey, check: Check, limit: float, due: float) -> None:
        """One probe, from its begin to what the map makes of it; a bug stays in it."""
        endpoint = Endpoint(target.address, target.port)
        try:
            async with self._gate.entered(target.address):
                began = self._now().mono
                metrics.SCHEDULER_LAG.observe(max(began - due, 0.0))
                result = await run_probe(check, endpoint, limit, self._tools)
            metrics.count_probe(check.type, result.outcome.value, result.duration)
            if result.code == Code.TIMEOUT and self._stalls.stood_still_since(began):
                stalled = fault("this daemon stood still during the probe")
                result = replace(stalled, duration=result.duration)
            self._hear(target, result)
        except asyncio.CancelledError:
            self._health.give_up(target, self._now())
            raise
        except Exception:
            log.exception("%s: a bug in its check; its health is unknown", target.address)
            self._health.give_up(target, self._now())
            self._health.lose(target, self._now())
            self._changed()
        finally:
            del self._probes[target]

    def _hear(self, target: TargetKey, result: Result) -> None:
        before = self._health.target(target).result
        if result.outcome is Outcome.ERROR and (before is None or before.text != result.text):
            log.error("%s: our own fault, its health is kept: %s", target.address, result.text)
        if self._health.would_fall(target, result, self._now()):
            if not self._brake.admit(target, result):
                self._health.hold_back(target, self._now())
                return
        elif result.outcome is not Outcome.ERROR:
            self._brake.drop(target)
        self._count(target, result)

    def _count(self, target: TargetKey, result: Result) -> None:
        self._health.observed(target, result, self._now())
        self._changed()

    def _ask_anew(self, target: TargetKey) -> None:
        """Probe a target between its rounds, as its last failure counted for nothing."""
        users = self._health.users(target)
        if self._is_running and users and target not in self._probes:
            self._probe(min(users), target, self._now().mono)

    async def _sweep(self) -> None:
        """Look for silent targets, a few at a time: with many, lookups come in between."""
        targets = list(self._health.target_keys())
        for start in range(0, len(targets), SWEEP_SLICE):
            self._health.sweep(targets[start : start + SWEEP_SLICE], self._now())
            await asyncio.sleep(0)
        self._health.admit_waiting(self._now())
        self._forget()
        self.swept = self._now().mono
        self._changed()

    def _forget(self) -> None:
        """Call off the probes and drop the memory of targets that no record uses."""
        for target in [key for key in self._probes if not self._health.is_used(key)]:
            self._probes[target].cancel()
        for target in [key for key in self._begun if not self._health.is_used(key)]:
            del self._begun[target]
