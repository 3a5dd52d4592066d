"""Values as the columns of every table can hold them."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from dnslb_backend.logs import BIDI_ESCAPES

LATEST_DATETIME = 253_402_300_799.0
"""The last second of the year 9999."""


_UGLY = (
    dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "\ufffd")
    | {9: " ", 10: " ", 13: " "}
    | BIDI_ESCAPES
)


_INT64 = 2**63 - 1


def row_key(*parts: str) -> str:
    """A key of fixed length for `parts`, to be used in an index."""
    whole = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(whole, digest_size=16).hexdigest()


def sql_datetime(wall: float | None) -> str | None:
    """Unix time as UTC, to the millisecond below."""
    if wall is None:
        return None
    clamped = min(max(wall, 0.0), LATEST_DATETIME)
    return datetime.fromtimestamp(clamped, UTC).isoformat(" ", "milliseconds")[:23]


def parse_sql_datetime(text: Any) -> float | None:
    """Unix time of a UTC time as stores give it back. Raises ValueError, also before 1970."""
    if text is None:
        return None
    wall = datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
    if wall < 0:
        raise ValueError("a time before 1970")
    return wall


def printable(text: str, limit: int) -> str:
    """`text` without what a table or a terminal cannot take, cut to `limit` characters."""
    if not text.isprintable():
        text = text.translate(_UGLY).encode("utf-8", "replace").decode()
    return text[:limit]


def utf8_safe(text: str) -> str:
    """`text` as it is, but for what UTF-8 cannot carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def clamp_int64(number: int | None) -> int | None:
    """A plain one (no Enum) that fits into 64 bits."""
    return None if number is None else int(max(-_INT64, min(_INT64, number)))


def milliseconds(seconds: float) -> float:
    return round(min(max(seconds, 0.0), 1e9) * 1000, 3)
