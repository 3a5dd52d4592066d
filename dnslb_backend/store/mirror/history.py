"""Reads stored changes, newest first."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.history import (
    LARGEST_ID,
    MAX_LIMIT,
    Change,
    ChangeKind,
    HistoryQuery,
    StoredChange,
    newest,
)
from dnslb_backend.core.health.service import ServiceStatus
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.labels import label_in_json, parse_labels
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import DECISION, TRANSITION, Table, TableRow
from dnslb_backend.store.database.values import parse_sql_datetime, printable, sql_datetime
from dnslb_backend.store.mirror.reading import integer, read_rows, record_key

ROWS_PER_TURN = 50
"""So many rows are read before others get their turn on the event loop."""

_TABLES = {ChangeKind.DECISION: DECISION, ChangeKind.TRANSITION: TRANSITION}
"""Of the same time, a decision is newer than the transitions that led to it."""


async def read_history(store: Store, query: HistoryQuery) -> list[StoredChange]:
    """Newest first. Raises StoreError."""
    limit = max(1, min(query.limit, MAX_LIMIT))
    found = [
        await changes_of(kind, await store.read(_select(kind, query, limit)))
        for kind in filter(query.includes, _TABLES)
    ]
    return newest(found, limit)


def _select(kind: ChangeKind, query: HistoryQuery, limit: int) -> Select:
    where: list[Where] = []
    if query.name is not None:
        where.append(Where("name", "=", query.name))
    if query.since is not None:
        where.append(Where("at", ">=", sql_datetime(query.since)))
    if query.until is not None:
        where.append(Where("at", "<", sql_datetime(query.until)))
    if query.node is not None:
        where.append(Where("node", "=", query.node))
    if query.label is not None:
        where.append(Where("labels", "contains", label_in_json(query.label)))
    before = getattr(query.before, kind)
    if before < LARGEST_ID:
        where.append(Where("id", "<", before))
    table = _with_id(_TABLES[kind])
    return Select(table, table.columns, tuple(where), "id", is_descending=True, limit=limit)


def _with_id(table: Table) -> Table:
    return replace(table, columns=("id", *table.columns))


async def changes_of(kind: ChangeKind, rows: Sequence[TableRow]) -> list[StoredChange]:
    """Rows of a history table, each with its id before it, a slice in each turn of the event
    loop.
    """
    read: Callable[[Mapping[str, Any]], Change] = (
        _decision if kind is ChangeKind.DECISION else _transition
    )

    def stored(value: Mapping[str, Any]) -> StoredChange:
        return StoredChange(int(value["id"] or 0), str(value["node"]), read(value))

    table, found = _with_id(_TABLES[kind]), list[StoredChange]()
    for start in range(0, len(rows), ROWS_PER_TURN):
        found += read_rows(table, rows[start : start + ROWS_PER_TURN], stored, key="id")
        await asyncio.sleep(0)
    return found


def _decision(value: Mapping[str, Any]) -> DecisionChange:
    """How many members there were before is not stored."""
    counts = (integer(value[name], 0) for name in ("served", "total", "up"))
    return DecisionChange(
        at=parse_sql_datetime(value["at"]) or 0.0,
        key=record_key(value),
        before=ServiceStatus(DecisionKind(value["from_decision"])),
        after=ServiceStatus(DecisionKind(value["to_decision"]), *counts),
        reason=printable(str(value["reason"]), 1024),
    )


def _transition(value: Mapping[str, Any]) -> Transition:
    return Transition(
        at=parse_sql_datetime(value["at"]) or 0.0,
        key=record_key(value),
        content=str(value["content"]),
        address=str(value["address"]),
        from_health=Health(str(value["from_health"])),
        to_health=Health(str(value["to_health"])),
        from_served=bool(value["from_served"]),
        to_served=bool(value["to_served"]),
        from_priority=_number(value["from_priority"]),
        to_priority=_number(value["to_priority"]),
        reason=printable(str(value["reason"]), 1024),
        labels=parse_labels(str(value["labels"])),
    )


def _number(value: str | int | float | None) -> int | None:
    return None if value is None else int(value)
