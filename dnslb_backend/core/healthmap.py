"""The health map: what is known of every record, and what follows from it.

Callers report what happened (`open_round`, `resolved`, `observed`, `close_round`, ...) and
collect with `take_changes` which answers changed and why. It never waits, asks or looks at a
clock.

Results are cheap: they only mark the records that they count for. A marked record is decided
once for all of them, by `take_changes` or when its round closes, since one decision costs as
much as the record has members.

A change that would leave a name with no serving member waits until every target of that
record's round has answered or timed out.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dnslb_backend.core.changes import Changes, Overflow
from dnslb_backend.core.coverage import Coverage
from dnslb_backend.core.decision import PENDING, Decision, Kind
from dnslb_backend.core.health import Health, TargetState, grow_stale, observe, release
from dnslb_backend.core.hosts import UNRESOLVED, hear, limited
from dnslb_backend.core.instants import Instant
from dnslb_backend.core.judging import (
    assess_all,
    assess_one,
    judge,
    let_in,
    note_good,
    note_returns,
)
from dnslb_backend.core.members import (
    MemberStatus,
    TargetKey,
    build_members,
    mark_served,
)
from dnslb_backend.core.overrides import Override, Rulings
from dnslb_backend.core.plan import Plan
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.recordstate import Past, RecordState, Return, is_known, succeed
from dnslb_backend.core.resolutions import Resolution
from dnslb_backend.core.results import Result
from dnslb_backend.core.schedule import pace
from dnslb_backend.core.targets import Targets
from dnslb_backend.core.transitions import Transition, transitions


class HealthMap:
    """Health of every target and the decision of every record. Not thread-safe."""

    def __init__(self) -> None:
        self.records: dict[RecordKey, RecordState] = {}
        self._targets = Targets()
        self._pending: dict[RecordKey, None] = {}
        self._marked: dict[RecordKey, Instant] = {}
        self._rulings = Rulings(())
        self._coverage = Coverage()
        self._waiting: set[RecordKey] = set()
        self._answers: set[RecordKey] = set()
        self._touched: set[RecordKey] = set()
        self._transitions: list[Transition] = []
        self._overflows: list[Overflow] = []

    # -- asked --------------------------------------------------------------------------

    @property
    def overrides(self) -> tuple[Override, ...]:
        return self._rulings.overrides

    def covered(self, orders: Iterable[Override]) -> set[RecordKey]:
        """The records of which any of these orders names a member or a destination."""
        return {key for order in orders for key in self._coverage.covered(order)}

    def target(self, key: TargetKey) -> TargetState:
        return self._targets[key]

    def target_keys(self) -> Iterator[TargetKey]:
        return iter(self._targets)

    def is_used(self, key: TargetKey) -> bool:
        """Whether any record asks for this target."""
        return key in self._targets

    def users(self, key: TargetKey) -> frozenset[RecordKey]:
        """The records that a target counts for."""
        return frozenset(self._targets.users(key))

    def targets_of(self, key: RecordKey) -> list[TargetKey]:
        """Every target of a record once, in the order of its members."""
        self._regroup(key)
        members = self.records[key].members
        return list(dict.fromkeys(target for member in members for target in member.targets))

    def pending(self) -> list[RecordKey]:
        """Records whose first round has not ended and whose answer was not restored."""
        return list(self._pending)

    def take_changes(self) -> Changes:
        """Decide what is marked, and return what changed since the last call."""
        self.settle()
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

    def settle(self) -> None:
        """Decide every record that is marked, as of the moment at which it was marked last."""
        for key, at in list(self._marked.items()):
            self._decide(key, at)

    # -- told ---------------------------------------------------------------------------

    def adopt(self, plan: Plan, at: Instant) -> list[RecordKey]:
        """Make `plan` the one that runs; return the records that are new or were changed.

        Health, addresses and counters follow the member, also when its check changed. A
        changed record is held in its old answer until its next round has ended. A target that
        moves from one record to another keeps its state.
        """
        self.settle()
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
            self.records[key] = succeed(record, old)
        # In the order of their names: where checks become one target, the first state counts.
        for key in sorted(changed):
            self._rebuild_members(key, previous.get(key, {}))
        # A target is forgotten with its last user, so every new user comes before any leaves.
        for key in before.keys() - self.records.keys():
            self._targets.disuse(before[key].places, key)
            self._coverage.put(key, ())
            self._answers.add(key)
            self._touched.add(key)
        for key in changed:
            if (old := before.get(key)) is not None:
                self._targets.disuse(old.places.keys() - self.records[key].places.keys(), key)
        for key in changed:
            self._answers.add(key)
            self._decide(key, at, whole=True)
        self._count_pending()
        return changed

    def restore(
        self, pasts: Mapping[RecordKey, Past], overrides: Iterable[Override], at: Instant
    ) -> frozenset[RecordKey]:
        """Put back what an earlier run knew, before any round; return the records it answers.

        Those are ready, and as over a change of the configuration, what would leave nobody
        serving waits for the first round to end.
        """
        self._rulings = Rulings(overrides)
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

    def open_round(self, key: RecordKey) -> None:
        """A round of this record begins: resolving first, then its probes."""
        self.records[key].is_round_open = True

    def resolved(self, key: RecordKey, host: str, answer: Resolution, at: Instant) -> None:
        """The resolver answered for one host of this record."""
        state = self.records[key]
        before = state.hosts.get(host, UNRESOLVED)
        record = state.record
        after = hear(before, answer, at.mono, record.timing.dns_ttl, record.max_addresses)
        state.hosts[host] = after
        if bool(after.ignored) != bool(before.ignored):
            self._overflows.append(Overflow(key, host, after.ignored, record.max_addresses))
        if (after.addresses, after.is_answered) != (before.addresses, before.is_answered):
            state.is_reshaped = True
            self._marked[key] = at

    def begin_probe(self, target: TargetKey) -> None:
        """A probe of this target is under way; `observed` or `give_up` ends it."""
        self._targets.begin(target)

    def observed(self, target: TargetKey, result: Result, at: Instant) -> None:
        """A probe came home; it counts for every record that uses the target."""
        self._targets.end(target)
        users = self._targets.users(target)
        if not users:
            return
        self._await_no_more(target)
        before = self.target(target)
        record = self.records[next(iter(users))].record
        after = observe(before, result, at, record.rules)
        if _standing(after) != _standing(before) or after.streak != before.streak:
            self._move(target, after, at)
        else:
            self._targets[target] = after
            self._mark_held(users, at)
        self._touched |= users

    def would_fall(self, target: TargetKey, result: Result, at: Instant) -> bool:
        """Whether this result would take a target down that is UP."""
        if self.target(target).standing is not Health.UP:
            return False
        return self.preview(target, result, at).standing is Health.DOWN

    def preview(self, target: TargetKey, result: Result, at: Instant) -> TargetState:
        """The state that a target would have if this result counted."""
        users = self._targets.users(target)
        before = self.target(target)
        if not users:
            return before
        return observe(before, result, at, self.records[next(iter(users))].record.rules)

    def give_up(self, target: TargetKey, at: Instant) -> None:
        """A probe ended without any result: it was called off."""
        self._targets.end(target)
        self._await_no_more(target)
        self._mark_held(self._targets.users(target), at)

    def hold_back(self, target: TargetKey, at: Instant) -> None:
        """A probe failed, and that does not count for now: but it was no silence either."""
        if target in self._targets:
            self._targets[target] = replace(self._targets[target], heard=at.mono)
        self.give_up(target, at)

    def close_round(self, key: RecordKey, at: Instant) -> None:
        """The round is over; what waited for it is decided now."""
        state = self.records[key]
        state.is_round_open = False
        if state.is_held or not state.is_ready or key in self._marked:
            state.is_ready = True
            self._pending.pop(key, None)
            self._decide(key, at)
        note_good(state)

    def lose(self, target: TargetKey, at: Instant) -> None:
        """Nothing can be said of this target any more: its check is broken."""
        self._grow_stale(target, at)

    def admit_waiting(self, at: Instant) -> None:
        """Let in the members that came back and have waited enough."""
        waiting, self._waiting = self._waiting, set()
        for key in waiting & self.records.keys():
            self.records[key].is_partial = False
            self._marked[key] = at

    def sweep(self, targets: Iterable[TargetKey], at: Instant) -> None:
        """Mark those of these targets that fell silent."""
        for target in targets:
            state, users = self._targets[target], self._targets.users(target)
            if state.stale or not users or not self._targets.is_heard(target):
                continue
            timing = self.records[next(iter(users))].record.timing
            asked_later = max(pace(timing, state) - timing.interval, 0.0)
            if at.mono - state.heard > timing.stale_after + asked_later:
                self._grow_stale(target, at)

    def release(self, key: RecordKey, content: str, at: Instant) -> None:
        """An operator forgives a member: it is neither held for flapping nor waits to return.

        Who shares its targets is not held for flapping either, but goes on waiting.
        """
        state = self.records[key]
        state.waiting.pop(content, None)
        for member in state.members:
            if member.content == content:
                for target in member.targets:
                    self._move(target, release(self.target(target)), at)
        self._touched.add(key)
        self._decide(key, at, whole=True)

    def set_overrides(self, overrides: Iterable[Override], at: Instant) -> None:
        """Replace all overrides; every record they touch, or touched, is decided anew."""
        before = set(self._rulings.overrides)
        self._rulings = Rulings(overrides)
        for key in self.covered(before.symmetric_difference(self._rulings.overrides)):
            self._touched.add(key)
            self._decide(key, at, whole=True, is_order=True)

    # -- inside -------------------------------------------------------------------------

    def _count_pending(self) -> None:
        waiting = (key for key, state in self.records.items() if not state.is_ready)
        self._pending = dict.fromkeys(waiting)

    def _restore(self, key: RecordKey, past: Past) -> None:
        state = self.records[key]
        names = state.record.host_names()
        limit = state.record.max_addresses
        state.hosts = {n: limited(past.hosts[n], limit) for n in names if n in past.hosts}
        state.rows = past.rows
        state.last_good, state.last_pools = past.last_good, past.last_pools
        state.decision = past.decision
        state.is_ready = past.decision.kind is not Kind.PENDING
        state.is_round_open = True
        self._rebuild_members(key, past.targets)
        state.waiting = {
            member.content: Return(past.waiting[member.content], frozenset(member.views or ("",)))
            for member in state.members
            if member.content in past.waiting
        }
        self._answers.add(key)

    def _grow_stale(self, target: TargetKey, at: Instant) -> None:
        state = self._targets[target]
        if state.stale or state.standing is Health.UNKNOWN:
            return
        self._move(target, grow_stale(state, at), at)

    def _move(self, target: TargetKey, after: TargetState, at: Instant) -> None:
        """A target stands elsewhere now: mark the records that it counts for."""
        users = self._targets.users(target)
        for key in users:
            if target in self.records[key].moved:
                # Its last move is not decided yet, and every change of health is reported.
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
        """Follow what resolvers have answered since the members were built last."""
        if self.records[key].is_reshaped:
            self._rebuild_members(key)

    def _rebuild_members(
        self, key: RecordKey, carried: Mapping[str, tuple[TargetState, ...]] | None = None
    ) -> None:
        state = self.records[key]
        before = state.places
        state.is_reshaped, state.is_partial = False, False
        state.members = build_members(state.record, state.hosts)
        state.places = {}
        for place, member in enumerate(state.members):
            past = (carried or {}).get(member.content, ())
            for index, target in enumerate(member.targets):
                state.places.setdefault(target, []).append(place)
                self._targets.use(target, key, past[min(index, len(past) - 1)] if past else None)
        self._targets.disuse([target for target in before if target not in state.places], key)
        aliases = {alias for member in state.members for alias in member.aliases}
        self._coverage.put(key, aliases.union(dest.host for dest in state.record.dests))

    def _targets_by_member(self, state: RecordState) -> dict[str, tuple[TargetState, ...]]:
        return {
            member.content: tuple(
                self._targets[target] for target in member.targets if self._targets.is_heard(target)
            )
            for member in state.members
        }

    def suppose(
        self, key: RecordKey, rulings: Rulings
    ) -> tuple[tuple[MemberStatus, ...], Decision]:
        """The table and the answer of a record as they would be if these overrides held."""
        state = self.records[key]
        rows = assess_all(state, self._targets, rulings)
        decision = judge(state, rows, [row.candidate() for row in rows])
        return mark_served(rows, decision, state.rows, state.record), decision

    def _decide(
        self,
        key: RecordKey,
        at: Instant,
        *,
        whole: bool = False,
        is_order: bool = False,
    ) -> None:
        """Decide a record: by the targets that moved, or by the whole of it."""
        self._regroup(key)
        state = self.records[key]
        self._marked.pop(key, None)
        moved, state.moved = state.moved, {}
        is_whole = whole or not state.is_partial
        places = {place for target in moved for place in state.places.get(target, ())}
        note_returns(state, self._targets, None if is_whole else places, at.mono)
        if is_whole:
            state.is_partial = True
            rows = assess_all(state, self._targets, self._rulings)
            state.candidates = [row.candidate() for row in rows]
        else:
            rows = list(state.rows[: len(state.members)])
            for place in places:
                member = state.members[place]
                row = assess_one(state, member, rows[place], self._targets, self._rulings)
                if row is not rows[place]:
                    rows[place], state.candidates[place] = row, row.candidate()
        decision = judge(state, rows, state.candidates)
        is_starving = decision.starves(state.decision) and not is_order
        if is_starving and not state.is_held:
            state.awaited = {place for place in state.places if self._targets.is_in_flight(place)}
        state.is_held = is_starving and self._is_awaiting(state)
        if state.is_held:
            decision = state.decision
        if state.waiting:
            let_in(state, rows, decision)
            self._waiting.add(key)
        self._publish(key, rows, decision, at.wall, moved)

    def _is_awaiting(self, state: RecordState) -> bool:
        """Whether somebody may yet be found who serves, by the probes of this round.

        Where records share targets, a probe of others is under way at any time: what has begun
        after the change is not waited for.
        """
        return state.is_round_open or not state.awaited.isdisjoint(state.places)

    def _await_no_more(self, target: TargetKey) -> None:
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
        self._transitions += transitions(key, state.rows, after, decision, wall, moved)
        if after != state.rows:
            self._touched.add(key)
        if decision != state.decision:
            self._answers.add(key)
        state.rows = after
        state.decision = decision


def _standing(state: TargetState) -> tuple[object, ...]:
    return (state.standing, state.stale, state.priority, state.weight, state.undamped)
