"""Labels of destinations, as `key=value`: what operators call many servers by at once.

key, value    1 to 63 of a-z 0-9 . _ -, beginning and ending with a letter or digit
"""

import json
import re
from collections.abc import Iterable, Mapping

MAX_LABELS = 16
"""So many at most has a destination."""

LONGEST = 63

_WORD = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")

ALLOWED = f"allowed are 1 to {LONGEST} of a-z, 0-9 and . _ - within"


def check_word(text: str) -> str:
    """A key or a value. Raises ValueError for one that is not allowed."""
    if len(text) > LONGEST:
        raise ValueError(f"{text[:20]!r}… has {len(text)} characters; {ALLOWED}")
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r}: {ALLOWED}")
    return text


def is_label(text: str) -> bool:
    """Whether it is a label, or a glob over labels: no address or host name has a "=" in it."""
    return "=" in text


def build_labels(labels: Mapping[str, str]) -> tuple[str, ...]:
    """In the order of their keys."""
    return tuple(f"{key}={value}" for key, value in sorted(labels.items()))


def labels_by_key(labels: Iterable[str]) -> dict[str, str]:
    pairs = (label.partition("=") for label in labels)
    return {key: value for key, _, value in pairs}


def joined_labels(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of an address of two destinations; of one key both values count."""
    return tuple(sorted({*one, *other}))


def render_labels(labels: Iterable[str]) -> str:
    """As the stores keep them: a JSON object without spaces, of one key the last value."""
    return json.dumps(labels_by_key(labels), separators=(",", ":"))


def label_in_json(label: str) -> str:
    """The text by which `render_labels` of any labels shows whether this one is among them."""
    return json.dumps(labels_by_key([label]), separators=(",", ":"))[1:-1]


def parse_labels(text: str) -> tuple[str, ...]:
    """What `render_labels` gave. Raises ValueError for anything else."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("no labels")
    return build_labels(found)
