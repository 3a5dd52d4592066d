"""Warnings about a record that works, but probably not as its operator expects."""

import re
from collections.abc import Collection, Sequence

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.core.model.address_selection import common_prefix, overlaps
from dnslb_backend.core.model.records import Dest, Policy, Record, Timing


def advise(
    settings: RecordSettings,
    own: RecordSettings,
    dests: Sequence[Dest],
    timing: Timing,
    where: Cursor,
) -> None:
    """Warn of what is doubtful about a record; `own` is what it says itself."""
    _advise_timing(settings, timing, where)
    _advise_answers(settings, own, dests, where)
    _advise_counts(own, dests, where)
    if settings.all_down == "fallback" and not settings.fallback:
        where.at("all_down").warn('is "fallback", but there is no fallback: answers are empty')
    if settings.prio_regex and not re.compile(settings.prio_regex).groups:
        where.at("prio_regex").warn("has no group, so it gives no priority and is not used")
    for name in ("proto", "socktype"):
        if getattr(settings, name) is not None:
            where.at(name).warn("has no effect on resolving")
    for network in settings.client_networks:
        _advise_rule_9(dests, network, where.at("client_networks"))


def advise_default(default: RecordSettings, records: Collection[Record], where: Cursor) -> None:
    """Warn of keys of [default] that have no effect on any record."""
    if not records:
        return
    policies = {record.policy for record in records}
    written = default.model_fields_set
    if "slow_start" in written and default.slow_start and policies == {Policy.ALL}:
        where.at("slow_start").warn('has no effect: no record\'s policy is "weighted" or "sticky"')
    if "sticky" in written and Policy.STICKY not in policies:
        where.at("sticky").warn('has no effect: no record\'s policy is "sticky"')


def advise_priorities(dests: Sequence[Dest], checks: Sequence[Check], where: Cursor) -> None:
    """Warn where no member could ever serve; `where` is the key dest."""
    reads = any(
        getattr(each, "priority", None) or getattr(each, "prio_regex", "") for each in checks
    )
    if not reads and all(dest.prio <= 0 for dest in dests):
        where.warn("every priority is 0 or below: no member is ever served")


def _advise_timing(settings: RecordSettings, timing: Timing, where: Cursor) -> None:
    interval = f"interval ({timing.interval:g} s)"
    if timing.dns_timeout + timing.timeout >= timing.interval:
        where.warn(
            f"dns_timeout + timeout ({timing.dns_timeout:g} + {timing.timeout:g} s) should be "
            f"below {interval}: a target is not probed again while its last probe is running"
        )
    if settings.stale_after and settings.stale_after < timing.interval:
        where.at("stale_after").warn(f"is below {interval}: members are stale between probes")
    if settings.fast_interval and settings.fast_interval > timing.interval:
        where.at("fast_interval").warn(f"is above {interval}: changes are confirmed more slowly")
    damping = settings.damping
    if damping is not None and damping.hold > damping.max_hold:
        where.at("damping", "hold").warn(f"is above max_hold ({damping.max_hold:g} s)")


def _advise_answers(
    settings: RecordSettings, own: RecordSettings, dests: Sequence[Dest], where: Cursor
) -> None:
    """Warn of keys without effect under the record's policy."""
    written = own.model_fields_set
    policy = f'policy is "{settings.policy}"'
    if settings.policy == "all" and any(dest.weight != 1 for dest in dests):
        where.at("dest").warn(
            f'weight has no effect: {policy}; write policy = "weighted" (or "sticky")'
        )
    if "slow_start" in written and settings.slow_start and settings.policy == "all":
        where.at("slow_start").warn(
            f'has no effect: {policy}; write policy = "weighted" (or "sticky")'
        )
    if "sticky" in written and settings.policy != "sticky":
        where.at("sticky").warn(f'has no effect: {policy}; write policy = "sticky"')
    if settings.ttl != "auto":
        for name in sorted({"ttl_min", "ttl_max"} & written):
            where.at(name).warn('has no effect: ttl is a number; write ttl = "auto"')


def _advise_counts(own: RecordSettings, dests: Sequence[Dest], where: Cursor) -> None:
    """Warn of numbers above that of the members, where host names do not add to it."""
    if not all(dest.is_literal for dest in dests):
        return
    members = f"there {'is 1 member' if len(dests) == 1 else f'are {len(dests)} members'}"
    for name in ("prio_min_cnt", "max_answers"):
        if name in own.model_fields_set and (getattr(own, name) or 0) > len(dests):
            where.at(name).warn(f"is {getattr(own, name)}, but {members}")


def _advise_rule_9(dests: Sequence[Dest], network: str, where: Cursor) -> None:
    block = common_prefix([dest.host for dest in dests if dest.is_literal])
    if block is not None and overlaps(block, network):
        where.warn(
            f"{network} overlaps {block}, the smallest prefix that holds all servers: its "
            "clients may always pick the same server (RFC 6724, rule 9)"
        )
