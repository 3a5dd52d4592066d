"""The check scheduler: begins probes and lookups of host names when the timetable says so.

At the ticks of a record its host names are resolved and, at the same time, its targets probed; an
address that the resolver names for the first time is probed at once. No target waits for another
one, nor for the resolver. At most `slots` records have probes under way at once, and as many are
being resolved. A target that several records share is probed once for all.

A check cycle is what began at one tick of a record. It has ended when all of it has answered or
timed out; a tick before that begins probes and lookups as ever, but no further cycle.

An unhandled exception in one check is logged with its traceback, its target becomes UNKNOWN, and is
probed again after a pause that grows. Others go on.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dnslb_backend import metrics
from dnslb_backend.checkers.checks.base import Check, ProbeEndpoint
from dnslb_backend.checkers.resources.push_reports import CountedReports
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.schedule.brake import Brake, BrakeStatus, Verdict
from dnslb_backend.checkers.schedule.cycles import Cycles
from dnslb_backend.checkers.schedule.error_log import log_check_error
from dnslb_backend.checkers.schedule.lookups import Lookups
from dnslb_backend.checkers.schedule.on_demand import OnDemandProbes
from dnslb_backend.checkers.schedule.prober import Prober, ProbeRun
from dnslb_backend.checkers.schedule.resolver import Resolver
from dnslb_backend.checkers.schedule.slots import Slots
from dnslb_backend.checkers.schedule.sweep import StaleSweep
from dnslb_backend.clock import mono, now
from dnslb_backend.component_log import ComponentLog
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.members import TargetKey
from dnslb_backend.core.health.observation import Observation
from dnslb_backend.core.health.probe_report import ProbeReport, probe_report
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.results import Outcome, Result
from dnslb_backend.core.health.timetable import Due, Timetable
from dnslb_backend.core.model.plan import PlanChange
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.network import AddressPort
from dnslb_backend.slices import in_slices

log = ComponentLog(__name__, "scheduler")
log_check = ComponentLog(__name__, "check")

ADDED_AT_ONCE = 200
BATCH = 8
"""At most so many ticks begin in one turn of the event loop: lookups come in between."""


@dataclass(eq=False, slots=True)
class _Probe:
    """A probe under way. `slot` is the record whose slot it takes, None where it needs none.

    `is_retry_due`: the target must be probed again at its end, since it has reported meanwhile, or
    the brake has discarded the result.
    """

    run: ProbeRun
    slot: RecordKey | None
    is_retry_due: bool = False


class Scheduler:
    """Keeps the health map current. `changed` is called after anything was recorded there; with
    another `seed` rounds begin at other times."""

    def __init__(
        self,
        health: HealthMap,
        resolver: Resolver,
        resources: CheckResources,
        *,
        slots: int,
        changed: Callable[[], None],
        seed: str = "",
    ) -> None:
        self._health = health
        self._changed = changed
        self._checks: Mapping[str, Check] = {}
        self._timetable = Timetable(health, seed)
        self._cycles = Cycles(self._end_cycle)
        self._probing: Slots[TargetKey] = Slots(slots, self._probe)
        self._lookups = Lookups(health, resolver, self._answered, slots)
        self._probes: dict[TargetKey, _Probe] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._is_running = False
        self._sweep = StaleSweep(health, changed)
        self._prober = Prober(resources)
        self._on_demand = OnDemandProbes()
        self._reports = CountedReports()
        resources.push_reports.follow(self._reported)
        self._brake = Brake(mono)

    @property
    def last_sweep(self) -> float:
        """The monotonic time of its last sign of life."""
        return self._sweep.last

    def brake_status(self) -> BrakeStatus:
        return self._brake.status()

    async def run(self) -> None:
        """Run until cancelled; every probe and lookup ends with it."""
        self._is_running = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._add_records(), name="first rounds")
                group.create_task(self._prober.run(), name="stall detector")
                group.create_task(self._follow_brake(), name="brake")
                group.create_task(self._sweep.run(), name="sweep")
        finally:
            await self._stop()

    async def _add_records(self) -> None:
        """Begin with every record, some at a time: with many, lookups come in between."""
        for number, key in enumerate(list(self._health.records), 1):
            if key in self._health.records:
                self._timetable.add(key, now())
            if number % ADDED_AT_ONCE == 0:
                self._arm()
                await asyncio.sleep(0)
        self._arm()

    async def _stop(self) -> None:
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._probing.clear()
        self._cycles.clear()
        for probe in list(self._probes.values()):
            probe.run.cancel()
        await asyncio.gather(self._lookups.stop(), self._prober.close(), self._on_demand.close())

    def apply_plan(self, checks: Mapping[str, Check], change: PlanChange, slots: int) -> None:
        """Follow a health map to which a new plan was applied: probe changed records at once.

        Probes of other records go on undisturbed; what no record uses any more stops now.
        """
        self._checks = checks
        self._sweep.restart()
        self._probing.limit = self._lookups.slots.limit = slots
        for key in (*change.removed, *change.changed):
            self._drop_record(key)
        for key in change.changed:
            if self._is_running:
                self._timetable.add(key, now())
        self._drop_unused()
        self._arm()

    def configure_brake(self, canaries: Sequence[AddressPort], hold: float) -> None:
        """Use other canaries from now on; without any, all DOWNs that are held count."""
        for target, result in self._brake.configure(canaries, hold).counted:
            self._apply(target, result)

    async def probe_now(self, key: RecordKey) -> list[ProbeReport]:
        """Probe every target of a record now, off the schedule; the results change no health.

        Concurrent requests for the same target share one probe.
        """
        targets = self._health.targets_of(key)
        return list(await asyncio.gather(*(self._probe_now(key, target) for target in targets)))

    async def _probe_now(self, key: RecordKey, target: TargetKey) -> ProbeReport:
        check = self._checks[target.check]
        endpoint = ProbeEndpoint(target.address, target.port)
        limit = self._health.records[key].record.timing.timeout
        result = await self._on_demand.result(
            target, lambda: self._prober.probe(check, endpoint, limit)
        )
        observed = self._health.observe(target, result, now())
        return probe_report(self._health, key, observed, check.describe(endpoint))

    # -- what is due --------------------------------------------------------------------

    def _arm(self) -> None:
        """Wake up when the next entry of the timetable is due."""
        due = self._timetable.next_due()
        if not self._is_running or due == math.inf:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        wait = max(due - mono(), 0.0)
        self._timer = asyncio.get_running_loop().call_later(wait, self._turn)

    def _turn(self) -> None:
        self._timer = None
        try:
            for due in self._timetable.take(mono(), BATCH):
                self._start_record(due)
        except Exception:
            log.exception("unhandled exception in the check scheduler; continuing")
        finally:
            self._arm()

    def _start_record(self, due: Due) -> None:
        if not due.is_tick:
            self._want(due.key, due.targets, due.at)
            return
        hosts = self._lookups.want(due.key, due.at)
        if due.key in self._cycles:
            metrics.CHECK_CYCLES_SKIPPED.inc()
        else:
            self._health.open_cycle(due.key)
            under_way = [t for t in self._health.targets_of(due.key) if t in self._probes]
            self._cycles.begin(due.key, hosts, [*under_way, *due.targets])
        self._want(due.key, due.targets, due.at)
        self._cycles.end_if_done(due.key)

    def _end_cycle(self, key: RecordKey) -> None:
        self._health.close_cycle(key, now())
        self._publish()

    def _answered(self, key: RecordKey, host: str, answer: Resolution | None) -> None:
        """A lookup has ended, without an answer where it was cancelled; probe new addresses."""
        if answer is not None:
            self._health.record_resolution(key, host, answer, now())
            self._publish()
        if self._health.records[key].is_reshaped:
            new = self._timetable.new_targets(key)
            self._drop_unused()
            self._cycles.join(key, new)
            self._want(key, new, mono())
        self._cycles.host_done(key, host)
        self._arm()

    # -- probes -------------------------------------------------------------------------

    def _want(self, key: RecordKey, targets: Iterable[TargetKey], due: float) -> None:
        """Probe these targets now, or as soon as the record has a slot."""
        asking = []
        for target in targets:
            if self._checks[target.check].asks_nobody:
                self._probe(None, target, due)
            else:
                asking.append(target)
        self._probing.want(key, asking, due)

    def _probe(self, slot: RecordKey | None, target: TargetKey, due: float) -> bool:
        """Begin a probe, unless one has begun since it was due, or no record uses the target."""
        timing = self._timetable.begin(target, due, mono())
        if timing is None:
            if target not in self._probes:
                self._cycles.target_done(target)
            return False
        self._health.targets.begin(target)
        check, done = self._checks[target.check], partial(self._probed, target)
        run = self._prober.start(check, target, timing.timeout, due, done)
        self._probes[target] = _Probe(run, slot)
        return True

    def _probed(self, target: TargetKey, run: ProbeRun) -> None:
        """A probe has ended, by itself or because the daemon stops."""
        probe = self._probes.get(target)
        if probe is None or probe.run is not run:
            return
        is_broken, at = False, now()
        try:
            if run.cancelled():
                self._health.cancel_probe(target, at)
            else:
                self._record_result(target, run.result(), at)
        except Exception:
            is_broken = True
            log_check.exception("%s: unhandled exception in its check; UNKNOWN", target.address)
            self._health.cancel_probe(target, at)
            self._health.mark_unknown(target, at)
            self._publish()
        finally:
            self._finish(target, at, is_broken=is_broken)

    def _publish(self) -> None:
        """Have changes published now; mere figures wait for the next sweep."""
        if self._health.has_news:
            self._changed()

    def _finish(self, target: TargetKey, at: Instant, *, is_broken: bool = False) -> None:
        probe = self._probes.pop(target)
        if self._timetable.end(target, at.mono, is_broken=is_broken):
            self._arm()
        self._cycles.target_done(target)
        if probe.slot is not None:
            self._probing.done(probe.slot)
        if probe.is_retry_due:
            self._retry(target)

    def _record_result(self, target: TargetKey, result: Result, at: Instant) -> None:
        kind = self._checks[target.check].type
        metrics.count_probe(kind, result.outcome._value_, result.duration)
        if result.report is None and self._health.repeat(target, result, at):
            self._brake.drop(target)
            return
        observed = self._health.observe(target, result, at)
        if self._reports.is_repeated(target, result) and not observed.before.stale:
            self._health.defer_result(target, observed.at)
            return
        log_check_error(observed)
        if self._counts(observed):
            self._count(observed)
        else:
            self._health.defer_result(target, observed.at)

    def _counts(self, observed: Observation) -> bool:
        """Whether a result counts now; the brake may hold it, or have the target probed again."""
        target, result = observed.target, observed.result
        if not observed.is_fall:
            if result.outcome is not Outcome.ERROR:
                self._brake.drop(target)
            return True
        verdict = self._brake.judge(target, result)
        if verdict is Verdict.DISCARD:
            self._probes[target].is_retry_due = True
        return verdict is Verdict.COUNT

    def _count(self, observed: Observation) -> None:
        self._reports.count(observed.target, observed.result)
        self._health.record(observed)
        self._publish()

    async def _follow_brake(self) -> None:
        while True:
            released = await self._brake.released()
            at = mono()
            async for target, result in in_slices(released.counted):
                # Else a later result has counted meanwhile.
                if self._health.target(target).last_seen <= at:
                    self._apply(target, result)
            async for target in in_slices(released.discarded):
                self._retry(target)

    def _apply(self, target: TargetKey, result: Result) -> None:
        """A result counts some time after its probe has ended."""
        self._count(self._health.observe(target, result, now()))
        self._timetable.follow(target, mono())
        self._arm()

    def _retry(self, target: TargetKey) -> None:
        """Probe a target now, off its schedule."""
        users = self._health.targets.users(target)
        if self._is_running and users:
            self._want(self._health.targets.first_user(target), [target], mono())

    def look_again(self, target: TargetKey) -> bool:
        """Another node has seen it change: probe it, if it was not just probed; whether it is."""
        is_due = self._timetable.is_askable(target, mono())
        if is_due:
            self._retry(target)
        return is_due

    def _reported(self, address: str) -> None:
        """A target has pushed a report: it counts now."""
        for target in self._reports.targets(address):
            if (probe := self._probes.get(target)) is not None:
                probe.is_retry_due = True
            else:
                self._retry(target)

    # -- what is over -------------------------------------------------------------------

    def _drop_record(self, key: RecordKey) -> None:
        """Forget what is under way of a record that is gone or was changed, but for its probes."""
        self._timetable.remove(key)
        self._cycles.drop(key)
        self._probing.drop(key)
        self._lookups.drop(key)

    def _drop_unused(self) -> None:
        for target in self._health.targets.take_unused():
            self._drop_target(target)

    def _drop_target(self, target: TargetKey) -> None:
        """Cancel the probe of a target that no record uses, and forget it."""
        if (probe := self._probes.get(target)) is not None:
            probe.run.cancel()
            at = now()
            self._health.cancel_probe(target, at)
            self._finish(target, at)
        else:
            self._cycles.target_done(target)
        self._timetable.forget([target])
        self._reports.forget(target)
