"""Warnings about a record that works, but probably not as its operator expects."""

import re
from collections.abc import Sequence

from dnslb_backend.config.models import RecordSettings
from dnslb_backend.config.problems import Cursor
from dnslb_backend.core.model.address_selection import common_prefix, overlaps
from dnslb_backend.core.model.records import Dest, Timing


def advise(settings: RecordSettings, dests: Sequence[Dest], timing: Timing, where: Cursor) -> None:
    """Warn of what is doubtful about a record."""
    _advise_timing(settings, timing, where)
    if settings.all_down == "fallback" and not settings.fallback:
        where.at("all_down").warn("is fallback, but there is none: answers are empty")
    if settings.prio_regex and not re.compile(settings.prio_regex).groups:
        where.at("prio_regex").warn("has no group, so it gives no priority and is not used")
    for name in ("proto", "socktype"):
        if getattr(settings, name) is not None:
            where.at(name).warn("has no effect on resolving")
    for network in settings.client_networks:
        _advise_rule_9(dests, network, where.at("client_networks"))


def _advise_timing(settings: RecordSettings, timing: Timing, where: Cursor) -> None:
    if timing.dns_timeout + timing.timeout >= timing.interval:
        where.warn(
            f"dns_timeout + timeout ({timing.dns_timeout:g} + {timing.timeout:g} s) should be "
            f"below interval ({timing.interval:g} s): a target is not probed again while its "
            "last probe is running"
        )
    if settings.stale_after and settings.stale_after < timing.interval:
        where.at("stale_after").warn(
            f"is below interval ({timing.interval:g} s): members are stale between probes"
        )


def _advise_rule_9(dests: Sequence[Dest], network: str, where: Cursor) -> None:
    block = common_prefix([dest.host for dest in dests if dest.is_literal])
    if block is not None and overlaps(block, network):
        where.warn(
            f"{network} overlaps {block}, the smallest prefix that holds all servers: its "
            "clients may always pick the same server (RFC 6724, rule 9)"
        )
