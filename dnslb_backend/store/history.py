"""What happened: transitions as they were stored, newest first."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dnslb_backend.core.events import MAX_LIMIT, Event, HistoryQuery
from dnslb_backend.core.health import Health
from dnslb_backend.core.records import RecordKey
from dnslb_backend.core.transitions import Transition
from dnslb_backend.store.recollect import read_rows
from dnslb_backend.store.rows import moment, parse_moment, text_of
from dnslb_backend.store.store import Select, Store, Where
from dnslb_backend.store.tables import TRANSITION, Row

SLICE = 50
"""So many rows are read before others get their turn on the event loop."""


_WITH_ID = replace(TRANSITION, columns=("id", *TRANSITION.columns))


async def read_history(store: Store, query: HistoryQuery) -> list[Event]:
    """Newest first. Raises StoreError."""
    where: list[Where] = []
    if query.name is not None:
        where.append(Where("name", "=", query.name))
    if query.since is not None:
        where.append(Where("at", ">=", moment(query.since)))
    if query.until is not None:
        where.append(Where("at", "<", moment(query.until)))
    if query.node is not None:
        where.append(Where("node", "=", query.node))
    if query.before is not None:
        where.append(Where("id", "<", query.before))
    limit = max(1, min(query.limit, MAX_LIMIT))
    select = Select(
        TRANSITION, _WITH_ID.columns, tuple(where), "id", is_descending=True, limit=limit
    )
    return await events_of(await store.read(select))


async def events_of(rows: Sequence[Row]) -> list[Event]:
    """What rows of lb_transition, each with its id before it, tell; read a slice at a time."""
    events: list[Event] = []
    for start in range(0, len(rows), SLICE):
        events += read_rows(_WITH_ID, rows[start : start + SLICE], _event, key="id")
        await asyncio.sleep(0)
    return events


def _event(value: Mapping[str, Any]) -> Event:
    moved = Transition(
        at=parse_moment(value["at"]) or 0.0,
        key=RecordKey(str(value["zone"]), str(value["name"]), str(value["type"])),
        content=str(value["content"]),
        address=str(value["address"]),
        from_health=Health(str(value["from_health"])),
        to_health=Health(str(value["to_health"])),
        from_served=bool(value["from_served"]),
        to_served=bool(value["to_served"]),
        from_priority=_number(value["from_priority"]),
        to_priority=_number(value["to_priority"]),
        reason=text_of(str(value["reason"]), 1024),
    )
    return Event(int(value["id"] or 0), str(value["node"]), moved)


def _number(value: str | int | float | None) -> int | None:
    return None if value is None else int(value)
