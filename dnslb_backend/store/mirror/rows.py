"""From what the core knows to rows of tables; saved_rows.py is the way back. Pure.

What leaves here fits into its column: text is cut to its length and holds nothing that UTF-8 or
a line cannot carry, numbers are within 64 bits, times within four-digit years.
"""

import json
from typing import Any, NamedTuple

from dnslb_backend.core.health.decision import Pool
from dnslb_backend.core.health.saved_state import SavedHost, SavedMember, SavedRecord
from dnslb_backend.core.health.target import TargetState
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import MAX_TTL, Zone
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.store.database.tables import HOST, RECORD, STATE, Table, TableRow
from dnslb_backend.store.database.values import (
    clamp_int64,
    milliseconds,
    printable,
    row_key,
    sql_datetime,
    utf8_safe,
)

ENT = "ENT"
"""The type under which lb_static keeps a name that has only names below it."""


class Stamp(NamedTuple):
    """Whose rows these are: the node, and its present connection to the store."""

    node: str
    session: str


# -- values -------------------------------------------------------------------------------


# -- a record -----------------------------------------------------------------------------


def record_rows(record: SavedRecord, stamp: Stamp) -> list[tuple[Table, TableRow]]:
    """All rows of one balanced record: itself, its hosts, its members."""
    key = record.key
    rows: list[tuple[Table, TableRow]] = [(RECORD, _record_row(record, stamp))]
    rows += ((HOST, _host_row(key, host, stamp)) for host in record.hosts)
    ttl = min(record.ttl, MAX_TTL)
    rows += ((STATE, _state_row(key, member, ttl, stamp)) for member in record.members)
    return rows


def _record_row(record: SavedRecord, stamp: Stamp) -> TableRow:
    decision = record.decision
    answer: list[list[Any]] = [["", decision.contents, decision.weights]]
    answer += map(_pool_list, decision.pools)
    return (
        *stamp_row(stamp, *record.key),
        *record.key,
        min(record.ttl, MAX_TTL),
        str(decision.kind),
        clamp_int64(decision.threshold),
        json.dumps(answer),
        json.dumps([*record.last_good, *map(_pool_list, record.last_pools)]),
    )


def _pool_list(pool: Pool) -> list[Any]:
    return [pool.view, pool.contents, pool.weights, *([True] if pool.is_last_resort else [])]


def _host_row(key: RecordKey, host: SavedHost, stamp: Stamp) -> TableRow:
    last = host.last
    return (
        *stamp_row(stamp, *key, host.host),
        *key,
        printable(host.host, 1024),
        json.dumps(host.addresses),
        sql_datetime(host.resolved),
        int(host.is_answered),
        str(last.status) if last else None,
        printable(last.text, 255) if last else None,
    )


def _state_row(key: RecordKey, member: SavedMember, ttl: int, stamp: Stamp) -> TableRow:
    shown = member.shown
    result = shown.result
    return (
        *stamp_row(stamp, *key, member.content),
        *key,
        utf8_safe(member.content),
        printable(member.address, 255),
        printable(member.host, 1024),
        int(member.is_served),
        str(shown.health),
        str(member.effective),
        clamp_int64(member.priority),
        clamp_int64(member.weight),
        clamp_int64(result.code) if result else None,
        printable(result.text, 255) if result else None,
        str(member.action) if member.action else None,
        printable(member.reason, 1024),
        sql_datetime(shown.last_check),
        sql_datetime(shown.last_change),
        sql_datetime(shown.last_up),
        milliseconds(result.duration) if result else None,
        ttl,
        printable(",".join(member.views), 1024),
        int(member.is_fallback),
        str(shown.last_known),
        min(shown.streak, 2**31),
        clamp_int64(shown.priority),
        clamp_int64(shown.weight),
        _checks(member.states, member.waiting_since),
    )


def stamp_row(stamp: Stamp, *identity: str) -> tuple[str, str, str]:
    """The columns that every row of a node begins with."""
    return (stamp.node, row_key(*identity), stamp.session)


def _checks(states: tuple[TargetState, ...], waiting_since: float | None) -> str | None:
    """What the columns of one row cannot hold, None where they can."""
    if len(states) == 1 and not states[0].flips and waiting_since is None:
        return None
    return json.dumps([_state_json(state, waiting_since) for state in states]) if states else None


def _state_json(state: TargetState, waiting_since: float | None) -> list[Any]:
    """Times to the millisecond: finer, those of another clock would never read the same twice."""
    result = state.result
    return [
        str(state.last_known),
        state.stale,
        state.streak,
        clamp_int64(state.priority),
        clamp_int64(state.weight),
        (result.code, result.text, result.duration) if result else None,
        [_brief(state.last_check), _brief(state.last_change), _brief(state.last_up)],
        [
            list(map(_brief, state.flips)),
            state.suppress_for,
            _brief(state.suppressed_until),
            _brief(waiting_since),
            state.undamped,
        ],
    ]


def _brief(wall: float | None) -> float | None:
    return None if wall is None else round(wall, 3)


# -- zones --------------------------------------------------------------------------------


def zone_row(zone: Zone, serial: int, stamp: Stamp) -> TableRow:
    return (
        *stamp_row(stamp, zone.name),
        zone.name,
        zone.id,
        zone.soa.content(serial),
        min(zone.soa.ttl, MAX_TTL),
        serial,
    )


def static_row(zone: Zone, name: str, row: ZoneRow, stamp: Stamp) -> TableRow:
    """`name` is the canonical form of the row's own."""
    return (
        *stamp_row(stamp, zone.name, name, row.qtype, row.content),
        zone.name,
        name,
        row.qtype,
        utf8_safe(row.content),
        min(row.ttl, MAX_TTL),
        int(row.auth),
    )


# -- history ------------------------------------------------------------------------------


def transition_row(event: str, node: str, moved: Transition) -> TableRow:
    return (
        event,
        sql_datetime(moved.at),
        node,
        *moved.key,
        utf8_safe(moved.content),
        printable(moved.address, 255),
        str(moved.from_health),
        str(moved.to_health),
        int(moved.from_served),
        int(moved.to_served),
        clamp_int64(moved.from_priority),
        clamp_int64(moved.to_priority),
        printable(moved.reason, 1024),
    )
