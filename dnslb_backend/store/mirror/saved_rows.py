"""From rows of tables back to what the core knows.

Anything can be in a row: a file can be damaged, and people can edit tables. So every value is
checked for its type and range, and a row that fails is ignored, reported, and costs only itself.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.health.overrides import Action
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.health.results import TEXT_LIMIT, Code, Outcome, Result
from dnslb_backend.core.health.saved_state import SavedHost, SavedMember, SavedRecord
from dnslb_backend.core.health.target import Health, TargetState
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import MAX_TTL
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.tables import (
    HOST,
    RECORD,
    STATE,
    TRANSITION,
    ZONE,
    Table,
    TableRow,
)
from dnslb_backend.store.database.values import LATEST_DATETIME, parse_sql_datetime, printable
from dnslb_backend.throttle import LogRateLimiter

log = logging.getLogger(__name__)

MOST_REPORTED = 5
"""So many invalid rows of a table are named; the rest is counted."""

_reported = LogRateLimiter(time.monotonic, 600.0)
"""Rows of the history are read again and again."""

_INT64 = 2**63 - 1
_SERVING = (DecisionKind.SERVE, DecisionKind.FALLBACK, DecisionKind.ALL, DecisionKind.LAST)

_FORMER_DECISIONS = {"fault": "servfail"}
"""Words that earlier versions stored."""

T = TypeVar("T")


def read_rows(
    table: Table, rows: Iterable[TableRow], read: Callable[[Mapping[str, Any]], T], *, key: str
) -> list[T]:
    """What `read` makes of each row; those for which it raises are ignored and reported.

    `key` is the column by which a report names a row.
    """
    found: list[T] = []
    invalid: list[str] = []
    for row in rows:
        columns = dict(zip(table.columns, row, strict=True))
        try:
            found.append(read(columns))
        except Exception as error:  # noqa: BLE001 -- whatever is in a row, the others count
            invalid.append(f"{printable(str(columns[key]), 64)} ({printable(repr(error), 200)})")
    if invalid:
        more = f" and {len(invalid) - MOST_REPORTED} more" if len(invalid) > MOST_REPORTED else ""
        named = ", ".join(invalid[:MOST_REPORTED])
        if _reported.admit(named) is not None:
            log.error("ignoring invalid rows of %s: %s %s%s", table.name, key, named, more)
    return found


def restore_records(
    records: Iterable[TableRow], hosts: Iterable[TableRow], states: Iterable[TableRow]
) -> dict[RecordKey, SavedRecord]:
    """The records that these rows of one node tell of."""
    hosts_of = _gather(HOST, hosts, _host_memory)
    members_of = _gather(STATE, states, _member_memory)
    bare = _gather(RECORD, records, _record_memory)
    return {
        key: replace(
            found[0], hosts=tuple(hosts_of.get(key, ())), members=tuple(members_of.get(key, ()))
        )
        for key, found in bare.items()
    }


def serials(rows: Iterable[TableRow]) -> dict[str, int]:
    """The last serial of every zone, from its row."""

    def serial(columns: Mapping[str, Any]) -> tuple[str, int]:
        return _text(columns["zone"]), _integer(columns["serial"], 0, 2**32 - 1)

    return dict(read_rows(ZONE, rows, serial, key="zone"))


def _gather(
    table: Table, rows: Iterable[TableRow], read: Callable[[Mapping[str, Any]], T]
) -> dict[RecordKey, list[T]]:
    found: dict[RecordKey, list[T]] = {}
    for key, value in read_rows(
        table, rows, lambda columns: (_key(columns), read(columns)), key="name"
    ):
        found.setdefault(key, []).append(value)
    return found


def _key(columns: Mapping[str, Any]) -> RecordKey:
    return RecordKey(_text(columns["zone"]), _text(columns["name"]), _text(columns["type"]))


def row_id(value: Any) -> int:
    """The `id` of a row of the history, 0 where there is none. Raises StoreError."""
    try:
        return _integer(0 if value is None else value)
    except ValueError as error:
        raise StoreError(f"{TRANSITION.name} has an id that is {error}") from None


# -- values: all of these raise ValueError ------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("no list of texts")
    return tuple(map(_text, value))


def _integer(value: Any, low: int = -_INT64, high: int = _INT64) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"no number from {low} to {high}")
    return value


def _integer_or_none(value: Any, low: int = -_INT64) -> int | None:
    return None if value is None else _integer(value, low)


def _seconds(value: Any) -> float:
    """Also of a clock that is not that of the wall, and may be below zero."""
    if type(value) not in (int, float) or not abs(value) <= LATEST_DATETIME:
        raise ValueError("no number of seconds")
    return float(value)


def _seconds_or_none(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _wall(value: Any) -> float | None:
    """Unix time."""
    wall = _seconds_or_none(value)
    if wall is not None and wall < 0:
        raise ValueError("a time before 1970")
    return wall


# -- rows ---------------------------------------------------------------------------------


def _record_memory(columns: Mapping[str, Any]) -> SavedRecord:
    ttl = _integer(columns["ttl"], 0, MAX_TTL)
    common, *pools = map(_pool_memory, json.loads(columns["answer"]))
    decision = Decision(
        DecisionKind(_FORMER_DECISIONS.get(columns["decision"], columns["decision"])),
        common.contents,
        _integer_or_none(columns["threshold"]),
        common.weights,
        tuple(pools),
        ttl,
    )
    if bool(decision.contents) != (decision.kind in _SERVING):
        raise ValueError("decision and answer do not fit")
    last = json.loads(columns["last_good"])
    if not isinstance(last, list):
        raise ValueError("no list")
    last_pools = [item for item in last if isinstance(item, list)]
    return SavedRecord(
        key=_key(columns),
        ttl=ttl,
        decision=decision,
        last_good=_texts([item for item in last if not isinstance(item, list)]),
        hosts=(),
        members=(),
        last_pools=tuple(map(_pool_memory, last_pools)),
    )


def _pool_memory(found: Any) -> Pool:
    """A pool as rows.py writes it down."""
    view, contents, weights, *rest = found
    pool = Pool(
        _text(view),
        _texts(contents),
        tuple(_integer(weight, 0) for weight in weights),
        rest == [True],
    )
    if pool.weights and len(pool.weights) != len(pool.contents):
        raise ValueError("not a weight for each content")
    return pool


def _host_memory(columns: Mapping[str, Any]) -> SavedHost:
    status = columns["last_answer"]
    addresses = _texts(json.loads(columns["addresses"]))
    last = None
    if status is not None:
        known = Status(status)
        held = addresses if known is Status.FOUND else ()
        last = Resolution(known, held, _text(columns["last_text"] or ""))
    return SavedHost(
        host=_text(columns["host"]),
        addresses=addresses,
        resolved=parse_sql_datetime(columns["resolved"]),
        is_answered=bool(_integer(columns["answered"])),
        last=last,
    )


def _member_memory(columns: Mapping[str, Any]) -> SavedMember:
    shown = TargetState(
        last_known=Health(columns["standing"]),
        stale=columns["health"] != columns["standing"],
        streak=_integer(columns["streak"], 0),
        priority=_integer_or_none(columns["check_priority"]),
        weight=_integer_or_none(columns["check_weight"], 0),
        result=_result(
            columns["result_code"],
            columns["result_text"],
            (_seconds_or_none(columns["duration_ms"]) or 0.0) / 1000,
        ),
        last_check=parse_sql_datetime(columns["last_check"]),
        last_change=parse_sql_datetime(columns["last_change"]),
        last_up=parse_sql_datetime(columns["last_up"]),
    )
    is_fallback = bool(_integer(columns["fallback"]))
    checks = columns["checks"]
    parts = [] if checks is None else json.loads(checks)
    states = tuple(map(_json_state, parts)) if parts else (shown,)
    return SavedMember(
        content=_text(columns["content"]),
        address=_text(columns["address"]),
        host=_text(columns["dest"]),
        effective=Health(columns["effective"]),
        priority=_integer_or_none(columns["priority"]),
        weight=_integer(columns["weight"], 0),
        is_served=bool(_integer(columns["served"])),
        views=tuple(filter(None, _text(columns["views"]).split(","))),
        is_fallback=is_fallback,
        action=Action(columns["override"]) if columns["override"] else None,
        reason=_text(columns["reason"]),
        shown=states[0] if len(states) == 1 else shown,
        states=() if is_fallback else states,
        waiting_since=_seconds_or_none(parts[0][-1][3]) if parts else None,
    )


def _result(code: Any, text: Any, seconds: Any) -> Result | None:
    if code is None:
        return None
    outcome = Outcome.FAIL
    if code == Code.PASS:
        outcome = Outcome.PASS
    elif code == Code.INTERNAL_ERROR:
        outcome = Outcome.ERROR
    said = printable(_text(text or ""), TEXT_LIMIT)
    return Result(outcome, _integer(code), said, duration=_seconds(seconds))


def _json_state(parts: Sequence[Any]) -> TargetState:
    standing, stale, streak, priority, weight, result, times, turns = parts
    check, change, up = map(_wall, times)
    flips, hold, until, _, *rest = turns
    return TargetState(
        last_known=Health(standing),
        stale=stale is True,
        streak=_integer(streak, 0),
        priority=_integer_or_none(priority),
        weight=_integer_or_none(weight, 0),
        result=_result(*result) if result else None,
        last_check=check,
        last_change=change,
        last_up=up,
        flips=tuple(map(_seconds, flips)),
        suppress_for=math.fabs(_seconds(hold)),
        suppressed_until=_seconds_or_none(until),
        undamped=Health(rest[0]) if rest and rest[0] else None,
    )
