"""Names and types as operators write them: in any letter case, absolute or relative to a zone."""

import heapq
from difflib import SequenceMatcher
from typing import Annotated

import dns.exception
import dns.rdatatype
from pydantic import AfterValidator, Field

from dnslb_backend.admin.control import Control
from dnslb_backend.admin.http.problems import field_problem
from dnslb_backend.core.answers.name_lookup import resolve_name
from dnslb_backend.errors import NameFormatError, UnresolvedNameError
from dnslb_backend.slices import in_slices

NAME_LIMIT = 1024
"""Characters; 255 bytes of a name, each written as an escape."""

SUGGESTIONS = 3
"""Names that a refusal proposes, at most."""

SIMILARITY = 0.6
"""How much of a name must be as it was written (difflib's ratio) for it to be proposed."""

Name = Annotated[str, Field(max_length=NAME_LIMIT)]


def _known_type(text: str) -> str:
    try:
        return dns.rdatatype.to_text(dns.rdatatype.from_text(text))
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(f"unknown record type {text!r}; such as A, AAAA, MX, or ANY") from error


QueryType = Annotated[str, Field(max_length=20), AfterValidator(_known_type)]


async def resolve_record_name(control: Control, written: str, field: str) -> str:
    """The canonical name of the balanced record that is meant, never ""; one with a final dot as
    written.

    Raises ProblemError: it is no name, or not that of just one record.
    """
    name = await _resolve(control, written, field, is_balanced=True)
    if not name:
        raise field_problem(field, f"no such record: {written}")
    return name


async def resolve_any_name(control: Control, written: str, field: str) -> str:
    """As `resolve_record_name`, where any name of the zones may be meant."""
    return await _resolve(control, written, field, is_balanced=False)


async def _resolve(control: Control, written: str, field: str, *, is_balanced: bool) -> str:
    try:
        return resolve_name(control.snapshot(), written, is_balanced=is_balanced)
    except NameFormatError as error:
        raise field_problem(field, str(error)) from error
    except UnresolvedNameError as error:
        hint = "" if error.found else await _did_you_mean(control, written)
        raise field_problem(field, f"{error}{hint}") from error


async def _did_you_mean(control: Control, written: str) -> str:
    """The balanced names that are most like `written`, as the end of a sentence."""
    matcher = SequenceMatcher(b=written.lower())
    best: list[tuple[float, str]] = []
    async for name, zone in in_slices(
        {key.name: key.zone for key in control.health_map.records}.items()
    ):
        likeness = max(_likeness(matcher, name), _likeness(matcher, name.removesuffix(f".{zone}")))
        if likeness >= SIMILARITY:
            best = heapq.nlargest(SUGGESTIONS, [*best, (likeness, name)])
    return f", did you mean {' or '.join(name for _, name in best)}?" if best else ""


def _likeness(matcher: SequenceMatcher[str], name: str) -> float:
    """0 to 1; the cheap bounds of it are asked first."""
    matcher.set_seq1(name)
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < SIMILARITY:
        return 0.0
    return matcher.ratio()
