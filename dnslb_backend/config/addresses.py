"""Texts that were meant as addresses or host names, and are none: what to write instead.

A name whose last label is a number is no host name (RFC 1123, section 2.1), and dangerous:
resolvers read `192.0.2` as 192.0.0.2 and `192.0.2.010` as 192.0.2.8.
"""

import re

from dnslb_backend.core.model.names import canonical_address

HIGHEST = 255

_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]+\]|[^:/\s\[\]]+):(?P<port>[0-9]{1,5})", re.ASCII)


def ends_in_number(name: str) -> bool:
    """Whether the last label is a number, as in an IPv4 address."""
    return _NUMBER.fullmatch(name.removesuffix(".").rpartition(".")[2]) is not None


def host_refusal(text: str) -> str:
    """Why `text`, which is no address, is no host name either; empty where it may be one."""
    if not text:
        return "'' is neither an IP address nor a host name"
    if found := _WITH_PORT.fullmatch(text):
        host, port = found["host"].strip("[]"), found["port"]
        return f'{text!r} has a port; write {{ host = "{host}", check_port = {port} }}'
    if (bare := text.strip().removeprefix("[").removesuffix("]")) != text:
        hint = f"; did you mean {bare}?" if bare else ""
        return f"{text!r} is neither an IP address nor a host name{hint}"
    if "://" in text:
        return f"{text!r} is a URL, not a host; write the host here, and the URL in `check`"
    if "," in text or ";" in text:
        return f"{text!r} is not one host; write each as an element of its own"
    if canonical_address(text.partition("/")[0]) and "/" in text:
        return f"{text!r} is a network, not an address; write each address"
    if any(c.isspace() or c in ":/%[]" for c in text):
        return f"{text!r} is neither an IP address nor a host name"
    return _number_refusal(text) if ends_in_number(text) else ""


def looks_like_an_address(name: str) -> bool:
    """Whether a host name is an IPv4 address but for a letter, as in `192.0.2.l0`."""
    labels = name.split(".")
    return len(labels) == 4 and all(map(str.isdecimal, labels[:3]))


def _number_refusal(text: str) -> str:
    labels = text.removesuffix(".").split(".")
    if not all(label.isascii() and label.isdecimal() for label in labels):
        return f"{text!r} is not a host name: the last part of one is not a number (RFC 1123, 2.1)"
    why = "it has four numbers, such as 192.0.2.1"
    if len(labels) == 4:
        shortened = [label.lstrip("0") or "0" for label in labels]
        high = [label for label in shortened if len(label) > 3 or int(label) > HIGHEST]
        why = f"{high[0]} is above {HIGHEST}" if high else f"did you mean {'.'.join(shortened)}?"
    return f"{text!r} is not an IPv4 address: {why}"
