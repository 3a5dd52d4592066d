"""Types of values in the configuration file: times, TTLs, networks, addresses with ports."""

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from dnslb_backend.core.model.labels import MAX_LABELS, check_word
from dnslb_backend.core.model.zones import MAX_TTL
from dnslb_backend.network import check_network, parse_address_port


def check_canary(text: str) -> str:
    parse_address_port(text, lowest=1)
    return text


def check_secondary(text: str) -> str:
    """An address and perhaps a port, as PowerDNS writes them."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    try:
        return str(parse_address_port(text, lowest=1))
    except ValueError:
        raise ValueError(
            f"{text!r} is not an address, with a port if it is not 53; "
            "examples: 192.0.2.54, [2001:db8::54]:5300"
        ) from None


def host_of(secondary: str) -> str:
    """The address of a secondary, without its port."""
    try:
        return str(ip_address(secondary))
    except ValueError:
        return parse_address_port(secondary).host


def _not_too_short(seconds: float) -> float:
    if seconds < SHORTEST:
        raise ValueError(f"must be at least {SHORTEST:g} s")
    return seconds


def _seconds(value: object) -> object:
    """The original made numbers of the texts that it was given as times."""
    is_number = isinstance(value, str) and _NUMBER.fullmatch(value)
    return float(value) if is_number else value  # type: ignore[arg-type]


def _integer(value: object) -> object:
    """The original made whole numbers of texts and of 5.0."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _switch(value: object) -> object:
    """The original took 1 and 0 for true and false."""
    return bool(value) if isinstance(value, int) and value in (0, 1) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)

SHORTEST = 0.001
Duration = Annotated[float, Field(gt=0, allow_inf_nan=False), AfterValidator(_not_too_short)]
Wait = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ttl = Annotated[int, Field(ge=0, le=MAX_TTL)]
Network = Annotated[str, AfterValidator(check_network)]
Canary = Annotated[str, AfterValidator(check_canary)]
Secondary = Annotated[str, AfterValidator(check_secondary)]
Percent = Annotated[str, Field(pattern=r"^([1-9][0-9]?|100)%$")]
Label = Annotated[str, AfterValidator(check_word)]
Labels = Annotated[dict[Label, Label], Field(max_length=MAX_LABELS)]
Voters = list[Annotated[str, Field(min_length=1, max_length=255)]]
Count = Annotated[int, Field(ge=1)]

Seconds = BeforeValidator(_seconds)
Integer = BeforeValidator(_integer)
Switch = BeforeValidator(_switch)
LowerCase = BeforeValidator(_lower)
"""For the keys that the original has, which load as they loaded there."""
