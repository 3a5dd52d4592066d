"""Types of the parameters that several kinds of check share; all of their values are hashable."""

import re
import warnings
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from dnslb_backend.checkers.checks.template import check_template


def compiled(pattern: str) -> re.Pattern[str]:
    """Raises ValueError for what is not a regular expression of Python's `re`."""
    with warnings.catch_warnings():
        # Dubious patterns are the operator's choice; the original ran them without a warning.
        warnings.simplefilter("ignore")
        try:
            return re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


def _regexp(pattern: str) -> str:
    compiled(pattern)
    return pattern


def _list(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, tuple):
        return value
    raise ValueError("must be a list")


def _pairs(value: object) -> object:
    if isinstance(value, dict):
        return tuple(value.items())
    if isinstance(value, tuple):
        return value
    raise ValueError('must be a table, such as { "X-Probe" = "1" }')


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


def check_server_name(text: str) -> str:
    """The name as TLS sends it, without a final dot; raises ValueError if it is invalid."""
    name = text.removesuffix(".")
    try:
        name.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{text!r} is not a server name") from error
    if "\0" in name or name.startswith(".") or (text and not name):
        raise ValueError(f"{text!r} is not a server name")
    return name


ServerName = Annotated[str, AfterValidator(check_server_name)]
"""A name or address that TLS can ask for; "" is none."""

Regexp = Annotated[str, AfterValidator(_regexp)]
"""A regular expression of Python's `re`, searched (not matched at the start)."""

Template = Annotated[str, AfterValidator(_no_nul), AfterValidator(check_template)]
"""A text with `%(address)s` where the address belongs."""

Templates = Annotated[tuple[Template, ...], BeforeValidator(_list)]

Words = Annotated[tuple[str, ...], BeforeValidator(_list)]
"""A list of strings; one string is refused rather than split into letters."""

Pairs = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)]
"""A table of strings, kept as pairs so that it can be hashed."""

ExitCodes = Annotated[tuple[Annotated[int, Field(ge=0, le=255)], ...], BeforeValidator(_list)]

Port = Annotated[int, Field(ge=1, le=65535)]

Path = Annotated[str, AfterValidator(_no_nul)]
