"""One member and one balanced record as operators' programs read them."""

import math
from dataclasses import replace

from pydantic import Field

from dnslb_backend.admin.api.holds import hold_of
from dnslb_backend.admin.api.states import MemberState, member_state, summary_of
from dnslb_backend.admin.api.votes import VotesRow, votes_row
from dnslb_backend.admin.http.document import ApiModel
from dnslb_backend.admin.http.timestamps import Timestamp, render_optional, render_timestamp
from dnslb_backend.core.answers.snapshot import Snapshot
from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.health.hosts import HostState
from dnslb_backend.core.health.members import MemberStatus
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.record_state import RecordState
from dnslb_backend.core.health.resolutions import Status
from dnslb_backend.core.health.results import first_expiry
from dnslb_backend.core.health.service import Service, served_count, service_of
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState, combine
from dnslb_backend.core.health.transitions import reason
from dnslb_backend.core.model.labels import labels_by_key
from dnslb_backend.core.model.records import Policy, Record, RecordKey


class OverrideRow(ApiModel):
    """An override, and until when it is in force."""

    id: str
    target: str
    action: Action
    zone: str
    name: str
    node: str = Field(description="empty: every node")
    reason: str
    author: str
    created: Timestamp
    starts: Timestamp | None = Field(description="null: when it was created")
    pending: bool = Field(description="it begins later")
    expires: Timestamp | None = Field(description="null: until it is cleared")
    weight: int | None = Field(description="that of the action weight; null: of no other")


class MemberRow(ApiModel):
    """One member: measured health, the override over it, and what follows from both."""

    zone: str
    name: str
    type: str
    content: str = Field(description="what is served")
    address: str = Field(description="what is probed")
    dest: str = Field(description="the destination as configured")
    views: tuple[str, ...] = Field(description="the clients that it is for; empty: everybody else")
    labels: dict[str, str]
    state: MemberState = Field(description="in a word or two, for people")
    health: Health = Field(description="what was measured")
    effective: Health = Field(description="the override applied over it; answers use this")
    stale: bool = Field(description="no result for stale_after; it is served as before")
    flapping: bool = Field(description="changed too often, and is held DOWN by damping")
    waiting: bool = Field(description="recovered, and waits for failback")
    served: bool
    fallback: bool = Field(description="served unchecked, in place of the members")
    priority: int | None = Field(description="null: the last check failed")
    configured_priority: int
    weight: int
    configured_weight: int
    weight_percent: int = Field(description="how much of its weight counts now (slow_start)")
    reason: str = Field(description="why it is served, or is not")
    held_until: Timestamp | None = Field(
        description="the end of what damping or failback holds out; null: nothing, or no end"
    )
    override: OverrideRow | None = Field(description="the one that decides whether it serves")
    weight_override: OverrideRow | None = Field(description="the one that decides its weight")
    since: Timestamp | None = Field(description="the last change of its effective health")
    last_check: Timestamp | None
    last_change: Timestamp | None
    last_up: Timestamp | None
    duration_ms: float | None = Field(description="how long the last probe took")
    result_code: int | None
    result_text: str
    certificate_expires: Timestamp | None = Field(
        description="the first of the chain that its last tls or https check verified"
    )
    ttl: int
    votes: VotesRow | None = Field(description="null: this node decides alone")


class HostRow(ApiModel):
    """What is known of one host name among the destinations and fallbacks."""

    host: str
    addresses: tuple[str, ...]
    resolution: Status | None = Field(description="the last result; null before the first")
    text: str
    overdue: bool = Field(description="the resolver has been failing for longer than dns_ttl")
    ignored: int = Field(description="addresses beyond max_addresses, which are not used")


class RecordRow(ApiModel):
    """One balanced record: what was decided, and what DNS answers now."""

    zone: str
    name: str
    type: str
    ttl: int
    policy: Policy
    service: Service = Field(description="what clients in no view that serves are given, in words")
    summary: str = Field(description="the service, and how many members are served, as a sentence")
    members_served: int = Field(description="fallback addresses are not counted")
    members_total: int
    decision: DecisionKind = Field(description="for clients in no view that serves")
    threshold: int | None = Field(description="the lowest priority that serves those")
    served_views: tuple[str, ...] = Field(description="the views whose own members serve")
    answer: tuple[str, ...] | None = Field(
        description="what DNS answers now; empty: NODATA; null: SERVFAIL"
    )
    varies: bool = Field(
        description="the answer depends on the client or is random: each is given some of it"
    )
    ready: bool = Field(description="its first check cycle has ended, or its answer was restored")
    held: bool = Field(
        description="a change that would leave no member serving waits for the check cycle to end"
    )
    hosts: tuple[HostRow, ...]


def override_row(override: Override, wall: float = math.inf) -> OverrideRow:
    """`wall` is needed for one that may be pending."""
    return OverrideRow(
        id=override.id,
        target=override.target,
        action=override.action,
        zone=override.zone,
        name=override.name,
        node=override.node,
        reason=override.reason,
        author=override.author,
        created=render_timestamp(override.created),
        starts=render_optional(override.starts),
        pending=override.is_pending(wall),
        expires=render_optional(override.expires),
        weight=override.weight,
    )


def member_row(
    status: MemberStatus,
    group: RecordState,
    health: HealthMap,
    at: Instant,
    *,
    with_by: bool = False,
) -> MemberRow:
    """`group` is the record that the member belongs to; `with_by`: and which nodes say what."""
    record = group.record
    member, state = status.member, _latest(status, record, health)
    status = replace(status, state=state)
    result, hold = state.result, hold_of(status, group, at)
    return MemberRow(
        zone=record.key.zone,
        name=record.key.name,
        type=record.key.type,
        content=member.content,
        address=member.address,
        dest=member.host,
        views=member.views,
        labels=labels_by_key(member.labels),
        state=member_state(status),
        health=status.measured,
        effective=status.effective,
        stale=state.stale,
        flapping=state.suppressed_until is not None,
        waiting=status.is_waiting,
        served=status.is_served,
        fallback=status.is_fallback,
        priority=status.priority,
        configured_priority=member.priority,
        weight=status.weight,
        configured_weight=member.weight,
        weight_percent=status.share if status.is_ramping else 100,
        reason=hold.why if hold else reason(status, group.decision),
        held_until=render_optional(hold.until) if hold and math.isfinite(hold.until) else None,
        override=override_row(status.override) if status.override else None,
        weight_override=override_row(status.weighting) if status.weighting else None,
        since=render_optional(_since(status)),
        last_check=render_optional(state.last_check),
        last_change=render_optional(state.last_change),
        last_up=render_optional(state.last_up),
        duration_ms=round(result.duration * 1000, 3) if result else None,
        result_code=result.code if result else None,
        result_text=result.text if result else "",
        certificate_expires=render_optional(
            first_expiry(health.target(target).result for target in member.targets)
        ),
        ttl=record.ttl,
        votes=votes_row(member.targets, record.require, health, at, with_by=with_by),
    )


def record_row(state: RecordState, snapshot: Snapshot, mono: float) -> RecordRow:
    """`mono` is the monotonic time by which an overdue resolution is judged."""
    record = state.record
    served, total = served_count(state.rows)
    return RecordRow(
        zone=record.key.zone,
        name=record.key.name,
        type=record.key.type,
        ttl=record.ttl,
        policy=record.policy,
        service=service_of(state.decision.kind),
        summary=summary_of(state),
        members_served=served,
        members_total=total,
        decision=state.decision.kind,
        threshold=state.decision.threshold,
        served_views=tuple(pool.view for pool in state.decision.serving_pools()),
        answer=_answer(state, snapshot),
        varies=_varies(record.key, snapshot),
        ready=state.is_ready,
        held=state.is_held,
        hosts=tuple(
            _host_row(host, known, mono, record.timing.dns_ttl)
            for host, known in state.hosts.items()
        ),
    )


def _latest(status: MemberStatus, record: Record, health: HealthMap) -> TargetState:
    """What was measured last: a status is not rebuilt for results that changed nothing.

    Where health has moved on since the status was read, its own measure is kept: the row shows
    one moment.
    """
    states = [health.seen(target) for target in status.member.targets]
    if not states or all(state is NEVER_PROBED for state in states):
        return status.state
    latest = combine(states, record.require)
    return latest if latest.health is status.measured else status.state


def _since(status: MemberStatus) -> float | None:
    """When the effective health began: with the override that differs from what was measured."""
    if status.override is not None and status.effective is not status.measured:
        return status.override.begins
    return status.state.last_change


def _answer(state: RecordState, snapshot: Snapshot) -> tuple[str, ...] | None:
    """All that some client is given now; None where even that is not known."""
    key = state.record.key
    node = snapshot.names.get(key.name)
    if node is None or key.type in node.unknown_types:
        return None
    found = dict.fromkeys(row.content for row in node.all_rows() if row.qtype == key.type)
    return tuple(found) if found or not state.decision.is_servfail else None


def _varies(key: RecordKey, snapshot: Snapshot) -> bool:
    node = snapshot.names.get(key.name)
    return node is not None and any(selector.type == key.type for selector in node.selectors)


def _host_row(host: str, known: HostState, mono: float, dns_ttl: float) -> HostRow:
    return HostRow(
        host=host,
        addresses=known.addresses,
        resolution=known.last.status if known.last else None,
        text=known.last.text if known.last else "",
        overdue=known.is_overdue(mono, dns_ttl),
        ignored=known.ignored,
    )
