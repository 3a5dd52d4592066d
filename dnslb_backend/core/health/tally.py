"""From votes to the agreed health of a target. Pure, and without memory while enough vote.

A site says DOWN where more of its voters say DOWN than UP, else UP. Of `n` sites with a vote, `d`
say DOWN:

n                                        health
enough, d >= needed(down, n)             DOWN; a tie is UP under "majority"
enough, else                             UP
too few, it was agreed, lost < hold      held: as it was agreed; UP at once if it came back here
too few, longer, or vouched              own: as this node has measured it
too few, nothing was ever agreed         own; but a DOWN waits a moment after the start

Enough are two, or one where only one site may vote. A node that does not judge a target itself
has no own health to go by: held for as long as it takes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from dnslb_backend.core.health.clock import Instant
from dnslb_backend.core.health.quorum import Vote
from dnslb_backend.core.health.results import Outcome, Result
from dnslb_backend.core.health.target import Health, TargetState, Votes
from dnslb_backend.core.model.quorum import Needed

ENOUGH = 2


class Basis(StrEnum):
    """What the health of a target rests on."""

    AGREED = "agreed"
    HELD = "held"
    OWN = "own"


class CastVote(NamedTuple):
    """A vote and who gave it."""

    node: str
    site: str
    vote: Vote


class Tally(NamedTuple):
    """How many sites say what."""

    up: int
    down: int


NO_VOTES = Tally(0, 0)


@dataclass(frozen=True, slots=True)
class AgreedHealth:
    """What the votes make of a target: `tally` is by sites.

    `priority` and `weight` are those of UP votes, `result` is that of the first vote that says the
    same. `changed` is the Unix time of the last change of `health`. `lost` is the monotonic time at
    which too few voted, None while enough do.
    """

    basis: Basis
    health: Health
    tally: Tally = NO_VOTES
    priority: int | None = None
    weight: int | None = None
    result: Result | None = None
    changed: float | None = None
    lost: float | None = None


class Circumstances(NamedTuple):
    """What counts when too few vote. `hold` is in seconds.

    `came_back`: this node has seen the target come back since. `is_connected`: its own DOWNs may
    count at once. `is_waiting`: it has just started. `is_follower`: it does not judge the target.
    """

    hold: float
    came_back: bool = False
    is_connected: bool = False
    is_waiting: bool = False
    is_follower: bool = False


UNDECIDED = AgreedHealth(Basis.OWN, Health.UNKNOWN)


def tally(votes: Iterable[CastVote]) -> Tally:
    """What the sites of these voters say."""
    sites: dict[str, int] = {}
    for _, site, vote in votes:
        sites[site] = sites.get(site, 0) + (1 if vote.says is Health.DOWN else -1)
    down = sum(balance > 0 for balance in sites.values())
    return Tally(len(sites) - down, down)


def needed(down: Needed, sites: int) -> int:
    """How many of so many sites that vote must say DOWN."""
    match down:
        case "majority":
            return sites // 2 + 1
        case "all":
            return sites
        case "any":
            return 1
        case number:
            return min(number, sites)


def judge(
    votes: Sequence[CastVote],
    own: TargetState,
    before: AgreedHealth,
    down: Needed,
    enough: int,
    circumstances: Circumstances,
    at: Instant,
) -> AgreedHealth:
    """The verdict on a target; `votes` are in the order of the nodes' names, `own` is no vote."""
    counted = tally(votes)
    sites = counted.up + counted.down
    if sites < enough:
        return _without_quorum(counted, own, before, circumstances, at)
    is_down = counted.down >= needed(down, sites)
    health = Health.DOWN if is_down else Health.UP
    saying = [cast.vote for cast in votes if cast.vote.says is health]
    return AgreedHealth(
        Basis.AGREED,
        health,
        counted,
        own.priority if is_down else _most_frequent([vote.priority for vote in saying]),
        own.weight if is_down or own.last_known is health else saying[0].weight,
        _result(saying[0]),
        _changed(before, health, own, at),
    )


def _without_quorum(
    counted: Tally,
    own: TargetState,
    before: AgreedHealth,
    circumstances: Circumstances,
    at: Instant,
) -> AgreedHealth:
    is_follower = circumstances.is_follower
    if before.health is Health.UNKNOWN or (before.basis is Basis.OWN and not is_follower):
        is_waiting = circumstances.is_waiting and own.last_known is Health.DOWN
        if is_waiting or is_follower:
            return replace(UNDECIDED, tally=counted)
        return AgreedHealth(Basis.OWN, own.last_known, counted, lost=before.lost)
    lost = at.mono if before.lost is None else before.lost
    is_over = at.mono - lost >= circumstances.hold or circumstances.is_connected
    if is_over and own.health is not Health.UNKNOWN and not is_follower:
        return AgreedHealth(Basis.OWN, own.last_known, counted, lost=lost)
    health = Health.UP if circumstances.came_back else before.health
    changed = _changed(before, health, own, at)
    return replace(
        before, basis=Basis.HELD, health=health, tally=counted, changed=changed, lost=lost
    )


def _changed(before: AgreedHealth, health: Health, own: TargetState, at: Instant) -> float | None:
    if before.basis is Basis.OWN:
        return own.last_change if own.health is health else at.wall
    return before.changed if before.health is health else at.wall


def _most_frequent(values: Sequence[int | None]) -> int | None:
    """The most frequent value; of equally frequent ones the lowest, None after all numbers."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value is None, value or 0))


def _result(vote: Vote) -> Result:
    outcome = Outcome.PASS if vote.says is Health.UP else Outcome.FAIL
    return Result(outcome, vote.code, vote.text, vote.priority, vote.weight)


def ruled(own: TargetState, verdict: AgreedHealth, at: Instant) -> TargetState:
    """This node's own state of a target, with the health that counts in its place."""
    if verdict.basis is Basis.OWN:
        if verdict.health is own.last_known:
            return own
        return own._replace(last_known=Health.UNKNOWN, stale=False)
    votes = Votes(*verdict.tally, verdict.basis is Basis.HELD)
    if own.last_known is verdict.health and not own.stale:
        return own._replace(priority=verdict.priority, last_change=verdict.changed, votes=votes)
    is_up = verdict.health is Health.UP
    return own._replace(
        last_known=verdict.health,
        stale=False,
        priority=verdict.priority,
        weight=verdict.weight,
        result=verdict.result or own.result,
        last_check=at.wall if own.last_check is None else own.last_check,
        last_change=verdict.changed,
        last_up=at.wall if is_up else own.last_up,
        suppressed_until=None,
        undamped=None,
        votes=votes,
    )
