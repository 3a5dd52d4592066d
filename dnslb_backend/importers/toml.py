"""A draft as TOML that people read, with a comment for what has no equal."""

import json
import re
from collections.abc import Iterator, Mapping

from dnslb_backend.importers.draft import Draft, Note, Table, ZoneDraft

NO_EQUAL = "NO EQUAL"
"""What to search a result for."""

LONGEST_ORIGINAL = 1000
"""Characters of what was written elsewhere that a comment repeats."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(draft: Draft) -> str:
    """The text of the configuration; the same for the same draft."""
    lines = [*_header(draft), "", *_table("default", draft.default)]
    if draft.geo_database:
        lines += _table("geo", {"database": draft.geo_database})
    for name, view in draft.views.items():
        lines += _table(f"views.{_key(name)}", view)
    for zone in draft.zones.values():
        lines += _zone(zone)
    return "\n".join(lines).rstrip("\n") + "\n"


def value(given: object) -> str:
    """A value in TOML's spelling, on one line."""
    match given:
        case bool():
            return "true" if given else "false"
        case int() | float():
            return repr(given)
        case Mapping():
            return "{ " + ", ".join(f"{_key(k)} = {value(v)}" for k, v in given.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(value, given)) + "]"
    return _text(str(given))


def _text(given: str) -> str:
    # JSON leaves DEL as it is, and no half of a surrogate pair can be written as UTF-8.
    quoted = json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")
    return quoted.encode("utf-8", "replace").decode()


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def comment(text: str) -> str:
    """`text` as a comment of one line."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"# {shown}".encode("utf-8", "replace").decode()


def _header(draft: Draft) -> Iterator[str]:
    records = sum(len(zone.records) for zone in draft.zones.values())
    rows = sum(len(zone.static) for zone in draft.zones.values())
    yield comment(f"Written by `dnslb-backend import {draft.command}` from {draft.source}.")
    yield comment(f"Balanced records: {records}. Static rows: {rows}.")
    if notes := len(draft.notes):
        yield comment(f"Without an equal here: {notes}; search for {NO_EQUAL!r}.")


def _table(header: str, keys: Table) -> Iterator[str]:
    yield f"[{header}]"
    yield from (f"{_key(key)} = {value(each)}" for key, each in keys.items())
    yield ""


def _zone(zone: ZoneDraft) -> Iterator[str]:
    header = f"zones.{_text(zone.name)}"
    yield f"[{header}]"
    if zone.soa:
        yield f"soa = {value(zone.soa)}"
    if zone.ns:
        yield f"ns = {value(zone.ns)}"
    yield from _static(zone)
    yield ""
    for record in zone.records:
        for note in record.notes:
            yield from _noted(note)
        yield from _table(f"{header}.records.{_text(record.name)}.{record.type}", record.keys)
    for note in zone.left_out:
        yield from _noted(note)
        yield ""


def _static(zone: ZoneDraft) -> Iterator[str]:
    if not zone.static:
        return
    yield "static = ["
    for row in zone.static:
        keys = {"name": row.name, "type": row.type, "content": row.content, "ttl": row.ttl}
        yield f"    {value(keys)},"
    yield "]"


def _noted(note: Note) -> Iterator[str]:
    yield comment(f"{NO_EQUAL}: {note}")
    if note.original:
        cut = len(note.original) > LONGEST_ORIGINAL
        yield comment(f"    {note.original[:LONGEST_ORIGINAL]}{'…' if cut else ''}")
