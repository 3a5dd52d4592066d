"""Contents as PowerDNS writes them itself: `pdnsutil check-zone` warns of any other spelling."""

import re

_ENDS_WITH_NAME = frozenset(
    {"AFSDB", "ALIAS", "CNAME", "DNAME", "KX", "MX", "NAPTR", "NS", "PTR", "RT", "SRV"}
)
_QUOTED = re.compile(r'="([\w.,:+/=-]+)"')
EMPTY = "\\# 0"
"""A content without a byte, as RFC 3597 writes it."""
_LOC_DEFAULTS = " 1.00m 10000.00m 10.00m"


def as_powerdns_writes(qtype: str, content: str) -> str:
    """The same content: names without their final dot, parameters without needless quotes."""
    if qtype in _ENDS_WITH_NAME:
        return _dotless(content)
    if qtype in ("HTTPS", "SVCB"):
        priority, target, *parameters = content.split(" ", 2)
        return " ".join((priority, _dotless(target), *(_QUOTED.sub(r"=\1", p) for p in parameters)))
    if qtype == "RP":
        return " ".join(map(_dotless, content.split(" ")))
    if content == EMPTY:
        return f"{EMPTY} "
    if qtype == "LOC" and content.count("m") == 1:
        return content + _LOC_DEFAULTS
    return content


def _dotless(text: str) -> str:
    """`text` without the dot at the end of its last name, unless that is the root, or escaped."""
    if text.endswith((" .", "\\.")) or text == ".":
        return text
    return text.removesuffix(".")
