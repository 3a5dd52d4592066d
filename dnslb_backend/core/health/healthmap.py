"""The health map: the state of every record, and the decisions that follow from it.

Sans-IO: callers report what happened (`open_cycle`, `record_resolution`, `record_result`,
`close_cycle`, …), pass the time in, and collect with `take_changes` which answers changed and why.

Results are cheap: they only mark the records that use the target. A marked record is decided
once for all of them, by `take_changes` or at the end of its check cycle, since the cost of a
decision grows with the members of the record.

A change that would leave a name without a serving member waits until every target in that
record's check cycle has answered or timed out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dnslb_backend.core.health.changes import Changes, Overflow
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.coverage import Coverage
from dnslb_backend.core.health.decision import PENDING, Decision, DecisionKind
from dnslb_backend.core.health.evaluation import (
    clear_returned,
    evaluate,
    evaluate_member,
    evaluate_members,
    keep_last_good,
    track_returns,
)
from dnslb_backend.core.health.hosts import UNRESOLVED, apply_resolution, limited
from dnslb_backend.core.health.members import (
    MemberStatus,
    TargetKey,
    build_members,
    mark_served,
)
from dnslb_backend.core.health.overrides import ActiveOverrides, Override
from dnslb_backend.core.health.record_state import (
    PendingReturn,
    RecordState,
    RestoredRecord,
    carry_over,
    is_known,
)
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.results import Result
from dnslb_backend.core.health.schedule import probe_interval
from dnslb_backend.core.health.target import Health, TargetState, mark_stale, observe, reset_damping
from dnslb_backend.core.health.targets import Targets
from dnslb_backend.core.health.transitions import Transition, diff
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.records import RecordKey


class HealthMap:
    """Health of every target and the decision of every record. Not thread-safe."""

    def __init__(self) -> None:
        self.records: dict[RecordKey, RecordState] = {}
        self._targets = Targets()
        self._pending: dict[RecordKey, None] = {}
        self._marked: dict[RecordKey, Instant] = {}
        self._active_overrides = ActiveOverrides(())
        self._coverage = Coverage()
        self._waiting: set[RecordKey] = set()
        self._answers: set[RecordKey] = set()
        self._touched: set[RecordKey] = set()
        self._transitions: list[Transition] = []
        self._overflows: list[Overflow] = []

    # -- state --------------------------------------------------------------------------

    @property
    def overrides(self) -> tuple[Override, ...]:
        return self._active_overrides.overrides

    def covered(self, overrides: Iterable[Override]) -> set[RecordKey]:
        """The records with a member or a destination that one of these overrides matches."""
        return {key for override in overrides for key in self._coverage.covered(override)}

    def target(self, key: TargetKey) -> TargetState:
        return self._targets[key]

    def target_keys(self) -> Iterator[TargetKey]:
        return iter(self._targets)

    def is_used(self, key: TargetKey) -> bool:
        """Whether any record uses this target."""
        return key in self._targets

    def records_using(self, key: TargetKey) -> frozenset[RecordKey]:
        """The records that use a target."""
        return frozenset(self._targets.users(key))

    def targets_of(self, key: RecordKey) -> list[TargetKey]:
        """Every target of a record once, in the order of its members."""
        self._regroup(key)
        members = self.records[key].members
        return list(dict.fromkeys(target for member in members for target in member.targets))

    def pending(self) -> list[RecordKey]:
        """Records whose first check cycle has not ended and whose answer was not restored."""
        return list(self._pending)

    def take_changes(self) -> Changes:
        """Decide what is marked, and return what changed since the last call."""
        self.decide_marked()
        changes = Changes(
            frozenset(self._answers),
            frozenset(self._touched),
            tuple(self._transitions),
            tuple(self._overflows),
        )
        self._overflows.clear()
        self._answers.clear()
        self._touched.clear()
        self._transitions.clear()
        return changes

    def decide_marked(self) -> None:
        """Decide every marked record, as of the time at which it was last marked."""
        for key, at in list(self._marked.items()):
            self._decide(key, at)

    # -- events -------------------------------------------------------------------------

    def apply_plan(self, plan: Plan, at: Instant) -> list[RecordKey]:
        """Switch to `plan`; return the records that are new or were changed.

        Health, addresses and counters follow the member, also when its check changed. A changed
        record keeps its old answer until its next check cycle has ended. A target that moves
        from one record to another keeps its state.
        """
        self.decide_marked()
        before = self.records
        previous = {key: self._targets_by_member(state) for key, state in before.items()}
        self.records = {}
        changed: list[RecordKey] = []
        for key, record in plan.records.items():
            old = before.get(key)
            if old is not None and old.record == record:
                self.records[key] = old
                continue
            changed.append(key)
            self.records[key] = carry_over(record, old)
        # In the order of their names: where checks become one target, the first state counts.
        for key in sorted(changed):
            self._rebuild_members(key, previous.get(key, {}))
        # A target is forgotten with its last user, so every new user comes before any leaves.
        for key in before.keys() - self.records.keys():
            self._targets.remove_user(before[key].positions, key)
            self._coverage.put(key, ())
            self._answers.add(key)
            self._touched.add(key)
        for key in changed:
            if (old := before.get(key)) is not None:
                self._targets.remove_user(
                    old.positions.keys() - self.records[key].positions.keys(), key
                )
        for key in changed:
            self._answers.add(key)
            self._decide(key, at, whole=True)
        self._count_pending()
        return changed

    def restore(
        self, pasts: Mapping[RecordKey, RestoredRecord], overrides: Iterable[Override], at: Instant
    ) -> frozenset[RecordKey]:
        """Restore what an earlier run saved, before any check cycle; return the ready records.

        As over a reload, a change that would leave no member serving waits for the end of the
        first check cycle.
        """
        self._active_overrides = ActiveOverrides(overrides)
        # Records share targets: all are restored before any is decided.
        for key in sorted(self.records.keys() & pasts.keys()):
            self._restore(key, pasts[key])
        for key in self.records:
            self._touched.add(key)
            self._decide(key, at, whole=True)
            state = self.records[key]
            if not state.decision.is_answer and not is_known(state):
                state.is_ready, state.decision = False, PENDING
        self._count_pending()
        return frozenset(self.records.keys() - self._pending.keys())

    def open_cycle(self, key: RecordKey) -> None:
        """A check cycle begins: host names are resolved and targets probed."""
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
            self._overflows.append(Overflow(key, host, after.ignored, record.max_addresses))
        if (after.addresses, after.is_answered) != (before.addresses, before.is_answered):
            state.is_reshaped = True
            self._marked[key] = at

    def begin_probe(self, target: TargetKey) -> None:
        """A probe of this target is under way; `record_result` or `cancel_probe` ends it."""
        self._targets.begin(target)

    def record_result(self, target: TargetKey, result: Result, at: Instant) -> None:
        """A probe came home; it counts for every record that uses the target."""
        self._targets.end(target)
        users = self._targets.users(target)
        if not users:
            return
        self._stop_awaiting(target)
        before = self.target(target)
        record = self.records[next(iter(users))].record
        after = observe(before, result, at, record.thresholds)
        if _standing(after) != _standing(before) or after.streak != before.streak:
            self._move(target, after, at)
        else:
            self._targets[target] = after
            self._mark_held(users, at)
        self._touched |= users

    def would_go_down(self, target: TargetKey, result: Result, at: Instant) -> bool:
        """Whether this result would take a target down that is UP."""
        if self.target(target).last_known is not Health.UP:
            return False
        return self.preview(target, result, at).last_known is Health.DOWN

    def preview(self, target: TargetKey, result: Result, at: Instant) -> TargetState:
        """The state that a target would have if this result counted."""
        users = self._targets.users(target)
        before = self.target(target)
        if not users:
            return before
        return observe(before, result, at, self.records[next(iter(users))].record.thresholds)

    def cancel_probe(self, target: TargetKey, at: Instant) -> None:
        """A probe ended without any result: it was called off."""
        self._targets.end(target)
        self._stop_awaiting(target)
        self._mark_held(self._targets.users(target), at)

    def defer_result(self, target: TargetKey, at: Instant) -> None:
        """A probe failed, and that does not count for now: but it was no silence either."""
        if target in self._targets:
            self._targets[target] = replace(self._targets[target], last_seen=at.mono)
        self.cancel_probe(target, at)

    def close_cycle(self, key: RecordKey, at: Instant) -> None:
        """The check cycle is over; what waited for it is decided now."""
        state = self.records[key]
        state.is_cycle_open = False
        if state.is_held or not state.is_ready or key in self._marked:
            state.is_ready = True
            self._pending.pop(key, None)
            self._decide(key, at)
        keep_last_good(state)

    def mark_unknown(self, target: TargetKey, at: Instant) -> None:
        """Nothing can be said of this target any more: its check is broken."""
        self._mark_stale(target, at)

    def readmit(self, at: Instant) -> None:
        """Readmit the recovered members whose failback time is over."""
        waiting, self._waiting = self._waiting, set()
        for key in waiting & self.records.keys():
            self.records[key].is_partial = False
            self._marked[key] = at

    def expire_stale(self, targets: Iterable[TargetKey], at: Instant) -> None:
        """Mark those of these targets stale that had no result for too long."""
        for target in targets:
            state, users = self._targets[target], self._targets.users(target)
            if state.stale or not users or not self._targets.is_known(target):
                continue
            timing = self.records[next(iter(users))].record.timing
            asked_later = max(probe_interval(timing, state) - timing.interval, 0.0)
            if at.mono - state.last_seen > timing.stale_after + asked_later:
                self._mark_stale(target, at)

    def readmit_member(self, key: RecordKey, content: str, at: Instant) -> None:
        """Readmit a member for an operator: end its damping and its failback.

        Damping ends for all members that share its targets, failback only for this one.
        """
        state = self.records[key]
        state.waiting.pop(content, None)
        for member in state.members:
            if member.content == content:
                for target in member.targets:
                    self._move(target, reset_damping(self.target(target)), at)
        self._touched.add(key)
        self._decide(key, at, whole=True)

    def set_overrides(self, overrides: Iterable[Override], at: Instant) -> None:
        """Replace all overrides; decide again every record that a change of them affects."""
        before = set(self._active_overrides.overrides)
        self._active_overrides = ActiveOverrides(overrides)
        for key in self.covered(before.symmetric_difference(self._active_overrides.overrides)):
            self._touched.add(key)
            self._decide(key, at, whole=True, is_override=True)

    # -- internals ----------------------------------------------------------------------

    def _count_pending(self) -> None:
        waiting = (key for key, state in self.records.items() if not state.is_ready)
        self._pending = dict.fromkeys(waiting)

    def _restore(self, key: RecordKey, past: RestoredRecord) -> None:
        state = self.records[key]
        names = state.record.host_names()
        limit = state.record.max_addresses
        state.hosts = {n: limited(past.hosts[n], limit) for n in names if n in past.hosts}
        state.rows = past.rows
        state.last_good, state.last_pools = past.last_good, past.last_pools
        state.decision = past.decision
        state.is_ready = past.decision.kind is not DecisionKind.PENDING
        state.is_cycle_open = True
        self._rebuild_members(key, past.targets)
        state.waiting = {
            member.content: PendingReturn(
                past.waiting[member.content], frozenset(member.views or ("",))
            )
            for member in state.members
            if member.content in past.waiting
        }
        self._answers.add(key)

    def _mark_stale(self, target: TargetKey, at: Instant) -> None:
        state = self._targets[target]
        if state.stale or state.last_known is Health.UNKNOWN:
            return
        self._move(target, mark_stale(state, at), at)

    def _move(self, target: TargetKey, after: TargetState, at: Instant) -> None:
        """Set the changed state of a target, and mark the records that use it."""
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
            self._rebuild_members(key)

    def _rebuild_members(
        self, key: RecordKey, carried: Mapping[str, tuple[TargetState, ...]] | None = None
    ) -> None:
        state = self.records[key]
        before = state.positions
        state.is_reshaped, state.is_partial = False, False
        state.members = build_members(state.record, state.hosts)
        state.positions = {}
        for position, member in enumerate(state.members):
            past = (carried or {}).get(member.content, ())
            for index, target in enumerate(member.targets):
                state.positions.setdefault(target, []).append(position)
                self._targets.add_user(
                    target, key, past[min(index, len(past) - 1)] if past else None
                )
        self._targets.remove_user(
            [target for target in before if target not in state.positions], key
        )
        aliases = {alias for member in state.members for alias in member.aliases}
        self._coverage.put(key, aliases.union(dest.host for dest in state.record.dests))

    def _targets_by_member(self, state: RecordState) -> dict[str, tuple[TargetState, ...]]:
        return {
            member.content: tuple(
                self._targets[target] for target in member.targets if self._targets.is_known(target)
            )
            for member in state.members
        }

    def evaluate_with(
        self, key: RecordKey, active_overrides: ActiveOverrides
    ) -> tuple[tuple[MemberStatus, ...], Decision]:
        """The rows and the decision of a record if these overrides were in force."""
        state = self.records[key]
        rows = evaluate_members(state, self._targets, active_overrides)
        decision = evaluate(state, rows, [row.candidate() for row in rows])
        return mark_served(rows, decision, state.rows, state.record), decision

    def _decide(
        self,
        key: RecordKey,
        at: Instant,
        *,
        whole: bool = False,
        is_override: bool = False,
    ) -> None:
        """Decide a record: by the targets that changed, or by all of them."""
        self._regroup(key)
        state = self.records[key]
        self._marked.pop(key, None)
        moved, state.moved = state.moved, {}
        is_whole = whole or not state.is_partial
        places = {position for target in moved for position in state.positions.get(target, ())}
        track_returns(state, self._targets, None if is_whole else places, at.mono)
        if is_whole:
            state.is_partial = True
            rows = evaluate_members(state, self._targets, self._active_overrides)
            state.candidates = [row.candidate() for row in rows]
        else:
            rows = list(state.rows[: len(state.members)])
            for position in places:
                member = state.members[position]
                row = evaluate_member(
                    state, member, rows[position], self._targets, self._active_overrides
                )
                if row is not rows[position]:
                    rows[position], state.candidates[position] = row, row.candidate()
        decision = evaluate(state, rows, state.candidates)
        is_starving = decision.loses_service(state.decision) and not is_override
        if is_starving and not state.is_held:
            state.awaited = {
                position for position in state.positions if self._targets.is_in_flight(position)
            }
        state.is_held = is_starving and self._is_awaiting(state)
        if state.is_held:
            decision = state.decision
        if state.waiting:
            clear_returned(state, rows, decision)
            self._waiting.add(key)
        self._publish(key, rows, decision, at.wall, moved)

    def _is_awaiting(self, state: RecordState) -> bool:
        """Whether a probe in flight may still find a member that can serve.

        Where records share targets, other probes are in flight at any time: those that began
        after the change are not waited for.
        """
        return state.is_cycle_open or not state.awaited.isdisjoint(state.positions)

    def _stop_awaiting(self, target: TargetKey) -> None:
        for key in self._targets.users(target):
            self.records[key].awaited.discard(target)

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
        self._transitions += diff(key, state.rows, after, decision, wall, moved)
        if after != state.rows:
            self._touched.add(key)
        if decision != state.decision:
            self._answers.add(key)
        state.rows = after
        state.decision = decision


def _standing(state: TargetState) -> tuple[object, ...]:
    return (state.last_known, state.stale, state.priority, state.weight, state.undamped)
