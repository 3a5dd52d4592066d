"""Entries that all nodes share, kept over restarts and spread through the stores.

Each node holds all entries in memory, and a row for each in every store. Copies are merged, and a
merge gives the same whatever copies meet in whatever order, so that all of them agree in the end:
a store that lacks an entry or has it older is given it, and gives what it alone has. An entry that
has ended stays as a tombstone for a while, or a copy that was away would bring it back.

Which rows there are, how they are read and how two copies of an entry merge is up to each kind of
entry: overrides.py and dnssec.py.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, WriteOp
from dnslb_backend.store.database.tables import Table, TableRow, Value
from dnslb_backend.store.database.values import printable
from dnslb_backend.store.shared.unsupported import UnsupportedRowError, UnsupportedRowLog

log = logging.getLogger(__name__)

MOST_REPORTED = 100
"""So many changes, and so many invalid rows, are named in the log; each invalid row once."""

FULL_READ = 30
"""Every so many syncs all rows are read, even if the summary has not changed."""


class Entry(Protocol):
    """An immutable version of one row."""

    @property
    def table(self) -> Table: ...

    @property
    def key(self) -> str:
        """The first column of its row, which is the primary key of its table."""

    def row(self) -> TableRow: ...

    def ended(self, wall: float) -> float | None:
        """Since when it is a tombstone, None while it is in force; Unix time."""

    def log_change(self, store: str) -> None:
        """Log that this was read from `store` and is new here; never a secret."""


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Codec(Generic[E]):
    """How one kind of entry is stored. `name` is for the log.

    `read_row` raises UnsupportedRowError for a row that a newer program has written, and another
    ValueError for one that holds no entry; both are ignored and stay as they are.
    `summary` are expressions over a table that change with nearly every change of its rows.
    Tombstones are kept for `tombstone_ttl` seconds, and passed on for `clock_margin` less, so that
    clocks that differ do not bring back what was deleted.
    """

    name: str
    tables: tuple[Table, ...]
    read_row: Callable[[Table, TableRow], E]
    summary: tuple[str, ...]
    tombstone_ttl: float
    clock_margin: float


def _ignore(_: Sequence[Any]) -> None:
    pass


class ReplicatedTable(Generic[E]):
    """All entries of one kind that this node knows. `version` rises with every change.

    `merge_two` gives of our version of an entry and another one that which both sides will hold.
    `on_changed` is called with the entries that a store has changed here.
    """

    def __init__(
        self,
        codec: Codec[E],
        merge_two: Callable[[E, E], E],
        on_changed: Callable[[Sequence[E]], None] = _ignore,
    ) -> None:
        self.codec = codec
        self.on_changed = on_changed
        self._merge_two = merge_two
        self._entries: dict[tuple[str, str], E] = {}
        self.version = 0

    def get(self, table: Table, key: str) -> E | None:
        return self._entries.get((table.name, key))

    def entries(self) -> Iterable[E]:
        return self._entries.values()

    def merge(self, entries: Iterable[E], wall: float) -> list[E]:
        """Take in versions of entries; those by which what is in force has changed."""
        changed: list[E] = []
        for theirs in entries:
            if self._is_past(theirs, wall, self.codec.tombstone_ttl - self.codec.clock_margin):
                continue
            ours = self.get(theirs.table, theirs.key)
            merged = theirs if ours is None else self._merge_two(ours, theirs)
            if merged == ours:
                continue
            self._entries[theirs.table.name, theirs.key] = merged
            self.version += 1
            was_in_force = ours is not None and ours.ended(wall) is None
            if was_in_force or merged.ended(wall) is None:
                changed.append(merged)
        return changed

    def rows(self, wall: float) -> dict[Table, dict[str, TableRow]]:
        """What every store should have in each table, by key."""
        found: dict[Table, dict[str, TableRow]] = {table: {} for table in self.codec.tables}
        for entry in self._entries.values():
            if not self._is_past(entry, wall, self.codec.tombstone_ttl - self.codec.clock_margin):
                found[entry.table][entry.key] = entry.row()
        return found

    def prune(self, wall: float) -> None:
        """Forget tombstones that have been kept for long enough."""
        for key, entry in list(self._entries.items()):
            if self.is_expired(entry, wall):
                del self._entries[key]

    def is_expired(self, entry: E, wall: float) -> bool:
        """Whether it is a tombstone that no store has to keep any longer."""
        return self._is_past(entry, wall, self.codec.tombstone_ttl)

    def _is_past(self, entry: E, wall: float, age: float) -> bool:
        ended = entry.ended(wall)
        return ended is not None and wall - ended > age


class TableSync(Generic[E]):
    """Brings a table and one store to the same state; cheap while nothing changes.

    A store that `is_read_only` is only read.
    """

    def __init__(
        self, table: ReplicatedTable[E], store: Store, *, is_read_only: bool = False
    ) -> None:
        self._table = table
        self._store = store
        self._is_read_only = is_read_only
        self._summary: list[list[TableRow]] = []
        self._sent_version = -1
        self._sync_count = 0
        self._invalid: set[tuple[str, str]] = set()
        self.unsupported = UnsupportedRowLog(store.name)

    @property
    def name(self) -> str:
        return self._table.codec.name

    async def sync(self, wall: float) -> None:
        """Read what is new in the store, and write what is new here. Raises StoreError."""
        codec = self._table.codec
        summary = [await self._store.read(Select(t, codec.summary)) for t in codec.tables]
        self._sync_count += 1
        is_unchanged = summary == self._summary and self._table.version == self._sent_version
        if is_unchanged and self._sync_count % FULL_READ:
            return
        rows = {t: await self._store.read(Select(t, t.columns)) for t in codec.tables}
        entries = self._read_entries(rows)
        changed = self._table.merge(entries, wall)
        if changed:
            self._log_changes(changed)
            self._table.on_changed(changed)
        version = self._table.version
        works = [] if self._is_read_only else self._writes(rows, entries, wall)
        if works:
            await self._store.write(works)
        # Only another read will show what the summary is after a write.
        self._summary, self._sent_version = [] if works else summary, version

    def _writes(
        self, rows: Mapping[Table, Sequence[TableRow]], entries: Iterable[E], wall: float
    ) -> list[WriteOp]:
        works: list[WriteOp] = []
        for table, wanted in self._table.rows(wall).items():
            stored = {str(row[0]): row for row in rows[table]}
            newer = self.unsupported.keys(table)
            lacking = [
                row for key, row in wanted.items() if stored.get(key) != row and key not in newer
            ]
            works += [Upsert(table, lacking)] if lacking else []
        expired: dict[Table, list[tuple[Value, ...]]] = {}
        for entry in entries:
            if self._table.is_expired(entry, wall):
                expired.setdefault(entry.table, []).append((entry.key,))
        works += (Delete(table, keys) for table, keys in expired.items())
        return works

    def _read_entries(self, rows: Mapping[Table, Sequence[TableRow]]) -> list[E]:
        found: list[E] = []
        unsupported: dict[Table, dict[str, str]] = {}
        for table, in_table in rows.items():
            for row in in_table:
                try:
                    found.append(self._table.codec.read_row(table, row))
                except UnsupportedRowError as error:
                    unsupported.setdefault(table, {})[str(row[0])] = str(error)
                except ValueError as error:
                    self._report_invalid(table, printable(str(row[0]), 64), error)
        self.unsupported.replace(unsupported)
        return found

    def _report_invalid(self, table: Table, key: str, error: ValueError) -> None:
        if (table.name, key) in self._invalid or len(self._invalid) >= MOST_REPORTED:
            return
        self._invalid.add((table.name, key))
        log.error("ignoring invalid row in %s (%s %s): %s", table.name, table.key[0], key, error)

    def _log_changes(self, changed: Sequence[E]) -> None:
        """What was done on other nodes, or before this run."""
        for entry in changed[:MOST_REPORTED]:
            entry.log_change(self._store.name)
        if len(changed) > MOST_REPORTED:
            more = len(changed) - MOST_REPORTED
            log.info("%s: %d more changes of %s", self._store.name, more, self.name)
