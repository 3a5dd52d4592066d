"""From what the core knows to rows of tables; recollect.py is the way back. Pure.

What leaves here fits into its column: text is cut to its length and holds nothing that UTF-8 or
a line cannot carry, numbers are within 64 bits, times within four-digit years.
"""

import json
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from dnslb_backend.core.decision import Pool
from dnslb_backend.core.health import TargetState
from dnslb_backend.core.memory import HostMemory, MemberMemory, RecordMemory
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.transitions import Transition
from dnslb_backend.core.zones import MAX_TTL, Zone
from dnslb_backend.core.zones import Row as ZoneRow
from dnslb_backend.logs import BIDI_ESCAPES
from dnslb_backend.store.tables import HOST, RECORD, STATE, Row, Table

ENT = "ENT"
"""The type under which lb_static keeps a name that has only names below it."""

LONGEST_MOMENT = 253_402_300_799.0
"""The last second of the year 9999."""

_UGLY = (
    dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\ufffd")
    | {9: " ", 10: " ", 13: " "}
    | BIDI_ESCAPES
)
_INT64 = 2**63 - 1


class Stamp(NamedTuple):
    """Whose rows these are: the node, and its present connection to the store."""

    node: str
    session: str


# -- values -------------------------------------------------------------------------------


def row_key(*parts: str) -> str:
    """Stands for `parts` in an index, whatever their length."""
    whole = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(whole, digest_size=16).hexdigest()


def moment(wall: float | None) -> str | None:
    """Unix time as UTC, to the millisecond below."""
    if wall is None:
        return None
    clamped = min(max(wall, 0.0), LONGEST_MOMENT)
    return datetime.fromtimestamp(clamped, UTC).isoformat(" ", "milliseconds")[:23]


def parse_moment(text: Any) -> float | None:
    """Unix time of a UTC time as stores give it back. Raises ValueError, also before 1970."""
    if text is None:
        return None
    wall = datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
    if wall < 0:
        raise ValueError("a time before 1970")
    return wall


def text_of(text: str, limit: int) -> str:
    """`text` without what a table or a terminal cannot take, cut to `limit` characters."""
    if not text.isprintable():
        text = text.translate(_UGLY).encode("utf-8", "replace").decode()
    return text[:limit]


def whole(text: str) -> str:
    """`text` as it is, but for what UTF-8 cannot carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def integer(number: int | None) -> int | None:
    """A plain one (no Enum) that fits into 64 bits."""
    return None if number is None else int(max(-_INT64, min(_INT64, number)))


def milliseconds(seconds: float) -> float:
    return round(min(max(seconds, 0.0), 1e9) * 1000, 3)


# -- a record -----------------------------------------------------------------------------


def record_rows(record: RecordMemory, stamp: Stamp) -> list[tuple[Table, Row]]:
    """All rows of one balanced record: itself, its hosts, its members."""
    key = record.key
    rows: list[tuple[Table, Row]] = [(RECORD, _record_row(record, stamp))]
    rows += ((HOST, _host_row(key, host, stamp)) for host in record.hosts)
    ttl = min(record.ttl, MAX_TTL)
    rows += ((STATE, _state_row(key, member, ttl, stamp)) for member in record.members)
    return rows


def _record_row(record: RecordMemory, stamp: Stamp) -> Row:
    decision = record.decision
    answer: list[list[Any]] = [["", decision.contents, decision.weights]]
    answer += map(_pool_list, decision.pools)
    return (
        *stamp_row(stamp, *record.key),
        *record.key,
        min(record.ttl, MAX_TTL),
        str(decision.kind),
        integer(decision.threshold),
        json.dumps(answer),
        json.dumps([*record.last_good, *map(_pool_list, record.last_pools)]),
    )


def _pool_list(pool: Pool) -> list[Any]:
    return [pool.view, pool.contents, pool.weights, *([True] if pool.is_resort else [])]


def _host_row(key: RecordKey, host: HostMemory, stamp: Stamp) -> Row:
    last = host.last
    return (
        *stamp_row(stamp, *key, host.host),
        *key,
        text_of(host.host, 1024),
        json.dumps(host.addresses),
        moment(host.resolved),
        int(host.is_answered),
        str(last.status) if last else None,
        text_of(last.text, 255) if last else None,
    )


def _state_row(key: RecordKey, member: MemberMemory, ttl: int, stamp: Stamp) -> Row:
    shown = member.shown
    result = shown.result
    return (
        *stamp_row(stamp, *key, member.content),
        *key,
        whole(member.content),
        text_of(member.address, 255),
        text_of(member.host, 1024),
        int(member.is_served),
        str(shown.health),
        str(member.effective),
        integer(member.priority),
        integer(member.weight),
        integer(result.code) if result else None,
        text_of(result.text, 255) if result else None,
        str(member.action) if member.action else None,
        text_of(member.reason, 1024),
        moment(shown.last_check),
        moment(shown.last_change),
        moment(shown.last_up),
        milliseconds(result.duration) if result else None,
        ttl,
        text_of(",".join(member.views), 1024),
        int(member.is_fallback),
        str(shown.standing),
        min(shown.streak, 2**31),
        integer(shown.priority),
        integer(shown.weight),
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
        str(state.standing),
        state.stale,
        state.streak,
        integer(state.priority),
        integer(state.weight),
        (result.code, result.text, result.duration) if result else None,
        [_brief(state.last_check), _brief(state.last_change), _brief(state.last_up)],
        [
            list(map(_brief, state.flips)),
            state.hold,
            _brief(state.held_until),
            _brief(waiting_since),
            state.undamped,
        ],
    ]


def _brief(wall: float | None) -> float | None:
    return None if wall is None else round(wall, 3)


# -- zones --------------------------------------------------------------------------------


def zone_row(zone: Zone, serial: int, stamp: Stamp) -> Row:
    return (
        *stamp_row(stamp, zone.name),
        zone.name,
        zone.id,
        zone.soa.content(serial),
        min(zone.soa.ttl, MAX_TTL),
        serial,
    )


def static_row(zone: Zone, name: str, row: ZoneRow, stamp: Stamp) -> Row:
    """`name` is the canonical form of the row's own."""
    return (
        *stamp_row(stamp, zone.name, name, row.qtype, row.content),
        zone.name,
        name,
        row.qtype,
        whole(row.content),
        min(row.ttl, MAX_TTL),
        int(row.auth),
    )


# -- history ------------------------------------------------------------------------------


def transition_row(event: str, node: str, moved: Transition) -> Row:
    return (
        event,
        moment(moved.at),
        node,
        *moved.key,
        whole(moved.content),
        text_of(moved.address, 255),
        str(moved.from_health),
        str(moved.to_health),
        int(moved.from_served),
        int(moved.to_served),
        integer(moved.from_priority),
        integer(moved.to_priority),
        text_of(moved.reason, 1024),
    )
