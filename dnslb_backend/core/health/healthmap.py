"""The health map: the state of every record, and the decisions that follow from it.

Callers report what happened (`open_cycle`, `record_resolution`, `record`, `close_cycle`, …)
and collect with `take_changes` which answers changed and why; they pass the time in.

Results are cheap: they only mark the records that they count for. A marked record is decided
once for all of them, by `take_changes` or at the end of its check cycle.

A change that would leave a name with no serving member waits until every target of that
record's check cycle has answered or timed out.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice

from dnslb_backend.core.health.agreement import Agreement
from dnslb_backend.core.health.changes import ChangeLog, Changes, Overflow
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import PENDING, Decision, DecisionKind
from dnslb_backend.core.health.decision_changes import report
from dnslb_backend.core.health.evaluation import (
    clear_returned,
    evaluate,
    evaluate_members,
    evaluate_moved,
    hold_starving,
    keep_last_good,
    track_returns,
)
from dnslb_backend.core.health.hosts import UNRESOLVED
from dnslb_backend.core.health.members import Rows, TargetKey, mark_served
from dnslb_backend.core.health.membership import Membership
from dnslb_backend.core.health.observation import Observation, is_move
from dnslb_backend.core.health.overrides import ActiveOverrides, Authors, Override
from dnslb_backend.core.health.record_state import (
    RecordState,
    RestoredRecord,
    carry_over,
    is_known,
    resolve_host,
    restored,
    waiting_again,
)
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.schedule import is_silent
from dnslb_backend.core.health.slow_start import begin_ramp, is_step_due
from dnslb_backend.core.health.target import Health, TargetState, mark_stale, observe, reset_damping
from dnslb_backend.core.health.targets import Targets
from dnslb_backend.core.health.transitions import Moved, diff
from dnslb_backend.core.model.plan import Plan, PlanChange, compare_records
from dnslb_backend.core.model.records import RecordKey

DECIDED_AT_ONCE = 50
"""Records that are decided because a target or an override changed: some milliseconds."""


class HealthMap:
    """Health of every target and the decision of every record. Not thread-safe.

    With an `agreement` it is the votes of all nodes that make the health of targets.
    """

    def __init__(self, agreement: Agreement | None = None) -> None:
        self.records: dict[RecordKey, RecordState] = {}
        self.agreement = agreement
        self.targets = Targets(agreement)
        self._membership = Membership(self.targets)
        self._pending: dict[RecordKey, None] = {}
        self._marked: dict[RecordKey, Instant] = {}
        self._active_overrides = ActiveOverrides(())
        self._waiting: set[RecordKey] = set()
        self._changes = ChangeLog()
        self._shortest_stale_after = math.inf

    @property
    def overrides(self) -> tuple[Override, ...]:
        return self._active_overrides.overrides

    @property
    def has_news(self) -> bool:
        """Whether anything but figures has changed that was not yet taken."""
        return bool(self._marked) or self._changes.has_news

    def covered(self, overrides: Iterable[Override]) -> set[RecordKey]:
        """The records of which any of these overrides matches a member or a destination."""
        return self._membership.covered(overrides)

    def target(self, key: TargetKey) -> TargetState:
        """What this node knows of a target."""
        return self.targets[key]

    def seen(self, key: TargetKey) -> TargetState:
        """What counts for its members: what this node knows, or what the votes make of it."""
        return self.targets.seen(key)

    def is_probed(self, target: TargetKey) -> bool:
        """Whether this node is to probe it; others may have to, and this one follows them."""
        return self.agreement is None or self.agreement.is_prober(target)

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

    def take_in_parts(self, limit: int) -> Iterator[Changes]:
        """As `take_changes`, in parts of at most `limit` records; at least one, perhaps empty."""
        for _ in range(0, max(len(self._marked) + len(self._changes), 1), limit):
            self.decide_marked(limit)
            yield self._changes.take(self.records, limit)

    def decide_marked(self, limit: int | None = None) -> None:
        """Decide the marked records, or the first `limit`, as of when they were last marked."""
        for key, at in list(islice(self._marked.items(), limit)):
            self._decide(key, at)

    def apply_plan(self, plan: Plan, at: Instant, change: PlanChange | None = None) -> PlanChange:
        """Switch to `plan`; return what is different in it: `change`, where the caller has it.

        Health, addresses and counters follow the member, also when its check changed or it moves to
        another record. A changed record keeps its old answer until its next check cycle has ended.
        """
        self.decide_marked()
        if self.agreement is not None:
            self.agreement.use_plan(plan)
        if change is None:
            change = compare_records({k: s.record for k, s in self.records.items()}, plan.records)
        before = {key: self.records[key] for key in change.changed if key in self.records}
        gone = {key: self.records.pop(key) for key in change.removed}
        for key in change.changed:
            self.records[key] = carry_over(record := plan.records[key], before.get(key))
            self._shortest_stale_after = min(self._shortest_stale_after, record.timing.stale_after)
        self._membership.switch(before, gone, {key: self.records[key] for key in change.changed})
        for key in change.removed:
            self._pending.pop(key, None)
            self._changes.answer(key)
            self._changes.touch([key])
        for key in change.changed:
            self._changes.answer(key)
            self._decide(key, at, whole=True)
        self._pending.update({k: None for k in change.changed if not self.records[k].is_ready})
        return change

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
        self.rule(list(self.targets) if self.agreement else (), at)
        for key in self.records:
            self._changes.touch([key])
            self._decide(key, at, whole=True)
            state = self.records[key]
            if not state.decision.is_answer and not is_known(state):
                state.is_ready, state.decision = False, PENDING
            report(state)  # What is restored is no change.
        self._pending = {key: None for key, state in self.records.items() if not state.is_ready}
        return frozenset(self.records.keys() - self._pending.keys())

    def open_cycle(self, key: RecordKey) -> None:
        """A check cycle of this record begins."""
        self.records[key].is_cycle_open = True

    def record_resolution(self, key: RecordKey, host: str, answer: Resolution, at: Instant) -> None:
        """The resolver answered for one host of this record."""
        state = self.records[key]
        before = state.hosts.get(host, UNRESOLVED)
        after = resolve_host(state, host, answer, at.mono)
        if bool(after.ignored) != bool(before.ignored):
            limit = state.record.max_addresses
            self._changes.add_overflow(Overflow(key, host, after.ignored, limit))
        if state.is_reshaped:
            self._marked[key] = at

    def observe(self, target: TargetKey, result: Result, at: Instant) -> Observation:
        """What this result of a target changes if it counts; nothing has changed yet."""
        before = after = self.targets[target]
        if users := self.targets.users(target):
            thresholds = self.records[next(iter(users))].record.thresholds
            after = observe(before, result, at, thresholds)
        return Observation(target, result, at, before, after)

    def repeat(self, target: TargetKey, result: Result, at: Instant) -> bool:
        """Record a result that only repeats the last one, as most do; False where it may not, and
        `observe` and `record` must be called."""
        for key in self.targets.users(target):
            if self.agreement is not None or target in self.records[key].awaited:
                return False
        return self.targets.repeat(target, result, at)

    def record(self, observed: Observation) -> None:
        """A probe has ended, and its result counts for every record that uses the target, of which
        nothing else may have been recorded since `observe`."""
        target, at = observed.target, observed.at
        users = self._end_probe(target)
        if not users:
            return
        if self.agreement is not None:
            self.agreement.observed(observed)
        has_moved = self._settle(target, observed.after, at)
        if not has_moved:
            self._mark_held(users, at)
        if has_moved or not observed.is_repeated:
            self._changes.touch(users)

    def rule(self, targets: Iterable[TargetKey], at: Instant) -> None:
        """Other votes count now: rule on these targets again."""
        for target in targets:
            self._settle(target, self.targets[target], at)
            if self.agreement and self.agreement.is_relieved(target):
                self.mark_unknown(target, at)
            self._changes.touch(users := self.targets.users(target))
            for key in self.agreement.awaiting.intersection(users) if self.agreement else ():
                self.close_cycle(key, at)

    def cancel_probe(self, target: TargetKey, at: Instant) -> None:
        """A probe has ended without a result: it was cancelled."""
        self._mark_held(self._end_probe(target), at)

    def defer_result(self, target: TargetKey, at: Instant) -> None:
        """A probe has ended whose result does not count for now, except against staleness."""
        if target in self.targets:
            self.targets[target] = self.targets[target]._replace(last_seen=at.mono)
        self.cancel_probe(target, at)

    def close_cycle(self, key: RecordKey, at: Instant) -> None:
        """The check cycle has ended; what waited for it is decided now."""
        state = self.records[key]
        state.is_cycle_open = False
        if self.agreement is not None and self.agreement.is_awaited(key, state.positions):
            return
        if state.is_held or not state.is_ready or key in self._marked:
            state.is_ready = True
            self._pending.pop(key, None)
            self._decide(key, at)
        keep_last_good(state)

    def mark_unknown(self, target: TargetKey, at: Instant) -> None:
        """Nothing is known of this target any more: no result comes, or its check is broken."""
        state = self.targets[target]
        if state.stale or state.last_known is Health.UNKNOWN:
            return
        self._settle(target, mark_stale(state, at), at)

    def readmit(self, at: Instant) -> None:
        """Readmit the recovered members whose failback time is over, and go on with slow starts."""
        waiting, self._waiting = self._waiting & self.records.keys(), set()
        for key in waiting:
            state = self.records[key]
            if state.waiting or is_step_due(state, at.mono):
                state.is_partial, self._marked[key] = False, at
            elif state.ramps:
                self._waiting.add(key)

    def expire_stale(self, targets: Iterable[TargetKey], at: Instant) -> float:
        """Mark those of these targets that have had no result for too long; return the monotonic
        time before which none of the others will."""
        shortest, oldest = self._shortest_stale_after, math.inf
        for target in targets:
            state = self.targets[target]
            if state.stale or not self.targets.is_known(target):
                continue
            if at.mono - state.last_seen > shortest and self._is_silent(target, state, at):
                self.mark_unknown(target, at)
            else:
                oldest = min(oldest, state.last_seen)
        return oldest + shortest

    def _is_silent(self, target: TargetKey, state: TargetState, at: Instant) -> bool:
        users = self.targets.users(target)
        if not users or not self.is_probed(target):
            return False
        return is_silent(self.records[next(iter(users))].record.timing, state, at.mono)

    def readmit_member(self, key: RecordKey, content: str, at: Instant) -> None:
        """An operator readmits a member; others that share its targets go on waiting."""
        state = self.records[key]
        if state.waiting.pop(content, None):
            begin_ramp(state, content, at.mono)
        for target in [t for m in state.members if m.content == content for t in m.targets]:
            self._settle(target, reset_damping(self.target(target)), at)
        self._changes.touch([key])
        state.is_partial, self._marked[key] = False, at

    def set_overrides(
        self, overrides: Iterable[Override], at: Instant, cleared_by: Authors | None = None
    ) -> None:
        """Replace all overrides; decide the records that changed ones cover, and mark very many."""
        self._active_overrides, changed = self._active_overrides.replaced(
            overrides, at.wall, cleared_by, is_reported=not self._marked
        )
        self._changes.touch(covered := self.covered(changed))
        for key in covered:
            state = self.records[key]
            state.is_partial, state.is_overridden = False, True
            self._marked[key] = at
        for key in islice(covered, DECIDED_AT_ONCE):
            self._decide(key, at)

    def _restore(self, key: RecordKey, past: RestoredRecord) -> None:
        before = self.records[key]
        state = self.records[key] = restored(before.record, past)
        state.positions = before.positions
        self._membership.rebuild(key, state, past.known(alone=self.agreement is None))
        state.waiting = waiting_again(state.members, past)
        if self.agreement is not None:
            self.agreement.restore(state.members, past.agreed)
        self._changes.answer(key)

    def _settle(self, target: TargetKey, own: TargetState, at: Instant) -> bool:
        """This node's state of a target is `own` now; mark the records if what counts has moved."""
        seen = own if self.agreement is None else self.agreement.rule(target, own, at)
        if not is_move(self.targets.seen(target), seen):
            self.targets.put(target, own, seen)
            return False
        users = self.targets.users(target)
        # Every change of health is reported; the latest of very many records skip one.
        late = (key for key in users if target in self.records[key].moved)
        for key in list(islice(late, DECIDED_AT_ONCE)):
            self._decide(key, self._marked[key])
        self.targets.put(target, own, seen)
        for key in users:
            self.records[key].moved[target] = at.wall
            self._marked[key] = at
        return True

    def _end_probe(self, target: TargetKey) -> Collection[RecordKey]:
        """No probe of it is under way any more; the records that use it."""
        self.targets.end(target)
        users = self.targets.users(target)
        for key in users:
            state = self.records[key]
            if target in state.awaited:
                state.awaited = state.awaited - {target}
        return users

    def _mark_held(self, keys: Iterable[RecordKey], at: Instant) -> None:
        for key in keys:
            if self.records[key].is_held:
                self._marked[key] = at

    def _regroup(self, key: RecordKey) -> None:
        """Rebuild the members if host names have resolved to other addresses since."""
        if self.records[key].is_reshaped:
            self._membership.rebuild(key, self.records[key])

    def _decide(self, key: RecordKey, at: Instant, *, whole: bool = False) -> None:
        """Decide a record: by the targets that changed, or by all of them."""
        self._regroup(key)
        state = self.records[key]
        self._marked.pop(key, None)
        moved, state.moved = state.moved, {}
        is_whole = whole or not state.is_partial
        positions = {position for target in moved for position in state.positions.get(target, ())}
        track_returns(state, self.targets, None if is_whole else positions, at.mono)
        if is_whole:
            state.is_partial = True
            rows = evaluate_members(state, self.targets, self._active_overrides)
            state.candidates = [row.candidate() for row in rows]
        else:
            rows = evaluate_moved(state, positions, self.targets, self._active_overrides)
        decision = evaluate(state, rows, state.candidates)
        decision = hold_starving(state, decision, self.targets)
        clear_returned(state, rows, decision)
        if state.waiting or state.ramps:
            self._waiting.add(key)
        self._publish(key, rows, decision, at, moved)

    def _publish(
        self, key: RecordKey, rows: Rows, decision: Decision, at: Instant, moved: Moved
    ) -> None:
        state = self.records[key]
        after = mark_served(rows, decision, state.rows, state.record)
        is_first = state.decision.kind is DecisionKind.PENDING
        ended = self._active_overrides.ended
        found = diff(key, state.rows, after, decision, at.wall, moved, is_first, ended)
        self._changes.add(key, found)
        if decision != state.decision:
            self._changes.answer(key)
        if after != state.rows or decision != state.decision:
            self._changes.move(key, at.wall)
        state.rows, state.decision = after, decision
