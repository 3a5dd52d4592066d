"""The saved health map, from which the next run of the daemon continues.

Times are saved as wall times, since a monotonic clock means nothing to another run; but the wall
clock may have been set in between. `SavedState.elapsed` is the time that really passed, where it
can be measured. Otherwise the wall clock is trusted, and health dated more than max_age before or
after it counts as unknown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import PENDING, Decision, Pool
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.hosts import HostState
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.overrides import Override
from dnslb_backend.core.health.record_state import RecordState, RestoredRecord
from dnslb_backend.core.health.resolutions import Resolution
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState, combine
from dnslb_backend.core.model.names import address_type, canonical_address
from dnslb_backend.core.model.records import Record, RecordKey
from dnslb_backend.core.model.rules import Damping


@dataclass(frozen=True, slots=True)
class SavedHost:
    """The saved resolution of one host name; `resolved` is Unix time."""

    host: str
    addresses: tuple[str, ...]
    resolved: float | None
    is_answered: bool
    last: Resolution | None


@dataclass(frozen=True, slots=True)
class SavedMember:
    """One row of a record.

    Its `status` is what counts. `states` are what this node itself knew of each of the record's
    checks, in their order, and `own` is the health that they make together; there are none for an
    address that is served unchecked. `agreed` is the health that counts for each of them. Where it
    came back and has not served since, `waiting_since` is when it came back; `ramping_since` is
    when its slow start began, if that goes on. All these times are Unix times, also those that are
    monotonic in a state at work. Of what is restored the status has no override, and its member
    no targets.
    """

    status: MemberStatus
    states: tuple[TargetState, ...]
    waiting_since: float | None = None
    ramping_since: float | None = None
    agreed: tuple[Health, ...] = ()
    own: Health = Health.UNKNOWN


@dataclass(frozen=True, slots=True)
class SavedRecord:
    """One balanced record: its answer with its TTL, and the state that led to it."""

    key: RecordKey
    ttl: int
    decision: Decision
    last_good: tuple[str, ...]
    hosts: tuple[SavedHost, ...]
    members: tuple[SavedMember, ...]
    last_pools: tuple[Pool, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedState:
    """Everything that is saved. `taken` is the Unix time at which it was last known to be true.

    `elapsed` is how many seconds have passed since, by a clock that never jumps; None where no
    such clock covers the time between.
    """

    records: Mapping[RecordKey, SavedRecord] = field(default_factory=dict)
    serials: Mapping[str, int] = field(default_factory=dict)
    overrides: tuple[Override, ...] = ()
    taken: float | None = None
    elapsed: float | None = None

    def wall(self, at: Instant) -> float:
        """The time now on the wall clock as it was set when the state was saved."""
        if self.taken is None or self.elapsed is None:
            return at.wall
        return self.taken + self.elapsed


EMPTY = SavedState()


def capture_record(state: RecordState, health: HealthMap, at: Instant) -> SavedRecord:
    """What a later run needs of one record."""
    return SavedRecord(
        key=state.record.key,
        ttl=state.record.ttl if state.decision.ttl is None else state.decision.ttl,
        decision=state.decision,
        last_good=state.last_good,
        hosts=tuple(_capture_host(name, host, at) for name, host in state.hosts.items()),
        members=tuple(_capture_member(row, state, health, at) for row in state.rows),
        last_pools=state.last_pools,
    )


def _capture_host(name: str, host: HostState, at: Instant) -> SavedHost:
    resolved = None if host.resolved is None else at.wall - (at.mono - host.resolved)
    return SavedHost(name, host.addresses, resolved, host.is_answered, host.last)


def _capture_member(
    row: MemberStatus, state: RecordState, health: HealthMap, at: Instant
) -> SavedMember:
    """A row as it reads now: its own copy of the state is as old as the last decision."""
    member = row.member
    offset = at.wall - at.mono
    known = [health.target(target) for target in member.targets]
    seen = [health.seen(target) for target in member.targets]
    shown = combine(seen, state.record.require) if seen else row.state
    dated = _shifted(shown, offset)
    own = tuple(_shifted(each, offset) for each in known)
    # By hand, because `replace` takes several times as long, and this is done all the time.
    status = MemberStatus(
        member,
        dated,
        row.effective,
        row.priority,
        row.weight,
        row.is_served,
        row.override,
        row.waits_in,
        row.is_fallback,
        row.weighting,
        row.share,
    )
    back, ramp = state.waiting.get(member.content), state.ramps.get(member.content)
    return SavedMember(
        status=status,
        states=own,
        waiting_since=None if back is None else back.since + offset,
        ramping_since=None if ramp is None else ramp.since + offset,
        agreed=tuple(each.last_known for each in seen),
        own=combine(known, state.record.require).last_known if known else Health.UNKNOWN,
    )


def _shifted(state: TargetState, offset: float) -> TargetState:
    """The state with its monotonic times, except `last_seen`, moved to another clock."""
    if not state.flips and state.suppressed_until is None:
        return state
    return state._replace(
        flips=tuple(flip + offset for flip in state.flips),
        suppressed_until=None
        if state.suppressed_until is None
        else state.suppressed_until + offset,
    )


def restore(
    health: HealthMap, saved: SavedState, at: Instant, max_age: float
) -> frozenset[RecordKey]:
    """Restore the records of `health`'s plan, before their first check cycle.

    Returns those whose answer is restored; they are ready. Health older than `max_age` seconds
    counts as UNKNOWN; addresses, the last good answer and overrides do not age.
    """
    restoration = _Restoration(saved, at, max_age)
    pasts = {
        key: restoration.restored(record, health.records[key].record)
        for key, record in saved.records.items()
        if key in health.records
    }
    overrides = [override for override in saved.overrides if override.is_live(at.wall)]
    return health.restore(pasts, overrides, at)


def _is_content(text: str, record: Record) -> bool:
    """Whether a record of this type can have this content; only address types are checked."""
    if record.key.type not in ("A", "AAAA"):
        return True
    return canonical_address(text) == text and address_type(text) == record.key.type


class _Restoration:
    """Translates one saved state to the current clocks."""

    def __init__(self, saved: SavedState, at: Instant, max_age: float) -> None:
        self.at = at
        self.max_age = max_age
        self.then = saved.wall(at)
        self.is_current = self._is_recent(saved.taken)

    def restored(self, record: SavedRecord, configured: Record) -> RestoredRecord:
        """What `configured` can have said. A content that no member had is never served."""
        members = [m for m in record.members if _is_content(m.status.member.content, configured)]
        hosts = [
            host
            for host in record.hosts
            if all(_is_content(address, configured) for address in host.addresses)
        ]
        known = {dest.content or dest.host for dest in (*configured.dests, *configured.fallback)}
        known.update(saved.status.member.content for saved in members)
        known.update(address for host in hosts for address in host.addresses)
        is_current = self.is_current and record.decision.served() <= known
        max_hold = (configured.thresholds.damping or Damping()).max_hold

        def states_of(member: SavedMember) -> tuple[TargetState, ...]:
            return tuple(self._state(state, max_hold) for state in member.states)

        def alone(member: SavedMember) -> tuple[TargetState, ...]:
            return tuple(
                state._replace(last_known=agreed) if own.last_known is Health.UNKNOWN else state
                for state, own, agreed in zip(
                    states_of(member), member.states, member.agreed, strict=True
                )
            )

        return RestoredRecord(
            hosts={host.host: self._host(host) for host in hosts},
            targets={
                saved.status.member.content: states
                for saved in members
                if (states := states_of(saved)) != (NEVER_PROBED,) * len(states)
            },
            rows=tuple(map(self._row, members)),
            decision=record.decision if is_current else PENDING,
            last_good=tuple(content for content in record.last_good if content in known),
            last_pools=tuple(pool for pool in record.last_pools if known.issuperset(pool.contents)),
            waiting=self._since(members, "waiting_since"),
            ramps=self._since(members, "ramping_since"),
            agreed={saved.status.member.content: saved.agreed for saved in members}
            if self.is_current
            else {},
            alone={
                saved.status.member.content: states
                for saved in members
                if self.is_current and (states := alone(saved)) != states_of(saved)
            },
        )

    def _since(self, members: Iterable[SavedMember], name: str) -> dict[str, float]:
        """Since when something is so of the members of which it is, on the monotonic clock."""
        times = {saved.status.member.content: getattr(saved, name) for saved in members}
        return {
            content: min(since + self.at.mono - self.then, self.at.mono)
            for content, since in times.items()
            if since is not None and self.is_current
        }

    def _is_recent(self, wall: float | None) -> bool:
        return wall is not None and abs(self.then - wall) < self.max_age

    def _host(self, host: SavedHost) -> HostState:
        resolved = None
        if host.resolved is not None:
            resolved = self.at.mono - max(0.0, self.then - host.resolved)
        return HostState(host.addresses, resolved, host.is_answered, host.last)

    def _state(self, state: TargetState, max_hold: float) -> TargetState:
        """The saved state, seen just now, so that checks have time to run before it is stale."""
        if not self.is_current or not self._is_recent(state.last_check):
            return NEVER_PROBED
        dated = self._dated(state)
        if dated.suppressed_until is None:
            return dated
        # No saved value may hold a target for longer than the configuration allows.
        held_until = min(dated.suppressed_until, self.at.mono + max_hold)
        hold = min(dated.suppress_for, max_hold)
        return dated._replace(suppress_for=hold, suppressed_until=held_until)

    def _dated(self, state: TargetState) -> TargetState:
        shifted = _shifted(state, self.at.mono - self.then)
        return shifted._replace(
            last_seen=self.at.mono,
            last_check=self._shifted_time(state.last_check),
            last_change=self._shifted_time(state.last_change),
            last_up=self._shifted_time(state.last_up),
        )

    def _shifted_time(self, wall: float | None) -> float | None:
        """A saved wall time on the current wall clock; never in the future."""
        return None if wall is None else self.at.wall - max(0.0, self.then - wall)

    def _row(self, saved: SavedMember) -> MemberStatus:
        """Without what was laid over it: overrides are restored by themselves."""
        status = saved.status
        return MemberStatus(
            replace(status.member, targets=(), views=()),
            self._dated(status.state),
            status.effective,
            status.priority,
            status.weight,
            status.is_served,
            is_fallback=status.is_fallback,
        )
