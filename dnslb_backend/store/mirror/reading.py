"""Reads rows that may hold anything: a file can be damaged, and people can edit tables.

Every value is checked for its type and range, and a row that fails is ignored and reported, and
does not affect the others.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from dnslb_backend.core.model.records import RecordKey
from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.tables import Table, TableRow
from dnslb_backend.store.database.values import LATEST_DATETIME, printable
from dnslb_backend.throttle import LogRateLimiter

log = logging.getLogger(__name__)

MOST_REPORTED = 5
"""So many invalid rows of a table are named; the others are counted."""

_reported = LogRateLimiter(time.monotonic, 600.0)
"""Rows of the history are read again and again."""

_INT64 = 2**63 - 1

T = TypeVar("T")


def read_rows(
    table: Table, rows: Iterable[TableRow], read: Callable[[Mapping[str, Any]], T], *, key: str
) -> list[T]:
    """What `read` makes of each row; those for which it raises are ignored and reported.

    `key` is the column by which a report names a row.
    """
    found: list[T] = []
    invalid: list[str] = []
    for row in rows:
        columns = dict(zip(table.columns, row, strict=True))
        try:
            found.append(read(columns))
        except Exception as error:  # noqa: BLE001 -- whatever is in a row, the others count
            invalid.append(f"{printable(str(columns[key]), 64)} ({printable(repr(error), 200)})")
    if invalid:
        more = f" and {len(invalid) - MOST_REPORTED} more" if len(invalid) > MOST_REPORTED else ""
        named = ", ".join(invalid[:MOST_REPORTED])
        if _reported.admit(named) is not None:
            log.error("ignoring invalid rows of %s: %s %s%s", table.name, key, named, more)
    return found


def row_id(table: Table, value: Any) -> int:
    """The `id` of a row of a history table, 0 where there is none. Raises StoreError."""
    try:
        return integer(0 if value is None else value)
    except ValueError as error:
        raise StoreError(f"{table.name} has an id that is {error}") from None


# -- values: all of these raise ValueError ------------------------------------------------


def record_key(columns: Mapping[str, Any]) -> RecordKey:
    return RecordKey(text(columns["zone"]), text(columns["name"]), text(columns["type"]))


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("no list of texts")
    return tuple(map(text, value))


def integer(value: Any, low: int = -_INT64, high: int = _INT64) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"no number from {low} to {high}")
    return value


def integer_or_none(value: Any, low: int = -_INT64) -> int | None:
    return None if value is None else integer(value, low)


def seconds(value: Any) -> float:
    """Also of a clock that is not that of the wall, and may be below zero."""
    if type(value) not in (int, float) or not abs(value) <= LATEST_DATETIME:
        raise ValueError("no number of seconds")
    return float(value)


def seconds_or_none(value: Any) -> float | None:
    return None if value is None else seconds(value)


def unix_time(value: Any) -> float | None:
    wall = seconds_or_none(value)
    if wall is not None and wall < 0:
        raise ValueError("a time before 1970")
    return wall
