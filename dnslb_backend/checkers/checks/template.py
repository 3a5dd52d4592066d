"""Texts with an address in them: the original's `%` formats over the mapping {address: text}."""

import re
from collections.abc import Iterator, Mapping

ALLOWED = "only %(address)s (also with a width, as in %(address)-15s) and %% are allowed"

WIDTH_LIMIT = 999

QUOTE_LIMIT = 20

# The whole of a conversion as Python reads it, so that each can be tried alone.
_CONVERSIONS = re.compile(r"%%|%(?:\([^)]*\)?)?[-#0 +]*(\d*)(?:\.(\d*))?[hlL]?.?", re.DOTALL)


class _Sample(Mapping[str, str]):
    """The mapping of a format, which refuses to be printed itself: `%s` would print all of it."""

    def __getitem__(self, key: str) -> str:
        if key != "address":
            raise KeyError(key)
        return "192.0.2.1"

    def __iter__(self) -> Iterator[str]:
        return iter(("address",))

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        raise ValueError("a conversion without a name")

    __str__ = __repr__


def check_template(text: str) -> str:
    """`text` itself; raises ValueError where `render` would fail or print more than the address.

    The message quotes only the invalid part: the rest of an argument may be a password.
    """
    for found in _CONVERSIONS.finditer(text):
        shown = found[0][:QUOTE_LIMIT]
        if any(int(number or 0) > WIDTH_LIMIT for number in found.groups()):
            raise ValueError(f"bad format {shown!r}: a width above {WIDTH_LIMIT}")
        try:
            found[0] % _Sample()
        except (ValueError, TypeError, KeyError, OverflowError):
            raise ValueError(f"bad format {shown!r}: {ALLOWED}; a per cent sign is %%") from None
    return text


def render(text: str, address: str) -> str:
    """A checked template with the address in its places."""
    return text % {"address": address}
