"""The health map: the state of every record, and the decisions that follow from it.

Callers report what happened (`open_cycle`, `record_resolution`, `record_result`, `close_cycle`, …)
and collect with `take_changes` which answers changed and why. It never waits, and callers pass the
time in.

Results are cheap: they only mark the records that they count for. A marked record is decided
once for all of them, by `take_changes` or at the end of its check cycle, since one decision costs
as much as the record has members.

A change that would leave a name with no serving member waits until every target of that
record's check cycle has answered or timed out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from dnslb_backend.core.health.changes import ChangeLog, Changes, Overflow
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import PENDING, Decision, DecisionKind
from dnslb_backend.core.health.decision_changes import report
from dnslb_backend.core.health.evaluation import (
    clear_returned,
    evaluate,
    evaluate_members,
    evaluate_moved,
    keep_last_good,
    track_returns,
)
from dnslb_backend.core.health.hosts import UNRESOLVED, apply_resolution
from dnslb_backend.core.health.members import MemberStatus, TargetKey, mark_served
from dnslb_backend.core.health.membership import Membership, StatesByMember
from dnslb_backend.core.health.observation import Observation
from dnslb_backend.core.health.overrides import ActiveOverrides, Authors, Override
from dnslb_backend.core.health.record_state import (
    RecordState,
    RestoredRecord,
    carry_over,
    is_known,
    restored,
    waiting_again,
)
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.schedule import probe_interval
from dnslb_backend.core.health.target import Health, TargetState, mark_stale, observe, reset_damping
from dnslb_backend.core.health.targets import Targets
from dnslb_backend.core.health.transitions import diff
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import RecordKey


class HealthMap:
    """Health of every target and the decision of every record. Not thread-safe."""

    def __init__(self) -> None:
        self.records: dict[RecordKey, RecordState] = {}
        self._targets = Targets()
        self._membership = Membership(self._targets)
        self._pending: dict[RecordKey, None] = {}
        self._marked: dict[RecordKey, Instant] = {}
        self._active_overrides = ActiveOverrides(())
        self._waiting: set[RecordKey] = set()
        self._changes = ChangeLog()

    # -- queries ------------------------------------------------------------------------

    @property
    def overrides(self) -> tuple[Override, ...]:
        return self._active_overrides.overrides

    def covered(self, overrides: Iterable[Override]) -> set[RecordKey]:
        """The records of which any of these overrides matches a member or a destination."""
        return self._membership.covered(overrides)

    def target(self, key: TargetKey) -> TargetState:
        return self._targets[key]

    def target_keys(self) -> Iterator[TargetKey]:
        return iter(self._targets)

    def take_unused(self) -> list[TargetKey]:
        """The targets that no record uses any more, each once after its last user has left."""
        return self._targets.take_unused()

    def records_using(self, key: TargetKey) -> Collection[RecordKey]:
        """The records that use a target, as they are now."""
        return self._targets.users(key)

    def targets_of(self, key: RecordKey) -> list[TargetKey]:
        """Every target of a record once, in the order of its members."""
        self._regroup(key)
        return list(self.records[key].positions)

    def pending(self) -> list[RecordKey]:
        """Records whose first check cycle has not ended and whose answer was not restored."""
        return list(self._pending)

    def take_changes(self) -> Changes:
        """Decide what is marked, and return what changed since the last call."""
        self.decide_marked()
        return self._changes.take(self.records)

    def decide_marked(self) -> None:
        """Decide every marked record, as of the time at which it was last marked."""
        for key, at in list(self._marked.items()):
            self._decide(key, at)

    # -- events -------------------------------------------------------------------------

    def apply_plan(self, plan: Plan, at: Instant) -> list[RecordKey]:
        """Switch to `plan`; return the records that are new or were changed.

        Health, addresses and counters follow the member, also when its check changed. A
        changed record is held in its old answer until its next check cycle has ended. A target that
        moves from one record to another keeps its state.
        """
        self.decide_marked()
        before = self.records
        previous: dict[RecordKey, StatesByMember] = {}
        self.records = {}
        changed: list[RecordKey] = []
        for key, record in plan.records.items():
            old = before.get(key)
            if old is not None:
                if old.record is record or old.record == record:
                    self.records[key] = old
                    continue
                previous[key] = self._membership.states(old)
            changed.append(key)
            self.records[key] = carry_over(record, old)
        # In the order of their names: where checks become one target, the first state counts.
        for key in sorted(changed):
            self._membership.rebuild(key, self.records[key], previous.get(key))
        # A target is forgotten with its last user, so every new user comes before any leaves.
        for key in before.keys() - self.records.keys():
            self._membership.remove(key, before[key])
            self._changes.answer(key)
            self._changes.touch([key])
        for key in changed:
            if (old := before.get(key)) is not None:
                gone = old.positions.keys() - self.records[key].positions.keys()
                self._membership.release(key, gone)
        for key in changed:
            self._changes.answer(key)
            self._decide(key, at, whole=True)
        self._count_pending()
        return changed

    def restore(
        self, pasts: Mapping[RecordKey, RestoredRecord], overrides: Iterable[Override], at: Instant
    ) -> frozenset[RecordKey]:
        """Restore what an earlier run knew, before any check cycle; return the records it answers.

        Those are ready, and as after a change of the configuration, what would leave a name with no
        serving member waits for the first check cycle to end.
        """
        self._active_overrides = ActiveOverrides(overrides)
        # Records share targets: all are restored before any is decided.
        for key in sorted(self.records.keys() & pasts.keys()):
            self._restore(key, pasts[key])
        for key in self.records:
            self._changes.touch([key])
            self._decide(key, at, whole=True)
            state = self.records[key]
            if not state.decision.is_answer and not is_known(state):
                state.is_ready, state.decision = False, PENDING
            # What is restored is no change.
            report(state)
        self._count_pending()
        return frozenset(self.records.keys() - self._pending.keys())

    def open_cycle(self, key: RecordKey) -> None:
        """A check cycle of this record begins."""
        self.records[key].is_cycle_open = True

    def record_resolution(self, key: RecordKey, host: str, answer: Resolution, at: Instant) -> None:
        """The resolver answered for one host of this record."""
        state = self.records[key]
        before = state.hosts.get(host, UNRESOLVED)
        record = state.record
        after = apply_resolution(
            before, answer, at.mono, record.timing.dns_ttl, record.max_addresses
        )
        state.hosts[host] = after
        if bool(after.ignored) != bool(before.ignored):
            self._changes.add_overflow(Overflow(key, host, after.ignored, record.max_addresses))
        if (after.addresses, after.is_answered) != (before.addresses, before.is_answered):
            state.is_reshaped = True
            self._marked[key] = at

    def begin_probe(self, target: TargetKey) -> None:
        """A probe of this target is under way; `record_result` or `cancel_probe` ends it."""
        self._targets.begin(target)

    def observe(self, target: TargetKey, result: Result, at: Instant) -> Observation:
        """What this result of a target changes if it counts; nothing has changed yet."""
        users = self._targets.users(target)
        before = after = self.target(target)
        if users:
            thresholds = self.records[next(iter(users))].record.thresholds
            after = observe(before, result, at, thresholds)
        return Observation(target, result, at, before, after)

    def record(self, observed: Observation) -> None:
        """A probe has ended, and its result counts for every record that uses the target.

        Nothing else may have been recorded of the target since `observe`.
        """
        target, at = observed.target, observed.at
        self._targets.end(target)
        users = self._targets.users(target)
        if not users:
            return
        self._stop_awaiting(target, users)
        if observed.is_move:
            self._move(target, observed.after, at)
        else:
            self._targets[target] = observed.after
            self._mark_held(users, at)
        self._changes.touch(users)

    def record_result(self, target: TargetKey, result: Result, at: Instant) -> None:
        """As `observe` and `record`."""
        self.record(self.observe(target, result, at))

    def cancel_probe(self, target: TargetKey, at: Instant) -> None:
        """A probe has ended without a result: it was cancelled."""
        self._targets.end(target)
        users = self._targets.users(target)
        self._stop_awaiting(target, users)
        self._mark_held(users, at)

    def defer_result(self, target: TargetKey, at: Instant) -> None:
        """A probe has ended whose result does not count for now, except against staleness."""
        if target in self._targets:
            self._targets[target] = replace(self._targets[target], last_seen=at.mono)
        self.cancel_probe(target, at)

    def close_cycle(self, key: RecordKey, at: Instant) -> None:
        """The check cycle has ended; what waited for it is decided now."""
        state = self.records[key]
        state.is_cycle_open = False
        if state.is_held or not state.is_ready or key in self._marked:
            state.is_ready = True
            self._pending.pop(key, None)
            self._decide(key, at)
        keep_last_good(state)

    def mark_unknown(self, target: TargetKey, at: Instant) -> None:
        """Nothing is known of this target any more: no result comes, or its check is broken."""
        state = self._targets[target]
        if state.stale or state.last_known is Health.UNKNOWN:
            return
        self._move(target, mark_stale(state, at), at)

    def readmit(self, at: Instant) -> None:
        """Readmit the recovered members whose failback time is over."""
        waiting, self._waiting = self._waiting, set()
        for key in waiting & self.records.keys():
            self.records[key].is_partial = False
            self._marked[key] = at

    def expire_stale(self, targets: Iterable[TargetKey], at: Instant) -> None:
        """Mark those of these targets that have had no result for too long."""
        for target in targets:
            state, users = self._targets[target], self._targets.users(target)
            if state.stale or not users or not self._targets.is_known(target):
                continue
            timing = self.records[next(iter(users))].record.timing
            asked_later = max(probe_interval(timing, state) - timing.interval, 0.0)
            if at.mono - state.last_seen > timing.stale_after + asked_later:
                self.mark_unknown(target, at)

    def readmit_member(self, key: RecordKey, content: str, at: Instant) -> None:
        """An operator readmits a member: it is neither held for flapping nor waits to return.

        Members that share its targets are not held for flapping either, but go on waiting.
        """
        state = self.records[key]
        state.waiting.pop(content, None)
        for member in state.members:
            if member.content == content:
                for target in member.targets:
                    self._move(target, reset_damping(self.target(target)), at)
        self._changes.touch([key])
        self._decide(key, at, whole=True)

    def set_overrides(
        self, overrides: Iterable[Override], at: Instant, cleared_by: Authors | None = None
    ) -> None:
        """Replace all overrides, and decide every record that one of the changed ones covers."""
        before = self._active_overrides
        self._active_overrides, changed = before.replaced(overrides, at.wall, cleared_by)
        for key in self.covered(changed):
            self._changes.touch([key])
            self._decide(key, at, whole=True, is_override=True)

    # -- internals ----------------------------------------------------------------------

    def _count_pending(self) -> None:
        self._pending = {key: None for key, state in self.records.items() if not state.is_ready}

    def _restore(self, key: RecordKey, past: RestoredRecord) -> None:
        before = self.records[key]
        state = self.records[key] = restored(before.record, past)
        state.positions = before.positions
        self._membership.rebuild(key, state, past.targets)
        state.waiting = waiting_again(state.members, past)
        self._changes.answer(key)

    def _move(self, target: TargetKey, after: TargetState, at: Instant) -> None:
        """The state of a target has changed: mark the records that it counts for."""
        users = self._targets.users(target)
        for key in users:
            if target in self.records[key].moved:
                # Its last change is not decided yet, and every change of health is reported.
                self._decide(key, self._marked[key])
        self._targets[target] = after
        for key in users:
            self.records[key].moved[target] = at.wall
            self._marked[key] = at

    def _mark_held(self, keys: Iterable[RecordKey], at: Instant) -> None:
        for key in keys:
            if self.records[key].is_held:
                self._marked[key] = at

    def _regroup(self, key: RecordKey) -> None:
        """Rebuild the members if host names have resolved to other addresses since."""
        if self.records[key].is_reshaped:
            self._membership.rebuild(key, self.records[key])

    def evaluate_with(
        self, key: RecordKey, active_overrides: ActiveOverrides
    ) -> tuple[tuple[MemberStatus, ...], Decision]:
        """The table and the answer of a record as they would be with these overrides."""
        state = self.records[key]
        rows = evaluate_members(state, self._targets, active_overrides)
        decision = evaluate(state, rows, [row.candidate() for row in rows])
        return mark_served(rows, decision, state.rows, state.record), decision

    def _decide(
        self, key: RecordKey, at: Instant, *, whole: bool = False, is_override: bool = False
    ) -> None:
        """Decide a record: by the targets that changed, or by all of them."""
        self._regroup(key)
        state = self.records[key]
        self._marked.pop(key, None)
        moved, state.moved = state.moved, {}
        is_whole = whole or not state.is_partial
        positions = {position for target in moved for position in state.positions.get(target, ())}
        track_returns(state, self._targets, None if is_whole else positions, at.mono)
        if is_whole:
            state.is_partial = True
            rows = evaluate_members(state, self._targets, self._active_overrides)
            state.candidates = [row.candidate() for row in rows]
        else:
            rows = evaluate_moved(state, positions, self._targets, self._active_overrides)
        decision = evaluate(state, rows, state.candidates)
        is_starving = decision.loses_service(state.decision) and not is_override
        if is_starving and not state.is_held:
            state.awaited = frozenset(filter(self._targets.is_in_flight, state.positions))
        state.is_held = is_starving and self._is_awaiting(state)
        if state.is_held:
            decision = state.decision
        if state.waiting:
            clear_returned(state, rows, decision)
            self._waiting.add(key)
        self._publish(key, rows, decision, at.wall, moved)

    def _is_awaiting(self, state: RecordState) -> bool:
        """Whether probes of this check cycle may yet find a member that can serve; not those that
        have begun after the change, since other records may share the targets."""
        return state.is_cycle_open or not state.awaited.isdisjoint(state.positions)

    def _stop_awaiting(self, target: TargetKey, users: Iterable[RecordKey]) -> None:
        for key in users:
            state = self.records[key]
            if target in state.awaited:
                state.awaited = state.awaited - {target}

    def _publish(
        self,
        key: RecordKey,
        rows: list[MemberStatus],
        decision: Decision,
        wall: float,
        moved: Mapping[TargetKey, float],
    ) -> None:
        state = self.records[key]
        after = mark_served(rows, decision, state.rows, state.record)
        is_first = state.decision.kind is DecisionKind.PENDING
        ended = self._active_overrides.ended
        self._changes.add(diff(key, state.rows, after, decision, wall, moved, is_first, ended))
        if decision != state.decision:
            self._changes.answer(key)
        if after != state.rows or decision != state.decision:
            self._changes.move(key, wall)
        state.rows, state.decision = after, decision
