"""Points in time as operators' programs read them: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import WithJsonSchema

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


def render_moment(wall: float) -> str:
    """Unix time as `2026-01-31T12:00:00.123Z`."""
    at = datetime.fromtimestamp(wall, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def render_past(wall: float | None) -> str | None:
    """As render_moment; None for what has not happened yet."""
    return None if wall is None else render_moment(wall)
