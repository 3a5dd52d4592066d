"""Durations as people write them: `90s`, `15m`, `2h`, `1d`, and `1h30m`."""

import re
from datetime import datetime
from typing import Any

import typer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def parse_start(text: str) -> dict[str, Any]:
    """When an override begins, as the API takes it: a time with its zone, or a duration from now.
    Raises typer.BadParameter.
    """
    if _WHOLE.fullmatch(text.strip().lower()):
        return {"starts_in": parse_duration(text)}
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a time; examples: 2026-01-31T02:00Z, 90s, 15m, 2h, 1d"
        ) from None
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone; example: {text.strip()}Z")
    return {"starts": at.isoformat()}


def parse_duration(text: str) -> float:
    """Seconds, more than none. Raises typer.BadParameter."""
    written = text.strip().lower()
    if not _WHOLE.fullmatch(written):
        raise typer.BadParameter(f"{text!r} is not a duration; examples: 90s, 15m, 2h, 1d, 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(written))
    if not 0 < seconds <= 10 * 366 * 86400:
        raise typer.BadParameter(f"{text!r} must be more than 0 and at most 10 years")
    return seconds
