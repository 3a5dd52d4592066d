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

from dnslb_backend.core.signing import Article, Metadata, TransferKey, ZoneKey
from dnslb_backend.store.rows import row_key, text_of
from dnslb_backend.store.store import Delete, Select, Store, Upsert, Work
from dnslb_backend.store.tables import KEY, METADATA, SIGNING_TABLES, TSIG, Row, Table

log = logging.getLogger(__name__)

AFTERLIFE = 2 * 365 * 86_400_000
"""For so many milliseconds it is remembered that an article is gone."""

MARGIN = 86_400_000
"""It is passed on a little shorter, so that clocks that differ do not bring it back."""

HIGHEST_VERSION = 2**53
"""Far in the future, and yet what follows it fits into its column."""

MOST_REPORTED = 100
"""So many invalid rows are named in the log, each once."""

FULL_READ = 30
"""Every so many rounds all rows are read, even if nothing seems to have changed."""

_TABLES: Mapping[type[Article], Table] = {ZoneKey: KEY, Metadata: METADATA, TransferKey: TSIG}


@dataclass(frozen=True, slots=True)
class Entry:
    """An article as of one version; one that is gone has lost its content."""

    article: Article
    version: int
    is_gone: bool = False

    @property
    def table(self) -> Table:
        return _TABLES[type(self.article)]

    @property
    def key(self) -> tuple[str, str]:
        """Stands for the article in the book."""
        return self.table.name, row_key(*self.article.identity)

    def row(self) -> Row:
        return (row_key(*self.article.identity), *self._told(), self.version, int(self.is_gone))

    def _told(self) -> Row:
        article = self.article
        if isinstance(article, ZoneKey):
            active, published = int(article.active), int(article.published)
            return (article.zone, article.id, article.flags, active, published, article.content)
        if isinstance(article, Metadata):
            return (article.zone, article.kind, json.dumps(article.values))
        return (article.name, article.algorithm, article.content)


def entry_of(table: Table, row: Row) -> Entry:
    """The entry that a row tells of. Raises ValueError where it makes no sense."""
    columns: dict[str, Any] = dict(zip(table.columns, row, strict=True))
    try:
        entry = Entry(_article(table, columns), int(columns["version"]), bool(columns["gone"]))
        row_key_there = entry.row()[0]
    except Exception:  # noqa: BLE001 -- whatever is in a row, the others count
        # Not chained: what is in the row is secret.
        raise ValueError("a value cannot be read") from None
    if row_key_there != row[0]:
        raise ValueError("its row_key is that of something else")
    if not 0 <= entry.version <= HIGHEST_VERSION:
        raise ValueError("its version is no time")
    return entry


def _article(table: Table, columns: Mapping[str, Any]) -> Article:
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
    return TransferKey(str(columns["name"]), str(columns["algorithm"]), content)


class KeyBook:
    """All articles that this node knows of. `version` rises with every change."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self._keys: dict[str, tuple[ZoneKey, ...]] = {}
        self._metadata: dict[str, dict[str, tuple[str, ...]]] = {}
        self._transfer_keys: tuple[TransferKey, ...] = ()
        self.version = 0

    def keys(self, zone: str) -> tuple[ZoneKey, ...]:
        """Those of a zone, in the order of their numbers."""
        return self._keys.get(zone, ())

    def metadata(self, zone: str) -> Mapping[str, tuple[str, ...]]:
        """Those of a zone by kind."""
        return self._metadata.get(zone, {})

    def transfer_keys(self) -> tuple[TransferKey, ...]:
        return self._transfer_keys

    def draft(self, article: Article, wall: float, *, is_gone: bool = False) -> Entry:
        """What to write down, and then to merge, so that `article` holds (or is gone)."""
        if is_gone:
            article = _bare(article)
        entry = Entry(article, int(wall * 1000), is_gone)
        before = self._entries.get(entry.key)
        if before is not None and before.version >= entry.version:
            entry = replace(entry, version=before.version + 1)
        return entry

    def newer(self, entries: Iterable[Entry], wall: float) -> list[Entry]:
        """Those of another copy that ours lacks, or has older."""
        return [
            theirs
            for theirs in entries
            if not _is_over(theirs, wall, AFTERLIFE - MARGIN)
            and ((ours := self._entries.get(theirs.key)) is None or _rank(theirs) > _rank(ours))
        ]

    def merge(self, entries: Iterable[Entry], wall: float) -> frozenset[str]:
        """Learn what another copy has newer; the zones that this changed."""
        moved: list[Entry] = []
        for theirs in entries:
            if self.newer([theirs], wall):
                self._entries[theirs.key] = theirs
                moved.append(theirs)
        if moved:
            self.version += 1
            self._arrange()
        return frozenset(
            entry.article.zone for entry in moved if not isinstance(entry.article, TransferKey)
        )

    def rows(self, table: Table, wall: float) -> dict[str, Row]:
        """What every store should have in a table, by row_key."""
        rows = (
            entry.row()
            for entry in self._entries.values()
            if entry.table is table and not _is_over(entry, wall, AFTERLIFE - MARGIN)
        )
        return {str(row[0]): row for row in rows}

    def prune(self, wall: float) -> None:
        """Forget what went long ago."""
        for key, entry in list(self._entries.items()):
            if _is_over(entry, wall, AFTERLIFE):
                del self._entries[key]

    def _arrange(self) -> None:
        """Make what is asked for ready, so that to answer is to look up."""
        alive = [entry.article for entry in self._entries.values() if not entry.is_gone]
        keys: dict[str, list[ZoneKey]] = {}
        metadata: dict[str, dict[str, tuple[str, ...]]] = {}
        for article in alive:
            if isinstance(article, ZoneKey):
                keys.setdefault(article.zone, []).append(article)
            elif isinstance(article, Metadata):
                metadata.setdefault(article.zone, {})[article.kind] = article.values
        self._keys = {
            zone: tuple(sorted(found, key=lambda key: key.id)) for zone, found in keys.items()
        }
        self._metadata = metadata
        tsig = [article for article in alive if isinstance(article, TransferKey)]
        self._transfer_keys = tuple(sorted(tsig, key=lambda key: key.name))


def _bare(article: Article) -> Article:
    """All that stays of what is gone."""
    if isinstance(article, ZoneKey):
        return replace(article, active=False, published=False, content="")
    if isinstance(article, Metadata):
        return replace(article, values=())
    return replace(article, content="")


def _is_over(entry: Entry, wall: float, afterlife: int) -> bool:
    return entry.is_gone and wall * 1000 - entry.version > afterlife


def _rank(entry: Entry) -> tuple[int, str]:
    """The same for both sides: what is newer, and one of two that are as old."""
    return entry.version, str(entry.row())


class KeySync:
    """Brings a book and one store to the same state; cheap while nothing happens."""

    def __init__(self, book: KeyBook, store: Store) -> None:
        self._book = book
        self._store = store
        self._seen: list[list[Row]] = []
        self._sent = -1
        self._rounds = 0
        self._strange: set[str] = set()

    async def sync(self, wall: float) -> frozenset[str]:
        """Take what is new there, give what is new here; zones that changed. Raises StoreError."""
        seen = [await self._store.read(query) for query in _SUMMARIES]
        self._rounds += 1
        if seen == self._seen and self._book.version == self._sent and self._rounds % FULL_READ:
            return frozenset()
        there: list[tuple[Table, dict[str, Row]]] = []
        entries: list[Entry] = []
        for table in SIGNING_TABLES:
            rows = await self._store.read(Select(table, table.columns))
            there.append((table, {str(row[0]): row for row in rows}))
            entries += self._understood(table, rows)
        _log_news(self._store.name, self._book.newer(entries, wall))
        moved = self._book.merge(entries, wall)
        version = self._book.version
        works: list[Work] = []
        for table, rows_there in there:
            wanted = self._book.rows(table, wall)
            lacking = [row for key, row in wanted.items() if rows_there.get(key) != row]
            works += [Upsert(table, lacking)] if lacking else []
        for entry in entries:
            if _is_over(entry, wall, AFTERLIFE):
                works.append(Delete(entry.table, [(entry.row()[0],)]))
        if works:
            await self._store.write(works)
        # What the summary is after writing is known after another look.
        self._seen, self._sent = [] if works else seen, version
        return moved

    def _understood(self, table: Table, rows: Iterable[Row]) -> list[Entry]:
        found: list[Entry] = []
        for row in rows:
            try:
                found.append(entry_of(table, row))
            except ValueError as error:
                key = text_of(str(row[0]), 64)
                if key not in self._strange and len(self._strange) < MOST_REPORTED:
                    self._strange.add(key)
                    log.error("ignoring invalid row in %s (row_key %s): %s", table.name, key, error)
        return found


def _log_news(store: str, news: list[Entry]) -> None:
    """What was ordered elsewhere, or before this run; never a content."""
    for entry in news[:MOST_REPORTED]:
        what = text_of(" ".join(map(str, entry.article.identity)), 300)
        log.info("%s: %s %s %s", store, entry.table.name, what, "gone" if entry.is_gone else "set")
    if len(news) > MOST_REPORTED:
        log.info("%s: %d more keys and metadata", store, len(news) - MOST_REPORTED)


_SUMMARIES = [
    Select(table, ("COUNT(*)", "MAX(version)", "SUM(version % 1000003)"))
    for table in SIGNING_TABLES
]
