"""Names as operators write them: in any letter case, absolute or relative to their zone."""

from typing import Annotated

from pydantic import Field

from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.core.health.healthmap import HealthMap
from dnslb_backend.core.model.names import canonical_name
from dnslb_backend.errors import NameFormatError

NAME_LIMIT = 1024
"""Characters; 255 bytes of a name, each written as an escape."""

Name = Annotated[str, Field(max_length=NAME_LIMIT)]

QueryType = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,20}$")]


def balanced_name(health: HealthMap, text: str, field: str) -> str:
    """The canonical name of a balanced record, "" for "": absolute, or relative to its zone.

    A name that no record has is taken as absolute. Raises ProblemError for what is no name.
    """
    if not text:
        return ""
    known = {key.name: key.zone for key in health.records}
    try:
        absolute = canonical_name(text)
    except NameFormatError as error:
        raise field_problem(field, str(error)) from error
    if absolute and (absolute in known or text.endswith(".")):
        return absolute
    meant = {
        name for zone in set(known.values()) if known.get(name := _below(text, zone), "") == zone
    }
    if len(meant) > 1:
        raise field_problem(field, f"{text} may be {' or '.join(sorted(meant))}: write it out")
    if meant:
        return meant.pop()
    if not absolute:
        raise field_problem(field, f"{text!r} names nothing here")
    return absolute


def _below(text: str, zone: str) -> str:
    try:
        return canonical_name(text, zone)
    except NameFormatError:
        # Too long to be in this zone.
        return ""
