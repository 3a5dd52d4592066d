"""Which members serve: from the health of every member to the answer of one balanced record.

    eligible members                    answer
    some, but fewer than min_healthy    PANIC: every member, but those that are drained or have a
                                        priority of 0 or less
    some                                SERVE: those of the tiers that prio_min_cnt opens
    none, and all health is unknown     FALLBACK if there is one, else SERVFAIL
    none, all_down = fallback           FALLBACK if it has addresses, else NODATA
    none, all_down = all                ALL: every member
    none, all_down = last               LAST: the members that served at the end of the last check
                                        cycle in which any did, without those that are removed or
                                        drained since; else NODATA
    none, all_down = nodata             NODATA
    none, all_down = servfail           SERVFAIL

"All health is unknown" means that every member is UNKNOWN since start, or that there is none
because a destination was never resolved. A destination that resolved to nothing is known.

`min_healthy` counts the members that PANIC would serve and whose health is known, for each view by
itself. One that flaps (damping) is not healthy, one that waits for failback is.

The clients of a view get its eligible members; where it has none, they get those of their next
view, and then the common members. Where those cannot serve either, `all` and `last` give a view
its own members, or its own last good set: its last resort.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.tiers import threshold
from dnslb_backend.core.model.records import AllDown, MinHealthy, Record


class DecisionKind(StrEnum):
    PENDING = "pending"
    """The first check cycle has not ended and nothing was restored."""
    SERVE = "serve"
    PANIC = "panic"
    """Too few are healthy to be believed, or to carry the load."""
    FALLBACK = "fallback"
    ALL = "all"
    LAST = "last"
    NODATA = "nodata"
    SERVFAIL = "servfail"


@dataclass(frozen=True, slots=True)
class Pool:
    """The members that serve the clients of one view, in stable order, with their weights."""

    view: str
    contents: tuple[str, ...]
    weights: tuple[int, ...]
    is_last_resort: bool = False
    """No member is eligible: only for clients that no other pool serves."""
    threshold: int | None = field(default=None, compare=False)
    """The lowest priority that serves here; None where no member is eligible."""
    is_panic: bool = False
    """Too few members are healthy (min_healthy): all serve."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of one balanced record: what is served, in stable order, and why.

    `contents` serve every client without a pool in `pools`, and `weights` are their weights
    (empty: all equal). `ttl` None is the configured one.
    """

    kind: DecisionKind
    contents: tuple[str, ...] = ()
    threshold: int | None = None
    weights: tuple[int, ...] = ()
    pools: tuple[Pool, ...] = ()
    ttl: int | None = None

    @property
    def is_servfail(self) -> bool:
        """Whether clients in no view get SERVFAIL, as no health is known."""
        return self.kind in (DecisionKind.PENDING, DecisionKind.SERVFAIL)

    @property
    def is_serving(self) -> bool:
        """Whether an eligible member serves clients in no view."""
        return self.kind in (DecisionKind.SERVE, DecisionKind.PANIC)

    @property
    def is_answer(self) -> bool:
        """Whether any client gets an answer other than SERVFAIL."""
        return not self.is_servfail or bool(self.pools)

    def served(self) -> set[str]:
        """Every content that some client may get."""
        return {*self.contents, *(content for pool in self.pools for content in pool.contents)}

    def loses_service(self, before: "Decision") -> bool:
        """Whether some clients had a serving member `before` and would have none now."""
        views = {pool.view for pool in before.pools} | {""}
        return any(before.serves(view) and not self.serves(view) for view in views)

    def serves(self, view: str) -> bool:
        """Whether the clients of a view, "" for none, have a serving member."""
        return self.is_serving or any(
            pool.view == view and not pool.is_last_resort for pool in self.pools
        )

    def is_last_resort(self, content: str) -> bool:
        """Whether this content is served although not eligible, as nothing else is left."""
        if self.kind in (DecisionKind.ALL, DecisionKind.LAST) and content in self.contents:
            return True
        return any(pool.is_last_resort and content in pool.contents for pool in self.pools)

    def is_panic(self, content: str) -> bool:
        """Whether this content is served because too few members are healthy."""
        if self.kind is DecisionKind.PANIC and content in self.contents:
            return True
        return any(pool.is_panic and content in pool.contents for pool in self.pools)

    def pool(self, view: str) -> Pool | None:
        """The pool of a view; None where its clients get the common members."""
        return next((pool for pool in self.pools if pool.view == view), None)

    def threshold_of(self, views: Sequence[str]) -> int | None:
        """The lowest priority that serves among members of these views, or of none."""
        if not views:
            return self.threshold
        found = (pool.threshold for pool in self.serving_pools() if pool.view in views)
        return min((lowest for lowest in found if lowest is not None), default=None)

    def served_in(self) -> dict[str, Sequence[str]]:
        """The contents that serve each view, "" for clients in none."""
        found: dict[str, Sequence[str]] = {p.view: p.contents for p in self.serving_pools()}
        return {**found, "": self.contents} if self.is_serving else found

    def serving_pools(self) -> tuple[Pool, ...]:
        """The pools of the views that have eligible members."""
        return tuple(pool for pool in self.pools if not pool.is_last_resort)


PENDING = Decision(DecisionKind.PENDING)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member as the decision sees it: effective health and effective priority.

    `priority` is None where the last check failed. A member without `views` is for the clients
    in no view that serves.
    """

    content: str
    health: Health
    priority: int | None
    is_drained: bool = False
    waits_in: frozenset[str] = frozenset()
    """The views ("" for clients in none) in which it is held out after recovery (failback): there
    it serves only where no other member can."""
    weight: int = 1
    views: tuple[str, ...] = ()
    is_damped: bool = False
    """UP by its results but held DOWN for flapping: serves only where no other member can."""
    configured: int = 1
    """The priority where no check reports one."""

    @property
    def may_serve(self) -> bool:
        """Whether it serves in a panic: neither drained nor kept out by its priority."""
        priority = self.configured if self.priority is None else self.priority
        return not self.is_drained and priority > 0

    @property
    def is_healthy(self) -> bool:
        return self.is_eligible and not self.is_damped

    @property
    def is_eligible(self) -> bool:
        return (
            (self.health is Health.UP or self.is_damped)
            and not self.is_drained
            and self.priority is not None
            and self.priority > 0
        )


def decide(
    record: Record,
    candidates: Sequence[Candidate],
    *,
    fallback: Sequence[str],
    last_good: tuple[str, ...],
    is_resolved: bool,
    last_pools: Sequence[Pool] = (),
) -> Decision:
    """Apply the table above, for clients in no view and then for each view by itself.

    `fallback` are the addresses of the record's fallback hosts. `is_resolved`: the resolver has
    answered for every destination at least once, if only with nothing. `last_good` and
    `last_pools` are what served last, clients in no view and those of each view.
    """
    common = [c for c in candidates if not c.views]
    # Where every member is for a view, their health is that of the record.
    is_unknown = _is_unknown(common or candidates, is_resolved=is_resolved)
    decision = _decide_common(record, common, fallback, last_good, is_unknown=is_unknown)
    views = dict.fromkeys(view for c in candidates for view in c.views)
    if not views:
        return decision
    last = {pool.view: pool.contents for pool in last_pools}
    has_last_resort = not decision.is_serving and not is_unknown
    pools = []
    for view in views:
        members = [c for c in candidates if view in c.views]
        serving, lowest = _serving(members, record.prio_min_cnt, view)
        if panicking := _panicking(record.min_healthy, members):
            pools.append(Pool(view, *_listed(record, panicking), is_panic=True))
        elif serving:
            pools.append(Pool(view, *_listed(record, serving), threshold=lowest))
        elif has_last_resort and record.all_down is AllDown.ALL:
            pools.append(Pool(view, *_listed(record, members), is_last_resort=True))
        elif (
            has_last_resort
            and record.all_down is AllDown.LAST
            and (kept := _kept(last.get(view, ()), members))
        ):
            pools.append(Pool(view, *_columns(kept), is_last_resort=True))
    return replace(decision, pools=tuple(pools))


def _decide_common(
    record: Record,
    candidates: Sequence[Candidate],
    fallback: Sequence[str],
    last_good: tuple[str, ...],
    *,
    is_unknown: bool,
) -> Decision:
    if panicking := _panicking(record.min_healthy, candidates):
        contents, weights = _listed(record, panicking)
        return Decision(DecisionKind.PANIC, contents, weights=weights)
    serving, lowest = _serving(candidates, record.prio_min_cnt, "")
    if serving:
        contents, weights = _listed(record, serving)
        return Decision(DecisionKind.SERVE, contents, lowest, weights)
    if is_unknown:
        if fallback:
            return Decision(DecisionKind.FALLBACK, tuple(fallback))
        return Decision(DecisionKind.SERVFAIL)
    return _all_down(record, candidates, fallback, last_good)


def _panicking(min_healthy: MinHealthy | None, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Every member, where some are healthy, but too few; else none."""
    if min_healthy is None:
        return []
    able = [c for c in candidates if c.may_serve]
    total = sum(c.health is not Health.UNKNOWN for c in able)
    healthy = sum(c.is_healthy for c in able)
    return able if 0 < healthy < min_healthy.of(total) else []


def _serving(
    candidates: Sequence[Candidate], min_count: int, view: str
) -> tuple[list[Candidate], int | None]:
    """The candidates of the open tiers, and the lowest priority among those."""
    healthy = [c for c in candidates if c.is_eligible]
    steady = [c for c in healthy if not c.is_damped] or healthy
    eligible = [c for c in steady if view not in c.waits_in] or steady
    lowest = threshold((c.priority for c in eligible if c.priority), min_count)
    if lowest is None:
        return [], None
    return [c for c in eligible if (c.priority or 0) >= lowest], lowest


def _listed(
    record: Record, serving: Sequence[Candidate]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Contents and weights in stable order: of CNAMEs, the first one is the answer."""
    if record.key.type == "CNAME":
        return _columns(sorted(serving, key=lambda c: -(c.priority or 0)))
    return _columns(sorted(serving, key=lambda c: c.content))


def _columns(listed: Sequence[Candidate]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    return tuple(c.content for c in listed), tuple(c.weight for c in listed)


def _kept(last: Sequence[str], candidates: Sequence[Candidate]) -> list[Candidate]:
    """The members that served last and are not removed or drained since, in the same order."""
    known = {c.content: c for c in candidates if not c.is_drained}
    return [known[content] for content in last if content in known]


def _is_unknown(candidates: Sequence[Candidate], *, is_resolved: bool) -> bool:
    if not candidates:
        return not is_resolved
    return all(c.health is Health.UNKNOWN and not c.is_drained for c in candidates)


def _all_down(
    record: Record,
    candidates: Sequence[Candidate],
    fallback: Sequence[str],
    last_good: tuple[str, ...],
) -> Decision:
    match record.all_down:
        case AllDown.FALLBACK if fallback:
            return Decision(DecisionKind.FALLBACK, tuple(fallback))
        case AllDown.ALL if candidates:
            contents, weights = _listed(record, candidates)
            return Decision(DecisionKind.ALL, contents, weights=weights)
        case AllDown.LAST if kept := _kept(last_good, candidates):
            contents, weights = _columns(kept)
            return Decision(DecisionKind.LAST, contents, weights=weights)
        case AllDown.SERVFAIL:
            return Decision(DecisionKind.SERVFAIL)
        case _:
            return Decision(DecisionKind.NODATA)
