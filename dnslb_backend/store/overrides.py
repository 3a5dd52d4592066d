"""What operators said, kept over restarts and spread to every node through the stores.

An order never changes; it can only be cleared, and that is for ever. So whatever copies meet,
in whatever order, they agree: a store that lacks an order or its end is given it, and gives what
it alone has. Orders that have ended stay for a while, so that every node hears of their end.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dnslb_backend.core.overrides import Action, Override
from dnslb_backend.logs import fields
from dnslb_backend.store.rows import moment, parse_moment, text_of
from dnslb_backend.store.store import Delete, Select, Store, Upsert
from dnslb_backend.store.tables import OVERRIDE, Row

log = logging.getLogger(__name__)

AFTERLIFE = 30 * 86400.0
"""For so many seconds an order that has ended is kept and passed on."""

MARGIN = 3600.0
"""It is passed on a little shorter, so that clocks that differ do not bring it back."""

MOST_REPORTED = 100
"""So many invalid rows are named in the log, each once."""

FULL_READ = 30
"""Every so many rounds all rows are read, even if nothing seems to have changed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An order, and when and by whom it was cleared; Unix time."""

    order: Override
    cleared: float | None = None
    cleared_by: str = ""

    def is_live(self, wall: float) -> bool:
        return self.cleared is None and self.order.is_live(wall)

    def ended(self, wall: float) -> float | None:
        """When it ended, None while it lives."""
        if self.is_live(wall):
            return None
        ends = [end for end in (self.cleared, self.order.expires) if end is not None]
        return min(ends)

    def row(self) -> Row:
        order = self.order
        return (
            order.id,
            order.node,
            text_of(order.target, 1024),
            order.zone,
            order.name,
            str(order.action),
            text_of(order.reason, 1024),
            text_of(order.author, 255),
            moment(order.created),
            moment(order.expires),
            moment(self.cleared),
            text_of(self.cleared_by, 255),
        )


def entry_of(row: Row) -> Entry:
    """The order that a row tells of. Raises ValueError where it makes no sense."""
    columns = {name: "" if value is None else str(value) for name, value in _named(row)}
    times = {name: parse_moment(value) for name, value in _named(row) if name in _TIMES}
    if not columns["target"]:
        raise ValueError("it has no target")
    order = Override(
        id=columns["id"],
        target=text_of(columns["target"], 1024),
        action=Action(columns["action"]),
        zone=columns["zone"],
        name=columns["name"],
        node=columns["node"],
        reason=text_of(columns["reason"], 1024),
        author=text_of(columns["author"], 255),
        created=times["created"] or 0.0,
        expires=times["expires"],
    )
    return Entry(order, times["cleared"], text_of(columns["cleared_by"], 255))


_TIMES = {"created", "expires", "cleared"}


def _named(row: Row) -> Iterable[tuple[str, str | int | float | None]]:
    return zip(OVERRIDE.columns, row, strict=True)


class OverrideBook:
    """All orders that this node knows of. `version` rises with every change."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._entries: dict[str, Entry] = {}
        self.version = 0

    def live(self, wall: float) -> tuple[Override, ...]:
        """What holds on this node now, oldest first."""
        return tuple(order for order in self.everywhere(wall) if order.node in ("", self._node))

    def everywhere(self, wall: float) -> list[Override]:
        """What holds now on any node, oldest first."""
        orders = [entry.order for entry in self._entries.values() if entry.is_live(wall)]
        return sorted(orders, key=lambda order: (order.created, order.id))

    def add(self, order: Override) -> Override:
        """Take up a new order; the one that is returned is as it will be stored."""
        stored = entry_of(Entry(order).row()).order
        self._entries[stored.id] = Entry(stored)
        self.version += 1
        return stored

    def clear(self, ids: Iterable[str], wall: float, author: str) -> None:
        for number in ids:
            self._entries[number] = replace(self._entries[number], cleared=wall, cleared_by=author)
            self.version += 1

    def merge(self, entries: Iterable[Entry], wall: float) -> list[Entry]:
        """Learn what another copy has that ours lacks; those that begin or end here with it."""
        news: list[Entry] = []
        for theirs in entries:
            ended = theirs.ended(wall)
            if ended is not None and wall - ended > AFTERLIFE - MARGIN:
                continue
            ours = self._entries.get(theirs.order.id)
            merged = theirs if ours is None else _merged(ours, theirs)
            if merged != ours:
                self._entries[theirs.order.id] = merged
                self.version += 1
                if merged.is_live(wall) != (ours is not None and ours.is_live(wall)):
                    news.append(merged)
        return news

    def rows(self, wall: float) -> dict[str, Row]:
        """What every store should have, by id."""
        return {
            number: entry.row()
            for number, entry in self._entries.items()
            if (ended := entry.ended(wall)) is None or wall - ended <= AFTERLIFE - MARGIN
        }

    def prune(self, wall: float) -> None:
        """Forget what ended long ago."""
        for entry in list(self._entries.values()):
            if _is_over(entry, wall):
                del self._entries[entry.order.id]


def _log_news(store: str, news: list[Entry]) -> None:
    """What operators did elsewhere, or before this run."""
    for entry in news[:MOST_REPORTED]:
        order = entry.order
        is_clear = entry.cleared is not None
        log.info(
            "%s: %s: %s %s%s%s%s",
            store,
            text_of((entry.cleared_by if is_clear else order.author) or "unknown", 64),
            "clear" if is_clear else order.action,
            text_of(order.target, 256),
            f" for {text_of(order.name, 255)}" if order.name else "",
            f" on {text_of(order.node, 255)}" if order.node else "",
            f" ({text_of(order.reason, 256)})" if order.reason else "",
            extra=fields(id=text_of(order.id, 64)),
        )
    if len(news) > MOST_REPORTED:
        log.info("%s: %d more orders", store, len(news) - MOST_REPORTED)


def _is_over(entry: Entry, wall: float) -> bool:
    ended = entry.ended(wall)
    return ended is not None and wall - ended > AFTERLIFE


def _merged(ours: Entry, theirs: Entry) -> Entry:
    """The same for both sides: the end that came first, and one of two wordings."""
    order = min(ours, theirs, key=lambda entry: str(replace(entry, cleared=None).row())).order
    ends = [entry for entry in (ours, theirs) if entry.cleared is not None]
    if not ends:
        return Entry(order)
    first = min(ends, key=lambda entry: (entry.cleared or 0.0, entry.cleared_by))
    return Entry(order, first.cleared, first.cleared_by)


class OverrideSync:
    """Brings a book and one store to the same state; cheap while nothing happens."""

    def __init__(self, book: OverrideBook, store: Store) -> None:
        self._book = book
        self._store = store
        self._seen: list[Row] = []
        self._sent = -1
        self._rounds = 0
        self._strange: set[str] = set()

    async def sync(self, wall: float) -> None:
        """Take what is new there, give what is new here. Raises StoreError."""
        summary = Select(OVERRIDE, ("COUNT(*)", "COUNT(cleared)", "MAX(created)", "MAX(cleared)"))
        seen = await self._store.read(summary)
        self._rounds += 1
        if seen == self._seen and self._book.version == self._sent and self._rounds % FULL_READ:
            return
        there = {str(row[0]): row for row in await self._store.read(_ALL)}
        entries = self._understood(there)
        _log_news(self._store.name, self._book.merge(entries, wall))
        version, wanted = self._book.version, self._book.rows(wall)
        lacking = [row for number, row in wanted.items() if there.get(number) != row]
        over = [(entry.order.id,) for entry in entries if _is_over(entry, wall)]
        if lacking or over:
            await self._store.write([Upsert(OVERRIDE, lacking), Delete(OVERRIDE, over)])
            # What the summary is now is known after another look.
            seen = []
        self._seen, self._sent = seen, version

    def _understood(self, rows: dict[str, Row]) -> list[Entry]:
        found = []
        for number, row in rows.items():
            try:
                found.append(entry_of(row))
            except ValueError as error:
                if number not in self._strange and len(self._strange) < MOST_REPORTED:
                    self._strange.add(number)
                    log.error(
                        "ignoring invalid row in lb_override (id %s): %s",
                        text_of(number, 64),
                        error,
                    )
        return found


_ALL = Select(OVERRIDE, OVERRIDE.columns)
