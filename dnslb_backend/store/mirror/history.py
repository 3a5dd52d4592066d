"""Reads stored transitions, newest first."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dnslb_backend.core.health.history import MAX_LIMIT, HistoryQuery, StoredTransition
from dnslb_backend.core.health.target import Health
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.labels import label_in_json, parse_labels
from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.store.database.interface import Select, Store, Where
from dnslb_backend.store.database.tables import TRANSITION, TableRow
from dnslb_backend.store.database.values import parse_sql_datetime, printable, sql_datetime
from dnslb_backend.store.mirror.reading import read_rows

ROWS_PER_TURN = 50
"""So many rows are read before others get their turn on the event loop."""


_WITH_ID = replace(TRANSITION, columns=("id", *TRANSITION.columns))


async def read_history(store: Store, query: HistoryQuery) -> list[StoredTransition]:
    """Newest first. Raises StoreError."""
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
    if query.before is not None:
        where.append(Where("id", "<", query.before))
    limit = max(1, min(query.limit, MAX_LIMIT))
    select = Select(
        TRANSITION, _WITH_ID.columns, tuple(where), "id", is_descending=True, limit=limit
    )
    return await transitions_of(await store.read(select))


async def transitions_of(rows: Sequence[TableRow]) -> list[StoredTransition]:
    """Rows of lb_transition, each with its id before it, a slice in each turn of the event loop."""
    events: list[StoredTransition] = []
    for start in range(0, len(rows), ROWS_PER_TURN):
        events += read_rows(_WITH_ID, rows[start : start + ROWS_PER_TURN], _transition, key="id")
        await asyncio.sleep(0)
    return events


def _transition(value: Mapping[str, Any]) -> StoredTransition:
    moved = Transition(
        at=parse_sql_datetime(value["at"]) or 0.0,
        key=RecordKey(str(value["zone"]), str(value["name"]), str(value["type"])),
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
    return StoredTransition(int(value["id"] or 0), str(value["node"]), moved)


def _number(value: str | int | float | None) -> int | None:
    return None if value is None else int(value)
