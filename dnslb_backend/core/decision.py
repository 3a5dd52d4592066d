"""Who serves: from the standing of every member to the answer of one balanced record.

    eligible members                    answer
    some                                SERVE: those of the tiers that prio_min_cnt opens
    none, and no member is known        FALLBACK if there is one, else FAULT
    none, all_down = fallback           FALLBACK if it has addresses, else NODATA
    none, all_down = all                ALL: every member
    none, all_down = last               LAST: the last set that was good, else NODATA
    none, all_down = nodata             NODATA
    none, all_down = servfail           FAULT

"No member is known" means that every member is UNKNOWN since start, or that there is none
because a destination was never resolved. A destination that resolved to nothing is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dnslb_backend.core.health import Health
from dnslb_backend.core.records import AllDown, Record
from dnslb_backend.core.tiers import threshold


class Kind(StrEnum):
    PENDING = "pending"
    """The first round has not ended and nothing was restored."""
    SERVE = "serve"
    FALLBACK = "fallback"
    ALL = "all"
    LAST = "last"
    NODATA = "nodata"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Pool:
    """The members that serve the clients of one view, in stable order, with their weights."""

    view: str
    contents: tuple[str, ...]
    weights: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of one balanced record: what is served, in stable order, and why.

    `contents` serve every client that no pool of `pools` is for, and `weights` are theirs
    (empty: all alike). `ttl` None is the configured one.
    """

    kind: Kind
    contents: tuple[str, ...] = ()
    threshold: int | None = None
    weights: tuple[int, ...] = ()
    pools: tuple[Pool, ...] = ()
    ttl: int | None = None

    @property
    def is_fault(self) -> bool:
        """Whether a client that is in no view cannot be told the truth."""
        return self.kind in (Kind.PENDING, Kind.FAULT)

    @property
    def is_answer(self) -> bool:
        """Whether any client can be told anything."""
        return not self.is_fault or bool(self.pools)

    def served(self) -> set[str]:
        """Everything that some client is given."""
        return {*self.contents, *(content for pool in self.pools for content in pool.contents)}

    def starves(self, before: "Decision") -> bool:
        """Whether somebody had a serving member `before` and would have none now."""
        views = {pool.view for pool in before.pools} | {""}
        return any(before.serves(view) and not self.serves(view) for view in views)

    def serves(self, view: str) -> bool:
        """Whether the clients of a view, "" for none, have a serving member."""
        return self.kind is Kind.SERVE or any(pool.view == view for pool in self.pools)


PENDING = Decision(Kind.PENDING)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member as the decision sees it: effective standing and effective priority.

    `priority` is None where there is none because the last check failed. Without `views` a
    member is for everybody who is in no view that serves.
    """

    content: str
    standing: Health
    priority: int | None
    is_drained: bool = False
    is_waiting: bool = False
    """Came back a short while ago, and is let in only where nobody else can serve."""
    weight: int = 1
    views: tuple[str, ...] = ()

    @property
    def is_eligible(self) -> bool:
        return (
            self.standing is Health.UP
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
) -> Decision:
    """Apply the table above, for clients in no view and then for each view by itself.

    `fallback` are the addresses of the record's fallback hosts. `is_resolved` says that every
    destination has been answered by the resolver at least once, be it with nothing.
    """
    common = [c for c in candidates if not c.views]
    # Where all are for views, what is known of those is what is known of the record.
    is_unknown = _nobody_known(common or candidates, is_resolved=is_resolved)
    decision = _decide_common(record, common, fallback, last_good, is_unknown=is_unknown)
    views = dict.fromkeys(view for c in candidates for view in c.views)
    if not views:
        return decision
    pools = []
    for view in views:
        serving, _ = _serving([c for c in candidates if view in c.views], record.prio_min_cnt)
        if serving:
            pools.append(Pool(view, *_listed(serving)))
    return replace(decision, pools=tuple(pools))


def _decide_common(
    record: Record,
    candidates: Sequence[Candidate],
    fallback: Sequence[str],
    last_good: tuple[str, ...],
    *,
    is_unknown: bool,
) -> Decision:
    serving, lowest = _serving(candidates, record.prio_min_cnt)
    if serving:
        contents, weights = _listed(serving)
        return Decision(Kind.SERVE, contents, lowest, weights)
    if is_unknown:
        if fallback:
            return Decision(Kind.FALLBACK, tuple(fallback))
        return Decision(Kind.FAULT)
    return _all_down(record, candidates, fallback, last_good)


def _serving(candidates: Sequence[Candidate], min_count: int) -> tuple[list[Candidate], int | None]:
    """The candidates of the open tiers, and the lowest priority among those."""
    healthy = [c for c in candidates if c.is_eligible]
    eligible = [c for c in healthy if not c.is_waiting] or healthy
    lowest = threshold((c.priority for c in eligible if c.priority), min_count)
    if lowest is None:
        return [], None
    return [c for c in eligible if (c.priority or 0) >= lowest], lowest


def _listed(serving: Sequence[Candidate]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    ordered = sorted(serving, key=lambda candidate: candidate.content)
    return tuple(c.content for c in ordered), tuple(c.weight for c in ordered)


def _nobody_known(candidates: Sequence[Candidate], *, is_resolved: bool) -> bool:
    if not candidates:
        return not is_resolved
    return all(c.standing is Health.UNKNOWN and not c.is_drained for c in candidates)


def _all_down(
    record: Record,
    candidates: Sequence[Candidate],
    fallback: Sequence[str],
    last_good: tuple[str, ...],
) -> Decision:
    match record.all_down:
        case AllDown.FALLBACK if fallback:
            return Decision(Kind.FALLBACK, tuple(fallback))
        case AllDown.ALL if candidates:
            return Decision(Kind.ALL, tuple(sorted(c.content for c in candidates)))
        case AllDown.LAST if last_good:
            return Decision(Kind.LAST, last_good)
        case AllDown.SERVFAIL:
            return Decision(Kind.FAULT)
        case _:
            return Decision(Kind.NODATA)
