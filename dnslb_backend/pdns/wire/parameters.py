"""The parameters of a request, whatever the transport."""

from collections.abc import Mapping

from dnslb_backend.core.model.names import key_of
from dnslb_backend.errors import RequestError

Parameters = Mapping[str, object]
"""As JSON has it: only the values that a method reads are checked."""


def string(parameters: Parameters, key: str) -> str:
    """A parameter that must be a text; raises RequestError."""
    value = parameters.get(key)
    if not isinstance(value, str):
        raise RequestError(f"parameter {key} must be a text")
    return value


def domain_name(parameters: Parameters, key: str) -> str:
    """A parameter that must be a name, in canonical form; raises RequestError."""
    return key_of(string(parameters, key))


def integer(parameters: Parameters, key: str) -> int:
    """A parameter that must be a whole number, in a text as in JSON; raises RequestError.

    PowerDNS writes a serial in a form as `2026112201.000000`.
    """
    value = parameters.get(key)
    if isinstance(value, str) and len(value) <= 32:
        head, _, tail = value.partition(".")
        if head.removeprefix("-").isdecimal() and not tail.strip("0"):
            return int(head)
    elif isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1:
        return int(value)
    raise RequestError(f"parameter {key} must be a whole number")


def boolean(parameters: Parameters, key: str, *, default: bool) -> bool:
    """A parameter that says yes or no: 1 or 0 in a form; raises RequestError."""
    value = parameters.get(key, default)
    if value in (True, "1"):
        return True
    if value in (False, "0"):
        return False
    raise RequestError(f"parameter {key} must be true or false")


def strings(parameters: Parameters, key: str) -> tuple[str, ...]:
    """A parameter that must be a list of texts, empty where it is not there."""
    value = parameters.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise RequestError(f"parameter {key} must be a list of texts")
    return tuple(value)
