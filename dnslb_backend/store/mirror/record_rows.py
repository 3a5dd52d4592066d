"""Balanced records as rows, both ways: lb_record, lb_host, and lb_state for their members."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from dnslb_backend.core.health.decision import Decision, DecisionKind, Pool
from dnslb_backend.core.health.resolutions import Resolution, Status
from dnslb_backend.core.health.saved_state import SavedHost, SavedRecord
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.core.model.zones import MAX_TTL
from dnslb_backend.store.database.tables import HOST, RECORD, STATE, Table, TableRow
from dnslb_backend.store.database.values import (
    clamp_int64,
    parse_sql_datetime,
    printable,
    sql_datetime,
)
from dnslb_backend.store.mirror.member_rows import (
    NO_BEAT,
    LastBeat,
    MemberStamp,
    member_row,
    read_member,
)
from dnslb_backend.store.mirror.reading import (
    integer,
    integer_or_none,
    read_rows,
    record_key,
    text,
    texts,
)
from dnslb_backend.store.mirror.rows import Stamp, stamp_row

_SERVING = (
    *(DecisionKind.SERVE, DecisionKind.PANIC),
    *(DecisionKind.FALLBACK, DecisionKind.ALL, DecisionKind.LAST),
)

_FORMER_DECISIONS = {"fault": "servfail"}
"""Words that earlier versions stored."""

T = TypeVar("T")


def record_rows(record: SavedRecord, stamp: Stamp, interval: float) -> list[tuple[Table, TableRow]]:
    """All rows of one balanced record: itself, its hosts, its members; these are checked every
    `interval` seconds.
    """
    key, decision, ttl = record.key, record.decision, min(record.ttl, MAX_TTL)
    rows: list[tuple[Table, TableRow]] = [(RECORD, _record_row(record, stamp))]
    rows += ((HOST, _host_row(key, host, stamp)) for host in record.hosts)
    stated = MemberStamp(stamp, decision, ttl, interval)
    rows += ((STATE, member_row(key, each, stated)) for each in record.members)
    return rows


def _record_row(record: SavedRecord, stamp: Stamp) -> TableRow:
    decision = record.decision
    answer: list[list[Any]] = [["", decision.contents, decision.weights]]
    answer += map(_pool_json, decision.pools)
    return (
        *stamp_row(stamp, *record.key),
        *record.key,
        min(record.ttl, MAX_TTL),
        str(decision.kind),
        clamp_int64(decision.threshold),
        json.dumps(answer),
        json.dumps([*record.last_good, *map(_pool_json, record.last_pools)]),
    )


def _pool_json(pool: Pool) -> list[Any]:
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


# -- reading ------------------------------------------------------------------------------


def read_records(
    records: Iterable[TableRow],
    hosts: Iterable[TableRow],
    states: Iterable[TableRow],
    beat: LastBeat = NO_BEAT,
) -> dict[RecordKey, SavedRecord]:
    """The records in the rows of one node; invalid rows are ignored and reported."""
    hosts_of = _by_record(HOST, hosts, _read_host)
    members_of = _by_record(STATE, states, partial(read_member, beat=beat))
    bare = _by_record(RECORD, records, _read_record)
    return {
        key: replace(
            found[0], hosts=tuple(hosts_of.get(key, ())), members=tuple(members_of.get(key, ()))
        )
        for key, found in bare.items()
    }


def _by_record(
    table: Table, rows: Iterable[TableRow], read: Callable[[Mapping[str, Any]], T]
) -> dict[RecordKey, list[T]]:
    found: dict[RecordKey, list[T]] = {}
    for key, value in read_rows(
        table, rows, lambda columns: (record_key(columns), read(columns)), key="name"
    ):
        found.setdefault(key, []).append(value)
    return found


def _read_record(columns: Mapping[str, Any]) -> SavedRecord:
    ttl = integer(columns["ttl"], 0, MAX_TTL)
    common, *pools = map(read_pool, json.loads(columns["answer"]))
    decision = Decision(
        DecisionKind(_FORMER_DECISIONS.get(columns["decision"], columns["decision"])),
        common.contents,
        integer_or_none(columns["threshold"]),
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
        key=record_key(columns),
        ttl=ttl,
        decision=decision,
        last_good=texts([item for item in last if not isinstance(item, list)]),
        hosts=(),
        members=(),
        last_pools=tuple(map(read_pool, last_pools)),
    )


def read_pool(found: Any) -> Pool:
    """The answer for everybody, or for a view. Raises ValueError, or what bad values lead to."""
    view, contents, weights, *rest = found
    pool = Pool(
        text(view),
        texts(contents),
        tuple(integer(weight, 0) for weight in weights),
        rest == [True],
    )
    if pool.weights and len(pool.weights) != len(pool.contents):
        raise ValueError("not a weight for each content")
    return pool


def _read_host(columns: Mapping[str, Any]) -> SavedHost:
    status = columns["last_answer"]
    addresses = texts(json.loads(columns["addresses"]))
    last = None
    if status is not None:
        known = Status(status)
        found = addresses if known is Status.FOUND else ()
        last = Resolution(known, found, text(columns["last_text"] or ""))
    return SavedHost(
        host=text(columns["host"]),
        addresses=addresses,
        resolved=parse_sql_datetime(columns["resolved"]),
        is_answered=bool(integer(columns["answered"])),
        last=last,
    )
