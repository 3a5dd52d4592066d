"""Members as rows of lb_state, both ways.

What is written fits into its column: text is cut to its length and holds nothing that UTF-8 or a
line cannot carry, numbers are within 64 bits, times within four-digit years.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dnslb_backend.core.health.decision import Decision
from dnslb_backend.core.health.members import Member, MemberStatus
from dnslb_backend.core.health.results import TEXT_LIMIT, Code, Outcome, Result
from dnslb_backend.core.health.saved_state import SavedMember
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.health.transitions import reason
from dnslb_backend.core.model.labels import parse_labels, render_labels
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.store.database.tables import TableRow
from dnslb_backend.store.database.values import (
    clamp_int64,
    milliseconds,
    parse_sql_datetime,
    printable,
    sql_datetime,
    utf8_safe,
)
from dnslb_backend.store.mirror.reading import (
    integer,
    integer_or_none,
    seconds,
    seconds_or_none,
    text,
    unix_time,
)
from dnslb_backend.store.mirror.rows import Stamp, stamp_row


class MemberStamp(NamedTuple):
    """What the rows of all members of a record have in common; `decision` says to whom each is
    served, and why it is not.
    """

    stamp: Stamp
    decision: Decision
    ttl: int
    interval: float


def member_row(key: RecordKey, saved: SavedMember, common: MemberStamp) -> TableRow:
    status, decision = saved.status, common.decision
    member, state, result = status.member, status.state, status.state.result
    return (
        *stamp_row(common.stamp, *key, member.content),
        *key,
        utf8_safe(member.content),
        printable(member.address, 255),
        printable(member.host, 1024),
        int(status.is_served),
        str(state.health),
        str(status.effective),
        clamp_int64(status.priority),
        clamp_int64(status.weight),
        clamp_int64(result.code) if result else None,
        printable(result.text, 255) if result else None,
        str(status.override.action) if status.override else None,
        printable(reason(status, decision), 1024),
        sql_datetime(state.last_check),
        sql_datetime(state.last_change),
        sql_datetime(state.last_up),
        milliseconds(result.duration) if result else None,
        common.ttl,
        printable(",".join(_views(decision, member.content)), 1024),
        int(status.is_fallback),
        str(state.last_known),
        min(state.streak, 2**31),
        clamp_int64(state.priority),
        clamp_int64(state.weight),
        _checks_json(saved),
        render_labels(member.labels),
        str(saved.own),
        int(state.stale),
        common.interval,
    )


def _views(decision: Decision, content: str) -> list[str]:
    """The views whose clients alone are served it; none where it is for everybody."""
    if content in decision.contents:
        return []
    return [pool.view for pool in decision.pools if content in pool.contents]


def _checks_json(saved: SavedMember) -> str | None:
    """What the columns of one row cannot hold, None where they can."""
    states = saved.states
    since = (saved.waiting_since, saved.ramping_since)
    is_agreed = len(states) == 1 and saved.agreed == (states[0].last_known,)
    if is_agreed and not states[0].flips and since == (None, None):
        return None
    if not states:
        return None
    return json.dumps(
        [_state_json(*each, *since) for each in zip(states, saved.agreed, strict=True)]
    )


def _state_json(
    state: TargetState, agreed: Health, waiting_since: float | None, ramping_since: float | None
) -> list[Any]:
    """Times to the millisecond: finer ones would differ with every reading of another clock."""
    result = state.result
    return [
        str(state.last_known),
        state.stale,
        state.streak,
        clamp_int64(state.priority),
        clamp_int64(state.weight),
        (result.code, result.text, result.duration) if result else None,
        [_rounded(state.last_check), _rounded(state.last_change), _rounded(state.last_up)],
        [
            list(map(_rounded, state.flips)),
            state.suppress_for,
            _rounded(state.suppressed_until),
            _rounded(waiting_since),
            state.undamped,
            _rounded(ramping_since),
            agreed,
        ],
    ]


def _rounded(wall: float | None) -> float | None:
    return None if wall is None else round(wall, 3)


# -- reading: all of these raise ValueError and what else bad values lead to ---------------


class LastBeat(NamedTuple):
    """The last heartbeat: the Unix time of it, how many seconds ago that is, None where neither is
    known, and the session whose rows were as new.
    """

    taken: float | None
    elapsed: float | None
    session: str


NO_BEAT = LastBeat(None, None, "")


def read_member(columns: Mapping[str, Any], beat: LastBeat = NO_BEAT) -> SavedMember:
    """The member in a row. Overrides are restored by themselves, targets follow from the record."""
    priority, weight = integer_or_none(columns["priority"]), integer(columns["weight"], 0)
    member = Member(
        text(columns["content"]),
        text(columns["address"]),
        text(columns["dest"]),
        0 if priority is None else priority,
        weight,
        (),
        labels=parse_labels(text(columns["labels"])),
    )
    checks = columns["checks"]
    parts = [] if checks is None else json.loads(checks)
    checked = _checked(columns, beat)
    combined = _moved(_read_state(columns), checked)
    own = Health(columns.get("own") or combined.last_known)
    states = tuple(_moved(_read_state_json(p), checked) for p in parts) if parts else (combined,)
    agreed = tuple(map(_read_agreed, parts)) if parts else (combined.last_known,)
    is_fallback = bool(integer(columns["fallback"]))
    status = MemberStatus(
        member,
        states[0] if len(states) == 1 and own is combined.last_known else combined,
        Health(columns["effective"]),
        priority,
        weight,
        bool(integer(columns["served"])),
        is_fallback=is_fallback,
    )
    since = _read_since(parts[0][-1]) if parts else (None, None)
    if is_fallback:
        return SavedMember(status, (), *since)
    return SavedMember(status, states, *since, agreed, own)


def _checked(columns: Mapping[str, Any], beat: LastBeat) -> float | None:
    """When what is not stale in this row was checked at the latest, as the heartbeat says."""
    interval = seconds_or_none(columns["check_interval"])
    if beat.taken is None or interval is None or columns["session"] != beat.session:
        return None
    return beat.taken - interval


def _moved(state: TargetState, checked: float | None) -> TargetState:
    if checked is None or state.stale or state.last_check is None:
        return state
    return state._replace(last_check=max(state.last_check, checked))


def _read_since(damping: Sequence[Any]) -> tuple[float | None, float | None]:
    """Earlier versions wrote fewer values."""
    ramping = damping[5] if len(damping) > 5 else None
    return seconds_or_none(damping[3]), seconds_or_none(ramping)


def _read_state(columns: Mapping[str, Any]) -> TargetState:
    stale = columns["stale"]
    return TargetState(
        last_known=Health(columns["standing"]),
        # Older versions wrote no more than this.
        stale=columns["health"] != columns["standing"] if stale is None else stale != 0,
        streak=integer(columns["streak"], 0),
        priority=integer_or_none(columns["check_priority"]),
        weight=integer_or_none(columns["check_weight"], 0),
        result=_read_result(
            columns["result_code"],
            columns["result_text"],
            (seconds_or_none(columns["duration_ms"]) or 0.0) / 1000,
        ),
        last_check=parse_sql_datetime(columns["last_check"]),
        last_change=parse_sql_datetime(columns["last_change"]),
        last_up=parse_sql_datetime(columns["last_up"]),
    )


def _read_result(code: Any, said: Any, duration: Any) -> Result | None:
    if code is None:
        return None
    outcome = Outcome.FAIL
    if code == Code.PASS:
        outcome = Outcome.PASS
    elif code == Code.INTERNAL_ERROR:
        outcome = Outcome.ERROR
    shown = printable(text(said or ""), TEXT_LIMIT)
    return Result(outcome, integer(code), shown, duration=seconds(duration))


def _read_agreed(parts: Sequence[Any]) -> Health:
    """The health that counts for one check; older versions wrote none besides the node's own."""
    own, damping = parts[0], parts[-1]
    return Health(damping[6] if len(damping) > 6 else own)


def _read_state_json(parts: Sequence[Any]) -> TargetState:
    last_known, stale, streak, priority, weight, result, times, damping = parts
    check, change, up = map(unix_time, times)
    flips, suppress_for, suppressed_until, _, *rest = damping
    return TargetState(
        last_known=Health(last_known),
        stale=stale is True,
        streak=integer(streak, 0),
        priority=integer_or_none(priority),
        weight=integer_or_none(weight, 0),
        result=_read_result(*result) if result else None,
        last_check=check,
        last_change=change,
        last_up=up,
        flips=tuple(map(seconds, flips)),
        suppress_for=math.fabs(seconds(suppress_for)),
        suppressed_until=seconds_or_none(suppressed_until),
        undamped=Health(rest[0]) if rest and rest[0] else None,
    )
