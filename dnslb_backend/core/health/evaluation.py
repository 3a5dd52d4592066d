"""From the state of a record's targets to its rows and its decision.

A member that recovered is held out (failback) in each of its views, until it serves there. Then it
is given its weight in steps (slow start).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest

from dnslb_backend.core.health.decision import PENDING, Candidate, Decision, DecisionKind, decide
from dnslb_backend.core.health.members import (
    Member,
    MemberStatus,
    apply_override,
    fallback_contents,
    mark_served,
)
from dnslb_backend.core.health.overrides import Action, ActiveOverrides
from dnslb_backend.core.health.record_state import (
    PendingReturn,
    RecordState,
    is_awaiting,
    is_resolved,
)
from dnslb_backend.core.health.slow_start import advance_ramps, begin_ramp, full_share, share_of
from dnslb_backend.core.health.target import Health, TargetState, combine
from dnslb_backend.core.health.targets import Targets
from dnslb_backend.core.health.ttl import answer_ttl

NO_VIEWS: frozenset[str] = frozenset()

Evaluation = tuple[tuple[MemberStatus, ...], Decision]
"""The rows of a record, and what follows from them."""


def evaluate(
    state: RecordState, rows: Sequence[MemberStatus], candidates: Sequence[Candidate]
) -> Decision:
    """The decision that follows from these rows; PENDING before the first check cycle has ended."""
    if not state.is_ready:
        return PENDING
    decision = decide(
        state.record,
        candidates,
        fallback=fallback_contents(state.record, state.hosts),
        last_good=state.last_good,
        last_pools=state.last_pools,
        is_resolved=is_resolved(state),
    )
    return replace(decision, ttl=answer_ttl(state.record, rows))


def evaluate_with(
    state: RecordState, targets: Targets, active_overrides: ActiveOverrides
) -> Evaluation:
    """The rows and the decision of a record as they would be with these overrides."""
    rows = evaluate_members(state, targets, active_overrides)
    decision = evaluate(state, rows, [row.candidate() for row in rows])
    return mark_served(rows, decision, state.rows, state.record), decision


def evaluate_members(
    state: RecordState, targets: Targets, active_overrides: ActiveOverrides
) -> list[MemberStatus]:
    """The status of every member."""
    known = state.rows[: len(state.members)]
    return [
        evaluate_member(state, member, row, targets, active_overrides)
        for member, row in zip_longest(state.members, known)
    ]


def evaluate_moved(
    state: RecordState,
    positions: Iterable[int],
    targets: Targets,
    active_overrides: ActiveOverrides,
) -> list[MemberStatus]:
    """Every member, of which only those at `positions` have changed; their candidates follow."""
    rows = list(state.rows[: len(state.members)])
    for position in positions:
        member = state.members[position]
        row = evaluate_member(state, member, rows[position], targets, active_overrides)
        if row is not rows[position]:
            rows[position], state.candidates[position] = row, row.candidate()
    return rows


def evaluate_member(
    state: RecordState,
    member: Member,
    row: MemberStatus | None,
    targets: Targets,
    active_overrides: ActiveOverrides,
) -> MemberStatus:
    """The status of a member: `row` itself, its last one, where nothing has changed."""
    probed = _probed(state, member, targets)
    name, weighting = state.record.key.name, None
    override = active_overrides.effective(name, *member.aliases)
    if state.record.has_weights:
        weighting = active_overrides.weighting(name, *member.aliases)
    waits_in = NO_VIEWS
    if member.content in state.waiting and (override is None or override.action is Action.DRAIN):
        waits_in = state.waiting[member.content].views
    share = share_of(state, member.content) if weighting is None else full_share(state)
    if row is not None and row.is_unchanged(member, probed, override, waits_in, weighting, share):
        return row
    return apply_override(member, probed, override, waits_in, weighting, share)


def track_returns(
    state: RecordState, targets: Targets, positions: Collection[int] | None, mono: float
) -> None:
    """Update which members are held out after recovery (failback), and which start slowly.

    Only those at `positions` can have changed since the last decision; None: any can.
    """
    failback = state.record.failback
    if not failback:
        state.waiting.clear()
    if not failback and not state.record.slow_start:
        state.ramps.clear()
        return
    if positions is None:
        members, rows = state.members, state.rows
        here = {member.content for member in members}
        state.waiting = {c: back for c, back in state.waiting.items() if c in here}
        advance_ramps(state, mono)
    else:
        members = tuple(state.members[position] for position in positions)
        rows = tuple(state.rows[position] for position in positions)
    before = {row.member.content: row.state.last_known for row in rows}
    for member in members:
        health = _probed(state, member, targets).last_known
        if health is not Health.UP:
            state.waiting.pop(member.content, None)
            state.ramps.pop(member.content, None)
        elif before.get(member.content) is Health.DOWN:
            _come_back(state, member, mono)
    for content, back in list(state.waiting.items()):
        if mono - back.since >= failback:
            del state.waiting[content]
            begin_ramp(state, content, mono)


def _come_back(state: RecordState, member: Member, mono: float) -> None:
    begin_ramp(state, member.content, mono)
    if state.record.failback:
        state.waiting[member.content] = PendingReturn(mono, frozenset(member.views or ("",)))


def clear_returned(state: RecordState, rows: list[MemberStatus], decision: Decision) -> None:
    """End the failback of members that serve."""
    if not state.waiting:
        return
    served = {
        (view, content) for view, contents in decision.served_in().items() for content in contents
    }
    for position, row in enumerate(rows):
        back = state.waiting.get(row.member.content)
        if back is None:
            continue
        views = frozenset(view for view in back.views if (view, row.member.content) not in served)
        if views:
            state.waiting[row.member.content] = back._replace(views=views)
        else:
            del state.waiting[row.member.content]
        if row.waits_in and row.waits_in != views:
            rows[position] = replace(row, waits_in=views)
            state.candidates[position] = rows[position].candidate()


def hold_starving(state: RecordState, decision: Decision, targets: Targets) -> Decision:
    """The decision that counts: one that would leave no member serving waits for probes under way.

    Not one that an operator has made by an override.
    """
    is_starving = decision.loses_service(state.decision) and not state.is_overridden
    state.is_overridden = False
    if is_starving and not state.is_held:
        state.awaited = frozenset(filter(targets.is_in_flight, state.positions))
    state.is_held = is_starving and is_awaiting(state)
    return state.decision if state.is_held else decision


def keep_last_good(state: RecordState) -> None:
    """Keep for `all_down = "last"` who serves at the end of a check cycle: within the cycle it may
    be the last survivor of an outage of all."""
    decision = state.decision
    if decision.kind is DecisionKind.SERVE:
        state.last_good = decision.contents
    if serving := [pool for pool in decision.serving_pools() if not pool.is_panic]:
        views = {pool.view for pool in serving}
        kept = (pool for pool in state.last_pools if pool.view not in views)
        state.last_pools = (*kept, *serving)


def _probed(state: RecordState, member: Member, targets: Targets) -> TargetState:
    return combine([targets.seen(target) for target in member.targets], state.record.require)
