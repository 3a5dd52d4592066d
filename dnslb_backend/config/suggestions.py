"""The known word that an unknown one was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

_SYNONYMS = {
    "address": "host",
    "addresses": "dest",
    "backends": "dest",
    "backup": "fallback",
    "domain": "domain_name",
    "healthcheck": "check",
    "include": "load_records",
    "ip": "host",
    "max_records": "max_answers",
    "members": "dest",
    "nameservers": "ns",
    "password_path": "password_file",
    "period": "interval",
    "port": "check_port",
    "priority": "prio",
    "qtype": "type",
    "servers": "dest",
    "target": "host",
    "targets": "dest",
    "value": "content",
}
"""Other words for keys, as other products have them."""


def did_you_mean(written: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or nothing where no known word is like `written`."""
    by_spelling = {word.lower(): word for word in known}
    lower = written.lower().replace("-", "_")
    near = [_SYNONYMS[lower]] if _SYNONYMS.get(lower) in by_spelling else []
    near += get_close_matches(lower, by_spelling, n=1, cutoff=0.65)
    return f"did you mean {by_spelling[near[0]]}?" if near else ""


def unknown(what: str, written: str, known: Iterable[str]) -> str:
    """`unknown WHAT; did you mean X? Allowed here: …`."""
    listed = list(known)
    hint = did_you_mean(written, listed)
    allowed = ", ".join(listed)
    if hint:
        return f"unknown {what}; {hint} Allowed here: {allowed}"
    return f"unknown {what}; allowed here: {allowed}"
