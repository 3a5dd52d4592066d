"""What a resolver said about one host name: always a value, never an exception."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    FOUND = "found"
    EMPTY = "empty"
    """The name exists and has no address of this family (NODATA)."""
    NXDOMAIN = "nxdomain"
    FAILED = "failed"
    """No answer: timeout, SERVFAIL, no network, garbage."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Addresses in canonical text, without duplicates; `text` says what went wrong."""

    status: Status
    addresses: tuple[str, ...] = ()
    text: str = ""
