"""Every error this package raises on purpose.

DnslbError
├── ConfigError        the configuration cannot be used; nothing was started or changed
├── NameFormatError    a text is no domain name
├── UnresolvedNameError  a name that an operator wrote is that of nothing here, or of several
├── NotReadyError      the answer to a lookup is not known yet: a fault of ours
├── RequestError       a request of PowerDNS could not be understood
├── ConflictError       an operator's order was understood and is refused
│   └── OverrideNotFoundError   nothing was ordered that could be taken back
├── UnavailableError   what this daemon needs did not answer in time; nothing was changed
├── AdminClientError       the command line could not reach or use the daemon
├── SourceError        what is to be imported cannot be read, or the result cannot be written
└── StoreError         the database or the local file cannot be used
    ├── SchemaError    its tables are missing, newer than this program, or somebody else's
    ├── RetryableError      others were in the way; the same may well succeed if it is tried again
    └── BadRowError    one of these rows will never be accepted
"""

from dataclasses import dataclass


class DnslbError(Exception):
    """Root of all errors that this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a configuration: where it stands and what is allowed there."""

    file: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.path, self.message) if part)


class ConfigError(DnslbError):
    """The configuration cannot be used; `problems` names every place."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class NameFormatError(DnslbError):
    """A text is no domain name (RFC 1035: labels of 1 to 63 bytes, 255 bytes in all)."""


class UnresolvedNameError(DnslbError):
    """A name that an operator wrote is that of nothing here, or of all in `found`."""

    def __init__(self, written: str, found: tuple[str, ...]) -> None:
        super().__init__(
            f"{written} exists in several zones ({', '.join(found)}): give the full name"
            if found
            else f"no such record: {written}"
        )
        self.found = found


class NotReadyError(DnslbError):
    """The answer is not known yet: PowerDNS must hear of a fault, never of an empty name."""


class RequestError(DnslbError):
    """A request of PowerDNS could not be understood."""


class ConflictError(DnslbError):
    """An operator's order was understood and is refused; the text says why.

    `field` is the part of the order that cannot be, "" where it is the order as a whole.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class OverrideNotFoundError(ConflictError):
    """Nothing was ordered that could be taken back; the text says for what."""


class UnavailableError(DnslbError):
    """What this daemon needs did not answer in time: nothing was changed; retry later."""


class AdminClientError(DnslbError):
    """The command line could not reach or use the daemon."""


class SourceError(DnslbError):
    """What is to be imported cannot be read, or the result cannot be written; nothing was."""


class StoreError(DnslbError):
    """The database or the local file cannot be used, at least for now; the text says why."""


class SchemaError(StoreError):
    """The tables are missing, newer than this program, or somebody else's."""


class RetryableError(StoreError):
    """Others were in the way: the same may well succeed if it is tried again at once."""


class BadRowError(StoreError):
    """One of these rows will never be accepted, the others may be."""
