"""Rows of the shared tables that only a newer program can read.

Nodes of different versions share a database. What this one cannot read it leaves as it is, and
reports: an override of a newer node may be one that everybody expects to be in force here.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from dnslb_backend.store.database.schema import VERSION
from dnslb_backend.store.database.tables import Table
from dnslb_backend.store.database.values import printable

log = logging.getLogger(__name__)

MOST_LOGGED = 100
"""So many rows are named in the log, each once."""


class UnsupportedRowError(ValueError):
    """A row that this program is too old for."""


@dataclass(frozen=True, slots=True)
class UnsupportedRows:
    """How many rows of a table there are that only a newer program can read, and one of them."""

    table: str
    rows: int
    example: str


def require_version(min_version: int, what: str) -> None:
    """Raises UnsupportedRowError where this program is older than a row allows."""
    if min_version > VERSION:
        raise UnsupportedRowError(
            f"{printable(what, 300)}: needs a program for schema version {min_version},"
            f" this one is for {VERSION}"
        )


class UnsupportedRowLog:
    """The unsupported rows of one store, as of the last time that all rows were read."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._rows: Mapping[Table, Mapping[str, str]] = {}
        self._logged: set[tuple[str, str]] = set()

    def replace(self, rows: Mapping[Table, Mapping[str, str]]) -> None:
        """`rows`: why a row cannot be read, by its table and key; no table without any."""
        self._rows = rows
        for table, reasons in rows.items():
            for key, reason in reasons.items():
                self._log(table, key, reason)

    def keys(self, table: Table) -> Mapping[str, str]:
        return self._rows.get(table, {})

    def summary(self) -> list[UnsupportedRows]:
        """The tables that have such rows."""
        return [
            UnsupportedRows(table.name, len(reasons), next(iter(reasons.values())))
            for table, reasons in self._rows.items()
        ]

    def _log(self, table: Table, key: str, reason: str) -> None:
        if (table.name, key) in self._logged or len(self._logged) >= MOST_LOGGED:
            return
        self._logged.add((table.name, key))
        log.warning("%s: %s: not in force on this node: %s", self._store, table.name, reason)
