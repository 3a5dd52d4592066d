"""What operators said, kept over restarts and spread to every node through the stores.

An order never changes; it can only be cleared, and that is for ever. So whatever copies meet,
in whatever order, they agree: a store that lacks an order or its end is given it, and gives what
it alone has. Orders that have ended stay for a while, so that every node hears of their end.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dnslb_backend.core.health.overrides import Action, Override
from dnslb_backend.logs import fields
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert
from dnslb_backend.store.database.tables import OVERRIDE, TableRow
from dnslb_backend.store.database.values import parse_sql_datetime, printable, sql_datetime

log = logging.getLogger(__name__)

TOMBSTONE_TTL = 30 * 86400.0
"""For so many seconds an order that has ended is kept and passed on."""

MARGIN = 3600.0
"""It is passed on a little shorter, so that clocks that differ do not bring it back."""

MOST_REPORTED = 100
"""So many invalid rows are named in the log, each once."""

FULL_READ = 30
"""Every so many rounds all rows are read, even if nothing seems to have changed."""


@dataclass(frozen=True, slots=True)
class OverrideEntry:
    """An order, and when and by whom it was cleared; Unix time."""

    override: Override
    cleared: float | None = None
    cleared_by: str = ""

    def is_live(self, wall: float) -> bool:
        return self.cleared is None and self.override.is_live(wall)

    def ended(self, wall: float) -> float | None:
        """When it ended, None while it lives."""
        if self.is_live(wall):
            return None
        ends = [end for end in (self.cleared, self.override.expires) if end is not None]
        return min(ends)

    def row(self) -> TableRow:
        override = self.override
        return (
            override.id,
            override.node,
            printable(override.target, 1024),
            override.zone,
            override.name,
            str(override.action),
            printable(override.reason, 1024),
            printable(override.author, 255),
            sql_datetime(override.created),
            sql_datetime(override.expires),
            sql_datetime(self.cleared),
            printable(self.cleared_by, 255),
        )


def entry_of(row: TableRow) -> OverrideEntry:
    """The order that a row tells of. Raises ValueError where it makes no sense."""
    columns = {name: "" if value is None else str(value) for name, value in _named(row)}
    times = {name: parse_sql_datetime(value) for name, value in _named(row) if name in _TIMES}
    if not columns["target"]:
        raise ValueError("it has no target")
    override = Override(
        id=columns["id"],
        target=printable(columns["target"], 1024),
        action=Action(columns["action"]),
        zone=columns["zone"],
        name=columns["name"],
        node=columns["node"],
        reason=printable(columns["reason"], 1024),
        author=printable(columns["author"], 255),
        created=times["created"] or 0.0,
        expires=times["expires"],
    )
    return OverrideEntry(override, times["cleared"], printable(columns["cleared_by"], 255))


_TIMES = {"created", "expires", "cleared"}


def _named(row: TableRow) -> Iterable[tuple[str, str | int | float | None]]:
    return zip(OVERRIDE.columns, row, strict=True)


class OverrideTable:
    """All orders that this node knows of. `version` rises with every change."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._entries: dict[str, OverrideEntry] = {}
        self.version = 0

    def live(self, wall: float) -> tuple[Override, ...]:
        """What holds on this node now, oldest first."""
        return tuple(
            override for override in self.everywhere(wall) if override.node in ("", self._node)
        )

    def everywhere(self, wall: float) -> list[Override]:
        """What holds now on any node, oldest first."""
        overrides = [entry.override for entry in self._entries.values() if entry.is_live(wall)]
        return sorted(overrides, key=lambda override: (override.created, override.id))

    def add(self, override: Override) -> Override:
        """Take up a new order; the one that is returned is as it will be stored."""
        stored = entry_of(OverrideEntry(override).row()).override
        self._entries[stored.id] = OverrideEntry(stored)
        self.version += 1
        return stored

    def clear(self, ids: Iterable[str], wall: float, author: str) -> None:
        for number in ids:
            self._entries[number] = replace(self._entries[number], cleared=wall, cleared_by=author)
            self.version += 1

    def merge(self, entries: Iterable[OverrideEntry], wall: float) -> list[OverrideEntry]:
        """Learn what another copy has that ours lacks; those that begin or end here with it."""
        changed: list[OverrideEntry] = []
        for theirs in entries:
            ended = theirs.ended(wall)
            if ended is not None and wall - ended > TOMBSTONE_TTL - MARGIN:
                continue
            ours = self._entries.get(theirs.override.id)
            merged = theirs if ours is None else _merged(ours, theirs)
            if merged != ours:
                self._entries[theirs.override.id] = merged
                self.version += 1
                if merged.is_live(wall) != (ours is not None and ours.is_live(wall)):
                    changed.append(merged)
        return changed

    def rows(self, wall: float) -> dict[str, TableRow]:
        """What every store should have, by id."""
        return {
            number: entry.row()
            for number, entry in self._entries.items()
            if (ended := entry.ended(wall)) is None or wall - ended <= TOMBSTONE_TTL - MARGIN
        }

    def prune(self, wall: float) -> None:
        """Forget what ended long ago."""
        for entry in list(self._entries.values()):
            if _is_over(entry, wall):
                del self._entries[entry.override.id]


def _log_changes(store: str, changed: list[OverrideEntry]) -> None:
    """What operators did elsewhere, or before this run."""
    for entry in changed[:MOST_REPORTED]:
        override = entry.override
        is_clear = entry.cleared is not None
        log.info(
            "%s: %s: %s %s%s%s%s",
            store,
            printable((entry.cleared_by if is_clear else override.author) or "unknown", 64),
            "clear" if is_clear else override.action,
            printable(override.target, 256),
            f" for {printable(override.name, 255)}" if override.name else "",
            f" on {printable(override.node, 255)}" if override.node else "",
            f" ({printable(override.reason, 256)})" if override.reason else "",
            extra=fields(id=printable(override.id, 64)),
        )
    if len(changed) > MOST_REPORTED:
        log.info("%s: %d more orders", store, len(changed) - MOST_REPORTED)


def _is_over(entry: OverrideEntry, wall: float) -> bool:
    ended = entry.ended(wall)
    return ended is not None and wall - ended > TOMBSTONE_TTL


def _merged(ours: OverrideEntry, theirs: OverrideEntry) -> OverrideEntry:
    """The same for both sides: the end that came first, and one of two wordings."""
    override = min(ours, theirs, key=lambda entry: str(replace(entry, cleared=None).row())).override
    ends = [entry for entry in (ours, theirs) if entry.cleared is not None]
    if not ends:
        return OverrideEntry(override)
    first = min(ends, key=lambda entry: (entry.cleared or 0.0, entry.cleared_by))
    return OverrideEntry(override, first.cleared, first.cleared_by)


class OverrideSync:
    """Brings a table and one store to the same state; cheap while nothing happens."""

    def __init__(self, table: OverrideTable, store: Store) -> None:
        self._table = table
        self._store = store
        self._seen: list[TableRow] = []
        self._sent = -1
        self._sync_count = 0
        self._invalid: set[str] = set()

    async def sync(self, wall: float) -> None:
        """Take what is new there, give what is new here. Raises StoreError."""
        summary = Select(OVERRIDE, ("COUNT(*)", "COUNT(cleared)", "MAX(created)", "MAX(cleared)"))
        seen = await self._store.read(summary)
        self._sync_count += 1
        if (
            seen == self._seen
            and self._table.version == self._sent
            and self._sync_count % FULL_READ
        ):
            return
        there = {str(row[0]): row for row in await self._store.read(_ALL)}
        entries = self._parsed(there)
        _log_changes(self._store.name, self._table.merge(entries, wall))
        version, wanted = self._table.version, self._table.rows(wall)
        lacking = [row for number, row in wanted.items() if there.get(number) != row]
        over = [(entry.override.id,) for entry in entries if _is_over(entry, wall)]
        if lacking or over:
            await self._store.write([Upsert(OVERRIDE, lacking), Delete(OVERRIDE, over)])
            # What the summary is now is known after another look.
            seen = []
        self._seen, self._sent = seen, version

    def _parsed(self, rows: dict[str, TableRow]) -> list[OverrideEntry]:
        found = []
        for number, row in rows.items():
            try:
                found.append(entry_of(row))
            except ValueError as error:
                if number not in self._invalid and len(self._invalid) < MOST_REPORTED:
                    self._invalid.add(number)
                    log.error(
                        "ignoring invalid row in lb_override (id %s): %s",
                        printable(number, 64),
                        error,
                    )
        return found


_ALL = Select(OVERRIDE, OVERRIDE.columns)
