"""Zones, static rows and changes as rows of tables; records are in record_rows.py. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.history import Change
from dnslb_backend.core.health.transitions import Transition
from dnslb_backend.core.model.labels import render_labels
from dnslb_backend.core.model.zones import MAX_TTL, Zone
from dnslb_backend.core.model.zones import ResourceRecord as ZoneRow
from dnslb_backend.store.database.tables import ZONE, TableRow
from dnslb_backend.store.database.values import (
    clamp_int64,
    printable,
    row_key,
    sql_datetime,
    utf8_safe,
)
from dnslb_backend.store.mirror.reading import integer, read_rows, text

ENT = "ENT"
"""The type by which lb_static holds a name that has only names below it."""


class Stamp(NamedTuple):
    """Whose rows these are: the node, and its present connection to the store."""

    node: str
    session: str


def stamp_row(stamp: Stamp, *identity: str) -> tuple[str, str, str]:
    """The columns that every row of a node begins with."""
    return (stamp.node, row_key(*identity), stamp.session)


def zone_row(zone: Zone, serial: int, stamp: Stamp) -> TableRow:
    return (
        *stamp_row(stamp, zone.name),
        zone.name,
        zone.id,
        zone.soa.content(serial),
        min(zone.soa.ttl, MAX_TTL),
        serial,
    )


def read_serials(rows: Iterable[TableRow]) -> dict[str, int]:
    """The last serial of every zone, from its row."""

    def serial(columns: Mapping[str, Any]) -> tuple[str, int]:
        return text(columns["zone"]), integer(columns["serial"], 0, 2**32 - 1)

    return dict(read_rows(ZONE, rows, serial, key="zone"))


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


def change_row(event: str, node: str, change: Change) -> TableRow:
    """The row of a history table; `event` is its name in every store."""
    if isinstance(change, DecisionChange):
        return decision_row(event, node, change)
    return transition_row(event, node, change)


def decision_row(event: str, node: str, change: DecisionChange) -> TableRow:
    after = change.after
    return (
        event,
        sql_datetime(change.at),
        node,
        *change.key,
        str(change.before.kind),
        str(after.kind),
        str(after.severity),
        after.served,
        after.total,
        after.up,
        printable(change.reason, 1024),
    )


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
        render_labels(moved.labels),
    )
