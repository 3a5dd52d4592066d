"""Keys and metadata of signed zones, as all nodes share them.

Every item carries a version: milliseconds of the clock, but always above what it replaces. Of two
copies the higher version is kept. A deleted item stays as a row without content.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dnslb_backend.core.answers.dnssec import DnssecItem, Metadata, TsigKey, ZoneKey
from dnslb_backend.store.database.tables import KEY, METADATA, SIGNING_TABLES, TSIG, Table, TableRow
from dnslb_backend.store.database.values import printable, row_key
from dnslb_backend.store.shared.replicated_table import Codec, ReplicatedTable
from dnslb_backend.store.shared.unsupported import require_version

log = logging.getLogger(__name__)

TOMBSTONE_TTL = 2 * 365 * 86400.0
CLOCK_MARGIN = 86400.0

HIGHEST_VERSION = 2**53
"""Far in the future, and yet the versions that follow it fit into the column."""

_TABLES: Mapping[type[DnssecItem], Table] = {ZoneKey: KEY, Metadata: METADATA, TsigKey: TSIG}


@dataclass(frozen=True, slots=True)
class DnssecEntry:
    """An item as of one version; a deleted one has lost its content. Programs for a schema older
    than `min_version` cannot read it.
    """

    item: DnssecItem
    version: int
    is_deleted: bool = False
    min_version: int = 1

    @property
    def table(self) -> Table:
        return _TABLES[type(self.item)]

    @property
    def key(self) -> str:
        return row_key(*self.item.identity)

    def ended(self, wall: float) -> float | None:
        """When it was deleted, None while it is in force; whatever the time is."""
        return self.version / 1000 if self.is_deleted else None

    def row(self) -> TableRow:
        values = self._values()
        return (self.key, *values, self.version, int(self.is_deleted), self.min_version)

    def log_change(self, store: str) -> None:
        name = printable(" ".join(map(str, self.item.identity)), 300)
        done = "deleted" if self.is_deleted else "set"
        log.info("%s: %s %s %s", store, self.table.name, name, done)

    def _values(self) -> TableRow:
        item = self.item
        if isinstance(item, ZoneKey):
            active, published = int(item.active), int(item.published)
            return (item.zone, item.id, item.flags, active, published, item.content)
        if isinstance(item, Metadata):
            return (item.zone, item.kind, json.dumps(item.values))
        return (item.name, item.algorithm, item.content)


def read_row(table: Table, row: TableRow) -> DnssecEntry:
    """The entry in a row. Raises ValueError where it holds none, and UnsupportedRowError where only
    a newer program can read it.
    """
    columns: dict[str, Any] = dict(zip(table.columns, row, strict=True))
    require_version(min_version := _integer(columns["min_version"]), str(row[1]))
    try:
        item = _read_item(table, columns)
        version, is_deleted = int(columns["version"]), bool(columns["gone"])
        entry = DnssecEntry(item, version, is_deleted, min_version)
        key = entry.key
    except Exception:  # noqa: BLE001 -- whatever is in a row, the others count
        # Not chained: what is in the row is secret.
        raise ValueError("a value cannot be read") from None
    if key != row[0]:
        raise ValueError("its row_key is that of another item")
    if not 0 <= entry.version <= HIGHEST_VERSION:
        raise ValueError(f"its version is not between 0 and {HIGHEST_VERSION}")
    return entry


def _integer(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ValueError("its min_version is no number") from None


def _read_item(table: Table, columns: Mapping[str, Any]) -> DnssecItem:
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


def merge(ours: DnssecEntry, theirs: DnssecEntry) -> DnssecEntry:
    """The newer one; of two that are as old, always the same one."""
    return max(ours, theirs, key=lambda entry: (entry.version, str(entry.row())))


CODEC = Codec(
    name="keys and metadata",
    tables=SIGNING_TABLES,
    read_row=read_row,
    summary=("COUNT(*)", "MAX(version)", "SUM(version % 1000003)"),
    tombstone_ttl=TOMBSTONE_TTL,
    clock_margin=CLOCK_MARGIN,
)


class DnssecTable(ReplicatedTable[DnssecEntry]):
    """All items that this node knows, indexed for the lookups of PowerDNS."""

    def __init__(self, on_changed: Callable[[Sequence[Any]], None] = lambda _: None) -> None:
        super().__init__(CODEC, merge, on_changed)
        self._keys: dict[str, tuple[ZoneKey, ...]] = {}
        self._metadata: dict[str, dict[str, tuple[str, ...]]] = {}
        self._transfer_keys: tuple[TsigKey, ...] = ()

    def keys(self, zone: str) -> tuple[ZoneKey, ...]:
        """Those of a zone, in the order of their numbers."""
        return self._keys.get(zone, ())

    def metadata(self, zone: str) -> Mapping[str, tuple[str, ...]]:
        """The values of a zone by kind."""
        return self._metadata.get(zone, {})

    def transfer_keys(self) -> tuple[TsigKey, ...]:
        return self._transfer_keys

    def merge(self, entries: Iterable[DnssecEntry], wall: float) -> list[DnssecEntry]:
        changed = super().merge(entries, wall)
        if changed:
            self._build_index()
        return changed

    def next_version(
        self, item: DnssecItem, wall: float, *, is_deleted: bool = False
    ) -> DnssecEntry:
        """What to store, and then to merge, to set or to delete `item`."""
        version = int(wall * 1000)
        entry = DnssecEntry(_without_content(item) if is_deleted else item, version, is_deleted)
        before = self.get(entry.table, entry.key)
        if before is not None and before.version >= version:
            entry = replace(entry, version=before.version + 1)
        return entry

    def withdrawal(self, entry: DnssecEntry) -> DnssecEntry:
        """What overrules `entry`, in every copy that may have it: what is in force without it."""
        before = self.get(entry.table, entry.key)
        if before is None:
            before = DnssecEntry(_without_content(entry.item), 0, is_deleted=True)
        return replace(before, version=entry.version + 1)

    def _build_index(self) -> None:
        items = [entry.item for entry in self.entries() if not entry.is_deleted]
        keys: dict[str, list[ZoneKey]] = {}
        metadata: dict[str, dict[str, tuple[str, ...]]] = {}
        for item in items:
            if isinstance(item, ZoneKey):
                keys.setdefault(item.zone, []).append(item)
            elif isinstance(item, Metadata):
                metadata.setdefault(item.zone, {})[item.kind] = item.values
        self._keys = {
            zone: tuple(sorted(found, key=lambda key: key.id)) for zone, found in keys.items()
        }
        self._metadata = metadata
        tsig = [item for item in items if isinstance(item, TsigKey)]
        self._transfer_keys = tuple(sorted(tsig, key=lambda key: key.name))


def zones_of(entries: Iterable[DnssecEntry]) -> frozenset[str]:
    """The zones whose keys or metadata these are; keys for transfers belong to none."""
    return frozenset(entry.item.zone for entry in entries if not isinstance(entry.item, TsigKey))


def _without_content(item: DnssecItem) -> DnssecItem:
    """What stays of a deleted item."""
    if isinstance(item, ZoneKey):
        return replace(item, active=False, published=False, content="")
    if isinstance(item, Metadata):
        return replace(item, values=())
    return replace(item, content="")
