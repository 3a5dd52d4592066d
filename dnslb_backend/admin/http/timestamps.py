"""Points in time as operators' programs read and write them: RFC 3339.

Those that we write are in UTC, with milliseconds.
"""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field, WithJsonSchema

Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]

_DATE = re.compile(r"\d{4}-\d\d-\d\dT", re.IGNORECASE)


def _refuse_numbers(value: object) -> object:
    """A bare number is no moment: its unit would be a guess."""
    if not isinstance(value, str) or not _DATE.match(value):
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
    return value


# Behind a validator of ours a text is no JSON any more, which strict models would take.
GivenTimestamp = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_refuse_numbers)]
"""A time that was sent to us, with its zone."""


def render_timestamp(wall: float) -> str:
    """Unix time as `2026-01-31T12:00:00.123Z`."""
    at = datetime.fromtimestamp(wall, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render_optional(wall: float | None) -> str | None:
    """As render_timestamp; None for what has not happened yet."""
    return None if wall is None else render_timestamp(wall)
