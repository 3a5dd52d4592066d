"""The result of resolving a destination's host name: always a value, never an exception."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    FOUND = "found"
    EMPTY = "empty"
    """The name exists and has no address of this family."""
    NXDOMAIN = "nxdomain"
    """The name does not exist."""
    FAILED = "failed"
    """No usable answer: it says nothing about the name."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Addresses in canonical text form, each once, in ascending order; only FOUND has any.

    `text` says in one line why it FAILED; `ignored` are some of the addresses that were left
    out, as no server can have them.
    """

    status: Status
    addresses: tuple[str, ...] = ()
    text: str = ""
    ignored: tuple[str, ...] = ()


def found(addresses: tuple[str, ...]) -> Resolution:
    """FOUND with these addresses, or EMPTY when there are none."""
    return Resolution(Status.FOUND, addresses) if addresses else Resolution(Status.EMPTY)


def unresolved(text: str) -> Resolution:
    return Resolution(Status.FAILED, (), text)
