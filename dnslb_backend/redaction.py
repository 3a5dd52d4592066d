"""Keeping secrets out of texts that others wrote: messages of peers and libraries, URLs.

A secret that we hold is never formatted into a text; what a peer echoes is redacted where its text
enters, by the code that holds the secret.
"""

import json
import re
from urllib.parse import quote

HIDDEN = "***"

SHORTEST = 4
"""Characters: a shorter secret occurs by chance, and hiding it would tear holes into the text."""

_USERINFO = re.compile(r"(?<=//)[^/?#\s]*@")


def redact(text: str, *secrets: str) -> str:
    """`text` without any of `secrets`, in the spellings of JSON, Python and URLs.

    A secret that is cut off where the text ends is replaced as well.
    """
    spellings = {each for secret in secrets if len(secret) >= SHORTEST for each in _spelled(secret)}
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, HIDDEN)
    cut_off = max((_overlap(text, spelling) for spelling in spellings), default=0)
    return text[:-cut_off] + HIDDEN if cut_off else text


def redact_userinfo(text: str) -> str:
    """`text` without the users and passwords of the URLs in it."""
    return _USERINFO.sub(f"{HIDDEN}@", text)


def _overlap(text: str, secret: str) -> int:
    """How many characters at the end of `text` begin `secret`; 0 where they may do so by chance."""
    lengths = range(min(len(secret), len(text)), SHORTEST - 1, -1)
    return next((length for length in lengths if text.endswith(secret[:length])), 0)


def _spelled(secret: str) -> tuple[str, ...]:
    return (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret, safe=""),
    )
