"""Balanced records as configured: names whose answers depend on health."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dnslb_backend.core.model.rules import DEFAULT_THRESHOLDS, Thresholds


class RecordKey(NamedTuple):
    """Identifies one balanced record; `zone` and `name` are canonical and absolute."""

    zone: str
    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.name}/{self.type}"


class Policy(StrEnum):
    ALL = "all"
    WEIGHTED = "weighted"
    STICKY = "sticky"


class AllDown(StrEnum):
    """What is served when no member is eligible."""

    FALLBACK = "fallback"
    ALL = "all"
    LAST = "last"
    NODATA = "nodata"
    SERVFAIL = "servfail"


@dataclass(frozen=True, slots=True)
class MinHealthy:
    """So many members, or so many percent of them, have to be healthy."""

    number: int
    is_percent: bool = False

    def of(self, total: int) -> int:
        """How many of `total` members: a share is rounded up, and there are never more than all."""
        wanted = -(-self.number * total // 100) if self.is_percent else self.number
        return min(wanted, total)


@dataclass(frozen=True, slots=True)
class Dest:
    """A configured destination: a host name or an IP literal, with priority and weight.

    A higher `prio` is preferred; at 0 and below a destination is checked but never served.
    `labels` are `key=value`. `voters` are the sites or nodes that judge it, none is all.
    """

    host: str
    prio: int = 1
    weight: int = 1
    is_literal: bool = False
    check_address: str | None = None
    check_port: int | None = None
    content: str | None = None
    views: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    voters: tuple[str, ...] = ()


def joined_views(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The views of an address of two destinations; no view means every client."""
    return tuple(dict.fromkeys((*one, *other))) if one and other else ()


@dataclass(frozen=True, slots=True)
class Timing:
    """When a record is resolved and probed; seconds throughout.

    `shift` None spreads check cycles deterministically over the interval.
    """

    interval: float
    timeout: float
    dns_timeout: float
    shift: float | None = None
    dns_ttl: float = 300.0
    fast_interval: float | None = None
    down_interval: float | None = None
    stale_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """One balanced record.

    `spelling` is the absolute name as configured. `checks` are fingerprints: records with the
    same checks share them, and so share probes. `require` is how many of them must pass.
    `failback` is how long (s) a recovered member is held out while others serve; infinity is
    until an operator readmits it. In `slow_start` seconds a recovered member is given its weight
    again. `sticky_bits` are the prefix lengths of IPv4 and IPv6 clients
    that determine the members. `ttl_range` is given for `ttl = "auto"`. `max_addresses` is how
    many addresses of one host name are used.
    """

    key: RecordKey
    spelling: str
    ttl: int
    dests: tuple[Dest, ...]
    checks: tuple[str, ...]
    timing: Timing
    require: int = 1
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    failback: float = 0.0
    slow_start: float = 0.0
    prio_min_cnt: int = 1
    min_healthy: MinHealthy | None = None
    fallback: tuple[Dest, ...] = ()
    all_down: AllDown = AllDown.NODATA
    policy: Policy = Policy.ALL
    max_answers: int | None = None
    sticky_bits: tuple[int, int] = (24, 56)
    ttl_range: tuple[int, int] | None = None
    client_networks: tuple[str, ...] = ()
    max_addresses: int = 64

    def host_names(self) -> list[str]:
        """The host names to resolve, once each: destinations first, then fallbacks."""
        names = (dest.host for dest in (*self.dests, *self.fallback) if not dest.is_literal)
        return list(dict.fromkeys(names))

    @property
    def has_weights(self) -> bool:
        """Whether weights decide how often a member is answered."""
        return self.policy is not Policy.ALL

    @property
    def may_miss_some(self) -> bool:
        """Whether it may have no data for some clients while others get an answer."""
        if not any(dest.views for dest in self.dests):
            return False
        match self.all_down:
            case AllDown.FALLBACK:
                return not any(dest.is_literal for dest in self.fallback)
            case AllDown.ALL:
                return not any(dest.is_literal and not dest.views for dest in self.dests)
            case AllDown.SERVFAIL:
                return False
            case _:
                return True
