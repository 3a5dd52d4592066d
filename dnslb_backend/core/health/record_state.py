"""The state of one balanced record: at run time, and as restored from an earlier run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dnslb_backend.core.health.decision import PENDING, Candidate, Decision, DecisionKind, Pool
from dnslb_backend.core.health.flapping import Flips
from dnslb_backend.core.health.hosts import UNRESOLVED, HostState, apply_resolution, limited
from dnslb_backend.core.health.members import Member, MemberStatus, TargetKey
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.service import ServiceStatus
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.model.records import Record


class PendingReturn(NamedTuple):
    """A member recovered at monotonic `since` and has not served in `views` since.

    The view "" is clients in none.
    """

    since: float
    views: frozenset[str]


class Ramp(NamedTuple):
    """The slow start of a member that came back at monotonic `since`: its present step."""

    since: float
    step: int = 0


@dataclass(slots=True)
class RecordState:
    """One balanced record at run time. `rows` are its members, then unchecked fallbacks."""

    record: Record
    hosts: dict[str, HostState] = field(default_factory=dict)
    members: tuple[Member, ...] = ()
    positions: dict[TargetKey, tuple[int, ...]] = field(default_factory=dict)
    """The positions of the members that use each target, in the order of the members."""
    rows: tuple[MemberStatus, ...] = ()
    candidates: list[Candidate] = field(default_factory=list)
    """The decision's input for each of `members`, updated one by one: there may be thousands."""
    decision: Decision = PENDING
    reported: ServiceStatus = ServiceStatus()  # noqa: RUF009 - it is immutable
    """The service as last reported to operators."""
    flips: Flips = field(default_factory=Flips)
    last_good: tuple[str, ...] = ()
    last_pools: tuple[Pool, ...] = ()
    is_cycle_open: bool = False
    is_ready: bool = False
    is_held: bool = False
    """A change that would leave no member serving waits for the end of the check cycle."""
    is_reshaped: bool = False
    """A host name resolved to other addresses, and `members` are not rebuilt yet."""
    is_partial: bool = False
    """The next decision needs to evaluate only the members whose targets `moved`."""
    is_overridden: bool = False
    """An override has changed: what the next decision makes of it waits for no probe."""
    moved: dict[TargetKey, float] = field(default_factory=dict)
    """Targets whose health changed since the last decision, and when (Unix time)."""
    waiting: dict[str, PendingReturn] = field(default_factory=dict)
    """Members, by content, that recovered and have not served since."""
    ramps: dict[str, Ramp] = field(default_factory=dict)
    """Members, by content, whose slow start has not ended."""
    awaited: frozenset[TargetKey] = frozenset()
    """Targets whose probes were in flight when it was first held: it waits for these as well."""


@dataclass(frozen=True, slots=True)
class RestoredRecord:
    """One record as an earlier run saved it. `targets` are by content, in order of the checks, and
    so is `agreed`, the health that nodes had agreed on.

    `waiting` are the members that recovered and have not served since, with the monotonic time
    of their recovery, and `ramps` those whose slow start began then. `decision` is
    PENDING where it is too old to be served.
    """

    hosts: Mapping[str, HostState]
    targets: Mapping[str, tuple[TargetState, ...]]
    rows: tuple[MemberStatus, ...]
    decision: Decision
    last_good: tuple[str, ...]
    last_pools: tuple[Pool, ...] = ()
    waiting: Mapping[str, float] = field(default_factory=dict)
    agreed: Mapping[str, tuple[Health, ...]] = field(default_factory=dict)
    ramps: Mapping[str, float] = field(default_factory=dict)
    alone: Mapping[str, tuple[TargetState, ...]] = field(default_factory=dict)
    """`targets` as they are for a node that votes no more, where that differs: what was agreed on
    those that it had not probed is all that is known of them.
    """

    def known(self, *, alone: bool) -> Mapping[str, tuple[TargetState, ...]]:
        """The states of targets, for a node that decides alone or with others."""
        return {**self.targets, **self.alone} if alone else self.targets


def is_resolved(state: RecordState) -> bool:
    """Whether the resolver has answered for every destination at least once."""
    return all(
        dest.is_literal or state.hosts.get(dest.host, UNRESOLVED).is_answered
        for dest in state.record.dests
    )


def is_awaiting(state: RecordState) -> bool:
    """Whether probes of this check cycle may yet find a member that can serve; not those that
    have begun after the change, since other records may share the targets."""
    return state.is_cycle_open or not state.awaited.isdisjoint(state.positions)


def is_known(state: RecordState) -> bool:
    """Whether the health of any member is known, so that SERVFAIL can only come from `all_down`."""
    return any(c.health is not Health.UNKNOWN for c in state.candidates)


def resolve_host(state: RecordState, host: str, answer: Resolution, mono: float) -> HostState:
    """The resolver answered for one host of the record: note it, and whether members change."""
    before, record = state.hosts.get(host, UNRESOLVED), state.record
    after = apply_resolution(before, answer, mono, record.timing.dns_ttl, record.max_addresses)
    state.hosts[host] = after
    if (after.addresses, after.is_answered) != (before.addresses, before.is_answered):
        state.is_reshaped = True
    return after


def carry_over(record: Record, old: RecordState | None) -> RecordState:
    """The state of a record that is new or changed in a new plan; what is known stays, until its
    next cycle."""
    if old is None:
        return RecordState(record)
    return RecordState(
        record,
        hosts={
            host: limited(old.hosts[host], record.max_addresses)
            for host in record.host_names()
            if host in old.hosts
        },
        rows=old.rows,
        decision=old.decision,
        reported=old.reported,
        flips=old.flips,
        last_good=old.last_good,
        last_pools=old.last_pools,
        waiting=dict(old.waiting),
        ramps=dict(old.ramps),
        is_cycle_open=True,
        is_ready=old.is_ready,
    )


def restored(record: Record, past: RestoredRecord) -> RecordState:
    """The state of a record of which an earlier run knew this; its members are not built yet."""
    return RecordState(
        record,
        hosts={
            host: limited(past.hosts[host], record.max_addresses)
            for host in record.host_names()
            if host in past.hosts
        },
        rows=past.rows,
        decision=past.decision,
        last_good=past.last_good,
        last_pools=past.last_pools,
        ramps={content: Ramp(since) for content, since in past.ramps.items()},
        is_cycle_open=True,
        is_ready=past.decision.kind is not DecisionKind.PENDING,
    )


def waiting_again(members: Iterable[Member], past: RestoredRecord) -> dict[str, PendingReturn]:
    """The members that waited to return in an earlier run, in every view that they are for."""
    return {
        member.content: PendingReturn(
            past.waiting[member.content], frozenset(member.views or ("",))
        )
        for member in members
        if member.content in past.waiting
    }
