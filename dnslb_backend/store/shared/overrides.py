"""The overrides of operators, as all nodes share them.

An override never changes; it can only be cleared, and that is final. So two copies of one differ in
nothing but their end, and the earlier end is kept.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dnslb_backend.core.health.overrides import MAX_WEIGHT, Action, Override
from dnslb_backend.core.model.labels import is_label
from dnslb_backend.logs import fields
from dnslb_backend.store.database.tables import OVERRIDE, Table, TableRow
from dnslb_backend.store.database.values import parse_sql_datetime, printable, sql_datetime
from dnslb_backend.store.shared.replicated_table import Codec, ReplicatedTable
from dnslb_backend.store.shared.unsupported import UnsupportedRowError, require_version

log = logging.getLogger(__name__)

TOMBSTONE_TTL = 30 * 86400.0
CLOCK_MARGIN = 3600.0

LABELS_VERSION = 4
"""Programs for older schemas know no labels, and would find no member with that address."""

STARTS_VERSION = 5
"""Programs for older schemas would apply at once what begins later."""

WEIGHT_VERSION = 7
"""Programs for older schemas do not know the action."""


@dataclass(frozen=True, slots=True)
class OverrideEntry:
    """An override, and when and by whom it was cleared; Unix time. Programs for a schema older than
    `min_version` cannot read it.
    """

    override: Override
    cleared: float | None = None
    cleared_by: str = ""
    min_version: int = 1

    @property
    def table(self) -> Table:
        return OVERRIDE

    @property
    def key(self) -> str:
        return self.override.id

    def ended(self, wall: float) -> float | None:
        """When it was cleared or expired, None while it is in force or pending."""
        if self.cleared is None and not self.override.is_over(wall):
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
            self.min_version,
            sql_datetime(override.starts),
            override.weight,
        )

    def log_change(self, store: str) -> None:
        override = self.override
        is_clear = self.cleared is not None
        log.info(
            "%s: %s: %s %s%s%s%s%s%s",
            store,
            printable((self.cleared_by if is_clear else override.author) or "unknown", 64),
            "clear" if is_clear else override.action,
            printable(override.target, 256),
            f" {override.weight}" if override.weight is not None and not is_clear else "",
            f" for {printable(override.name, 255)}" if override.name else "",
            f" on {printable(override.node, 255)}" if override.node else "",
            f" from {sql_datetime(override.starts)}" if override.starts and not is_clear else "",
            f" ({printable(override.reason, 256)})" if override.reason else "",
            extra=fields(id=printable(override.id, 64)),
        )


def read_row(table: Table, row: TableRow) -> OverrideEntry:
    """The entry in a row of lb_override. Raises ValueError where it holds none, and
    UnsupportedRowError where only a newer program can read it.
    """
    values = dict(zip(table.columns, row, strict=True))
    text = {name: "" if value is None else str(value) for name, value in values.items()}
    if not text["target"]:
        raise ValueError("it has no target")
    what = f"{text['action']} {text['target']}"
    require_version(min_version := int(text["min_version"]), what)
    action = _action(text["action"], what)
    override = Override(
        id=text["id"],
        target=printable(text["target"], 1024),
        action=action,
        zone=text["zone"],
        name=text["name"],
        node=text["node"],
        reason=printable(text["reason"], 1024),
        author=printable(text["author"], 255),
        created=parse_sql_datetime(values["created"]) or 0.0,
        expires=parse_sql_datetime(values["expires"]),
        starts=parse_sql_datetime(values["starts"]),
        weight=_weight(values["weight"]) if action is Action.WEIGHT else None,
    )
    cleared = parse_sql_datetime(values["cleared"])
    return OverrideEntry(override, cleared, printable(text["cleared_by"], 255), min_version)


def _action(text: str, what: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise UnsupportedRowError(f"{printable(what, 300)}: an action unknown here") from None


def _weight(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_WEIGHT:
        raise ValueError(f"no weight from 0 to {MAX_WEIGHT}")
    return value


def _min_version(override: Override) -> int:
    if override.action is Action.WEIGHT:
        return WEIGHT_VERSION
    if override.starts is not None:
        return STARTS_VERSION
    return LABELS_VERSION if is_label(override.target) else 1


def merge(ours: OverrideEntry, theirs: OverrideEntry) -> OverrideEntry:
    """The earlier end; of two texts, as only a row that was edited has, always the same one."""
    override = min(ours, theirs, key=lambda entry: str(replace(entry, cleared=None).row())).override
    min_version = max(ours.min_version, theirs.min_version)
    ends = [entry for entry in (ours, theirs) if entry.cleared is not None]
    if not ends:
        return OverrideEntry(override, min_version=min_version)
    first = min(ends, key=lambda entry: (entry.cleared or 0.0, entry.cleared_by))
    return OverrideEntry(override, first.cleared, first.cleared_by, min_version)


CODEC = Codec(
    name="overrides",
    tables=(OVERRIDE,),
    read_row=read_row,
    summary=("COUNT(*)", "COUNT(cleared)", "MAX(created)", "MAX(cleared)"),
    tombstone_ttl=TOMBSTONE_TTL,
    clock_margin=CLOCK_MARGIN,
)


class OverrideTable(ReplicatedTable[OverrideEntry]):
    """All overrides that `node` knows, those of other nodes included."""

    def __init__(
        self, node: str, on_changed: Callable[[Sequence[Any]], None] = lambda _: None
    ) -> None:
        super().__init__(CODEC, merge, on_changed)
        self._node = node

    def live(self, wall: float) -> tuple[Override, ...]:
        """Those in force on this node, oldest first."""
        return tuple(override for override in self.here(wall) if not override.is_pending(wall))

    def here(self, wall: float) -> list[Override]:
        """Those in force or pending on this node, oldest first."""
        return [override for override in self.everywhere(wall) if override.node in ("", self._node)]

    def everywhere(self, wall: float) -> list[Override]:
        """Those in force or pending on any node, oldest first."""
        overrides = [entry.override for entry in self.entries() if entry.ended(wall) is None]
        return sorted(overrides, key=lambda override: (override.created, override.id))

    def cleared_by(self, number: str) -> str:
        """Who cleared an override; "" where it was not cleared, or that is not known."""
        entry = self.get(OVERRIDE, number)
        return entry.cleared_by if entry is not None else ""

    def add(self, override: Override) -> Override:
        """Add a new override; returns it as it is stored."""
        entry = OverrideEntry(override, min_version=_min_version(override))
        entry = read_row(OVERRIDE, entry.row())
        self.merge([entry], entry.override.created)
        return entry.override

    def clear(self, ids: Iterable[str], wall: float, author: str) -> None:
        cleared = [
            replace(entry, cleared=wall, cleared_by=author)
            for number in ids
            if (entry := self.get(OVERRIDE, number)) is not None
        ]
        self.merge(cleared, wall)
