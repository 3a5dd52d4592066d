"""Members: the addresses of a balanced record, and their status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from dnslb_backend.core.health.decision import Candidate, Decision
from dnslb_backend.core.health.hosts import UNRESOLVED, HostState
from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.core.health.target import NEVER_PROBED, Health, TargetState
from dnslb_backend.core.model.labels import joined_labels
from dnslb_backend.core.model.quorum import judged_by
from dnslb_backend.core.model.records import Dest, Record, joined_views

FULL_SHARE = 100
"""Parts of its weight that a member has where its record has a slow start."""


class TargetKey(NamedTuple):
    """What is probed, once for all members that share it.

    `check` is the fingerprint of the check with all its parameters and timing.
    """

    address: str
    port: int | None
    check: str


@dataclass(frozen=True, slots=True)
class Member:
    """One possible row of the answer: `content` as served, `priority` and `weight` configured."""

    content: str
    address: str
    host: str
    priority: int
    weight: int
    targets: tuple[TargetKey, ...]
    views: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def aliases(self) -> tuple[str, ...]:
        """What overrides match: the address probed, the content served, the host, the labels."""
        return self.address, self.content, self.host, *self.labels


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """The status of a member: measured and effective health, and whether it is served.

    `priority` is None where the last check failed. `waits_in` are the views ("" for clients in
    none) in which it is held out after recovery (failback). `is_fallback` marks an address that
    is served unchecked and is no member. `weighting` is the override that `weight` is from.
    `share` is how many parts of it count: percent where its record has a slow start, else 1.
    """

    member: Member
    state: TargetState
    effective: Health
    priority: int | None
    weight: int
    is_served: bool
    override: Override | None = None
    waits_in: frozenset[str] = frozenset()
    is_fallback: bool = False
    weighting: Override | None = None
    share: int = 1

    @property
    def is_ramping(self) -> bool:
        """Whether it has only a part of its weight, for a while after it came back."""
        return 1 < self.share < FULL_SHARE

    @property
    def is_waiting(self) -> bool:
        return bool(self.waits_in)

    @property
    def measured(self) -> Health:
        return self.state.health

    def is_unchanged(
        self,
        member: Member,
        state: TargetState,
        override: Override | None,
        waits_in: frozenset[str],
        weighting: Override | None,
        share: int,
    ) -> bool:
        """Whether `apply_override` would return this status again for these arguments."""
        return (
            self.member is member
            and self.state is state
            and self.override is override
            and self.waits_in == waits_in
            and self.weighting is weighting
            and self.share == share
        )

    def candidate(self) -> Candidate:
        is_drained = self.override is not None and self.override.action is Action.DRAIN
        health, is_damped = self.effective, False
        if self.override is None or is_drained:
            health = self.state.last_known
            is_damped = self.state.undamped is Health.UP
        return Candidate(
            self.member.content,
            health,
            measured_priority(self.member, self.state) if is_damped else self.priority,
            is_drained,
            self.waits_in,
            self.weight * self.share,
            self.member.views,
            is_damped,
            self.member.priority,
        )


def apply_override(
    member: Member,
    state: TargetState,
    override: Override | None,
    waits_in: frozenset[str] = frozenset(),
    weighting: Override | None = None,
    share: int = 1,
) -> MemberStatus:
    """Combine measured health with the overrides.

    measured   drain      down   up     none
    any        measured   DOWN   UP     measured      (a drained member is not eligible)
    """
    status = _with_health(member, state, override, waits_in)
    if weighting is not None and weighting.weight is not None:
        return replace(status, weight=weighting.weight, weighting=weighting, share=share)
    return status if share == 1 else replace(status, share=share)


def _with_health(
    member: Member, state: TargetState, override: Override | None, waits_in: frozenset[str]
) -> MemberStatus:
    measured = measured_priority(member, state)
    weight = state.weight if state.weight is not None else member.weight
    action = override.action if override else None
    if action is Action.UP:
        # An override UP serves, whatever priority or weight a check reported to keep it out.
        measured = measured if measured > 0 else member.priority
        weight = weight if weight > 0 else member.weight
        return MemberStatus(member, state, Health.UP, measured, weight, False, override)
    if action is Action.DOWN:
        return MemberStatus(member, state, Health.DOWN, None, weight, False, override)
    priority = measured if state.last_known is Health.UP else None
    return MemberStatus(member, state, state.health, priority, weight, False, override, waits_in)


def measured_priority(member: Member, state: TargetState) -> int:
    """The priority that the last pass reported, else the configured one."""
    return state.priority if state.priority is not None else member.priority


def build_members(record: Record, hosts: Mapping[str, HostState]) -> tuple[Member, ...]:
    """Every address of the destinations, once, with its highest priority.

    An address of several destinations is for the views of all of them, and has all their labels.
    """
    members: dict[str, Member] = {}
    for dest in record.dests:
        for address in _addresses(dest, hosts):
            member = _member(record, dest, address)
            other = members.get(member.content)
            if other is not None:
                best = member if member.priority > other.priority else other
                member = replace(
                    best,
                    views=joined_views(other.views, member.views),
                    labels=joined_labels(other.labels, member.labels),
                )
            members[member.content] = member
    return tuple(members.values())


def fallback_contents(record: Record, hosts: Mapping[str, HostState]) -> tuple[str, ...]:
    """The addresses of the fallback hosts, once each, in stable order; CNAMEs as configured."""
    found = dict.fromkeys(a for dest in record.fallback for a in _addresses(dest, hosts))
    return tuple(found) if record.key.type == "CNAME" else tuple(sorted(found))


Rows = list[MemberStatus]
"""The members of a record as they are now, then its unchecked fallbacks."""


def mark_served(
    rows: Sequence[MemberStatus],
    decision: Decision,
    before: Sequence[MemberStatus],
    record: Record,
) -> tuple[MemberStatus, ...]:
    """The rows with `is_served` set, followed by what is served without being a member.

    Such a row is taken from `before`, or is an unchecked fallback.
    """
    served = decision.served()
    marked = [
        row if row.is_served == (row.member.content in served) else _toggled(row) for row in rows
    ]
    if len(served) == sum(row.is_served for row in marked):
        return tuple(marked)
    known = {row.member.content for row in rows}
    old = {row.member.content: row for row in before}
    others = sorted(served - known)
    marked += [old.get(content) or _unchecked(content, record) for content in others]
    return tuple(marked)


def _addresses(dest: Dest, hosts: Mapping[str, HostState]) -> tuple[str, ...]:
    return (dest.host,) if dest.is_literal else hosts.get(dest.host, UNRESOLVED).addresses


def _toggled(row: MemberStatus) -> MemberStatus:
    return replace(row, is_served=not row.is_served)


def _unchecked(content: str, record: Record) -> MemberStatus:
    member = Member(content, content, record.fallback[0].host if record.fallback else "", 0, 0, ())
    return MemberStatus(member, NEVER_PROBED, Health.UNKNOWN, None, 0, True, is_fallback=True)


def _member(record: Record, dest: Dest, address: str) -> Member:
    probed = dest.check_address or address
    return Member(
        content=dest.content or address,
        address=probed,
        host=dest.host,
        priority=dest.prio,
        weight=dest.weight,
        targets=tuple(
            TargetKey(probed, dest.check_port, judged_by(check, dest.voters))
            for check in record.checks
        ),
        views=dest.views,
        labels=dest.labels,
    )
