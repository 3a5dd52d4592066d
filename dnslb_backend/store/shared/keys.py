"""Keys and metadata of signed zones, kept over restarts and spread to every node.

Every article carries a version: milliseconds of the clock, but always above what it replaces. Of
two copies the higher version holds, so that whatever copies meet, in whatever order, they agree.
What is gone stays as a row without content, or a node that was away would bring it back.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dnslb_backend.core.answers.dnssec import DnssecItem, Metadata, TsigKey, ZoneKey
from dnslb_backend.store.database.interface import Delete, Select, Store, Upsert, WriteOp
from dnslb_backend.store.database.tables import KEY, METADATA, SIGNING_TABLES, TSIG, Table, TableRow
from dnslb_backend.store.database.values import printable, row_key

log = logging.getLogger(__name__)

TOMBSTONE_TTL = 2 * 365 * 86_400_000
"""For so many milliseconds it is remembered that an article is gone."""

MARGIN = 86_400_000
"""It is passed on a little shorter, so that clocks that differ do not bring it back."""

HIGHEST_VERSION = 2**53
"""Far in the future, and yet what follows it fits into its column."""

MOST_REPORTED = 100
"""So many invalid rows are named in the log, each once."""

FULL_READ = 30
"""Every so many rounds all rows are read, even if nothing seems to have changed."""

_TABLES: Mapping[type[DnssecItem], Table] = {ZoneKey: KEY, Metadata: METADATA, TsigKey: TSIG}


@dataclass(frozen=True, slots=True)
class DnssecEntry:
    """An article as of one version; one that is gone has lost its content."""

    item: DnssecItem
    version: int
    is_deleted: bool = False

    @property
    def table(self) -> Table:
        return _TABLES[type(self.item)]

    @property
    def key(self) -> tuple[str, str]:
        """Stands for the article in the table."""
        return self.table.name, row_key(*self.item.identity)

    def row(self) -> TableRow:
        return (row_key(*self.item.identity), *self._values(), self.version, int(self.is_deleted))

    def _values(self) -> TableRow:
        item = self.item
        if isinstance(item, ZoneKey):
            active, published = int(item.active), int(item.published)
            return (item.zone, item.id, item.flags, active, published, item.content)
        if isinstance(item, Metadata):
            return (item.zone, item.kind, json.dumps(item.values))
        return (item.name, item.algorithm, item.content)


def entry_of(table: Table, row: TableRow) -> DnssecEntry:
    """The entry that a row tells of. Raises ValueError where it makes no sense."""
    columns: dict[str, Any] = dict(zip(table.columns, row, strict=True))
    try:
        entry = DnssecEntry(_item(table, columns), int(columns["version"]), bool(columns["gone"]))
        row_key_there = entry.row()[0]
    except Exception:  # noqa: BLE001 -- whatever is in a row, the others count
        # Not chained: what is in the row is secret.
        raise ValueError("a value cannot be read") from None
    if row_key_there != row[0]:
        raise ValueError("its row_key is that of something else")
    if not 0 <= entry.version <= HIGHEST_VERSION:
        raise ValueError("its version is no time")
    return entry


def _item(table: Table, columns: Mapping[str, Any]) -> DnssecItem:
    content = str(columns["content"])
    if table is KEY:
        return ZoneKey(
            str(columns["zone"]),
            int(columns["id"]),
            int(columns["flags"]),
            bool(columns["active"]),
            bool(columns["published"]),
            content,
        )
    if table is METADATA:
        values = json.loads(content)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise ValueError("no list of texts")
        return Metadata(str(columns["zone"]), str(columns["kind"]), tuple(values))
    return TsigKey(str(columns["name"]), str(columns["algorithm"]), content)


class DnssecTable:
    """All articles that this node knows of. `version` rises with every change."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], DnssecEntry] = {}
        self._keys: dict[str, tuple[ZoneKey, ...]] = {}
        self._metadata: dict[str, dict[str, tuple[str, ...]]] = {}
        self._transfer_keys: tuple[TsigKey, ...] = ()
        self.version = 0

    def keys(self, zone: str) -> tuple[ZoneKey, ...]:
        """Those of a zone, in the order of their numbers."""
        return self._keys.get(zone, ())

    def metadata(self, zone: str) -> Mapping[str, tuple[str, ...]]:
        """Those of a zone by kind."""
        return self._metadata.get(zone, {})

    def transfer_keys(self) -> tuple[TsigKey, ...]:
        return self._transfer_keys

    def next_version(
        self, item: DnssecItem, wall: float, *, is_deleted: bool = False
    ) -> DnssecEntry:
        """What to write down, and then to merge, so that `item` holds (or is gone)."""
        if is_deleted:
            item = _bare(item)
        entry = DnssecEntry(item, int(wall * 1000), is_deleted)
        before = self._entries.get(entry.key)
        if before is not None and before.version >= entry.version:
            entry = replace(entry, version=before.version + 1)
        return entry

    def newer(self, entries: Iterable[DnssecEntry], wall: float) -> list[DnssecEntry]:
        """Those of another copy that ours lacks, or has older."""
        return [
            theirs
            for theirs in entries
            if not _is_over(theirs, wall, TOMBSTONE_TTL - MARGIN)
            and ((ours := self._entries.get(theirs.key)) is None or _rank(theirs) > _rank(ours))
        ]

    def merge(self, entries: Iterable[DnssecEntry], wall: float) -> frozenset[str]:
        """Learn what another copy has newer; the zones that this changed."""
        moved: list[DnssecEntry] = []
        for theirs in entries:
            if self.newer([theirs], wall):
                self._entries[theirs.key] = theirs
                moved.append(theirs)
        if moved:
            self.version += 1
            self._arrange()
        return frozenset(entry.item.zone for entry in moved if not isinstance(entry.item, TsigKey))

    def rows(self, table: Table, wall: float) -> dict[str, TableRow]:
        """What every store should have in a table, by row_key."""
        rows = (
            entry.row()
            for entry in self._entries.values()
            if entry.table is table and not _is_over(entry, wall, TOMBSTONE_TTL - MARGIN)
        )
        return {str(row[0]): row for row in rows}

    def prune(self, wall: float) -> None:
        """Forget what went long ago."""
        for key, entry in list(self._entries.items()):
            if _is_over(entry, wall, TOMBSTONE_TTL):
                del self._entries[key]

    def _arrange(self) -> None:
        """Make what is asked for ready, so that to answer is to look up."""
        alive = [entry.item for entry in self._entries.values() if not entry.is_deleted]
        keys: dict[str, list[ZoneKey]] = {}
        metadata: dict[str, dict[str, tuple[str, ...]]] = {}
        for item in alive:
            if isinstance(item, ZoneKey):
                keys.setdefault(item.zone, []).append(item)
            elif isinstance(item, Metadata):
                metadata.setdefault(item.zone, {})[item.kind] = item.values
        self._keys = {
            zone: tuple(sorted(found, key=lambda key: key.id)) for zone, found in keys.items()
        }
        self._metadata = metadata
        tsig = [item for item in alive if isinstance(item, TsigKey)]
        self._transfer_keys = tuple(sorted(tsig, key=lambda key: key.name))


def _bare(item: DnssecItem) -> DnssecItem:
    """All that stays of what is gone."""
    if isinstance(item, ZoneKey):
        return replace(item, active=False, published=False, content="")
    if isinstance(item, Metadata):
        return replace(item, values=())
    return replace(item, content="")


def _is_over(entry: DnssecEntry, wall: float, afterlife: int) -> bool:
    return entry.is_deleted and wall * 1000 - entry.version > afterlife


def _rank(entry: DnssecEntry) -> tuple[int, str]:
    """The same for both sides: what is newer, and one of two that are as old."""
    return entry.version, str(entry.row())


class DnssecSync:
    """Brings a table and one store to the same state; cheap while nothing happens."""

    def __init__(self, table: DnssecTable, store: Store) -> None:
        self._table = table
        self._store = store
        self._seen: list[list[TableRow]] = []
        self._sent = -1
        self._sync_count = 0
        self._invalid: set[str] = set()

    async def sync(self, wall: float) -> frozenset[str]:
        """Take what is new there, give what is new here; zones that changed. Raises StoreError."""
        seen = [await self._store.read(query) for query in _SUMMARIES]
        self._sync_count += 1
        if (
            seen == self._seen
            and self._table.version == self._sent
            and self._sync_count % FULL_READ
        ):
            return frozenset()
        there: list[tuple[Table, dict[str, TableRow]]] = []
        entries: list[DnssecEntry] = []
        for table in SIGNING_TABLES:
            rows = await self._store.read(Select(table, table.columns))
            there.append((table, {str(row[0]): row for row in rows}))
            entries += self._parsed(table, rows)
        _log_changes(self._store.name, self._table.newer(entries, wall))
        moved = self._table.merge(entries, wall)
        version = self._table.version
        works: list[WriteOp] = []
        for table, rows_there in there:
            wanted = self._table.rows(table, wall)
            lacking = [row for key, row in wanted.items() if rows_there.get(key) != row]
            works += [Upsert(table, lacking)] if lacking else []
        for entry in entries:
            if _is_over(entry, wall, TOMBSTONE_TTL):
                works.append(Delete(entry.table, [(entry.row()[0],)]))
        if works:
            await self._store.write(works)
        # What the summary is after writing is known after another look.
        self._seen, self._sent = [] if works else seen, version
        return moved

    def _parsed(self, table: Table, rows: Iterable[TableRow]) -> list[DnssecEntry]:
        found: list[DnssecEntry] = []
        for row in rows:
            try:
                found.append(entry_of(table, row))
            except ValueError as error:
                key = printable(str(row[0]), 64)
                if key not in self._invalid and len(self._invalid) < MOST_REPORTED:
                    self._invalid.add(key)
                    log.error("ignoring invalid row in %s (row_key %s): %s", table.name, key, error)
        return found


def _log_changes(store: str, changed: list[DnssecEntry]) -> None:
    """What was ordered elsewhere, or before this run; never a content."""
    for entry in changed[:MOST_REPORTED]:
        what = printable(" ".join(map(str, entry.item.identity)), 300)
        log.info(
            "%s: %s %s %s", store, entry.table.name, what, "gone" if entry.is_deleted else "set"
        )
    if len(changed) > MOST_REPORTED:
        log.info("%s: %d more keys and metadata", store, len(changed) - MOST_REPORTED)


_SUMMARIES = [
    Select(table, ("COUNT(*)", "MAX(version)", "SUM(version % 1000003)"))
    for table in SIGNING_TABLES
]
