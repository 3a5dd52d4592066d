"""The root of this package's errors, and those that more than one room raises or catches.

Errors of one room (a probe, a channel, a protocol) are in that room and have the same root.

DnslbError
├── ConfigError        the configuration cannot be used; nothing was started or changed
├── NameFormatError    a text is not a domain name
├── UnresolvedNameError  a name that an operator gave matches no record, or several
├── NotReadyError      the answer to a lookup is not known yet: a fault of this daemon
├── RequestError       a request of PowerDNS could not be understood
├── ConflictError      an operator's request was understood and is refused
│   └── OverrideNotFoundError   there is no override to clear
├── UnavailableError   what this daemon needs did not answer in time; nothing was changed
├── AdminClientError   the command line could not reach or use the daemon
├── SourceError        a source to import cannot be read, or the result cannot be written
└── StoreError         the database or the local file cannot be used
    ├── SchemaError    its tables are missing, newer than this program, or not of this program
    ├── RetryableError others were in the way; the same may succeed if it is retried
    └── BadRowError    one of these rows will never be accepted
"""

from dataclasses import dataclass


class DnslbError(Exception):
    """Root of all errors that this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with a configuration: where it is and what is allowed there."""

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
    """A text is not a domain name (RFC 1035: labels of 1 to 63 bytes, 255 bytes in all)."""


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
    """The answer is not known yet: PowerDNS must get an error, never an empty answer."""


class RequestError(DnslbError):
    """A request of PowerDNS could not be understood."""


class ConflictError(DnslbError):
    """An operator's request was understood and is refused; the text says why.

    `field` is the part of the request that is refused, "" where it is the request as a whole.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class OverrideNotFoundError(ConflictError):
    """There is no override to clear; the text says for what."""


class UnavailableError(DnslbError):
    """What this daemon needs did not answer in time: nothing was changed; retry later."""


class AdminClientError(DnslbError):
    """The command line could not reach or use the daemon."""


class SourceError(DnslbError):
    """What is to be imported cannot be read, or the result cannot be written; nothing was."""


class StoreError(DnslbError):
    """The database or the local file cannot be used, at least for now; the text says why."""


class SchemaError(StoreError):
    """The tables are missing, newer than this program, or not of this program."""


class RetryableError(StoreError):
    """Others were in the way: the same may succeed if it is retried at once."""


class BadRowError(StoreError):
    """One of these rows will never be accepted, the others may be."""
