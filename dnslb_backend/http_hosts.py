"""The names that an HTTP listener may be asked by, without which any web page could read it.

A page can have its own name resolve to an address of this machine or network, and then read what
is served there as its own (DNS rebinding); the name in Host gives it away. A name without a dot
is not in public DNS, and cannot be registered.
"""

import ipaddress
import re
import socket
from functools import lru_cache

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def check_host(text: str) -> str:
    """A name for `hosts`, in lower case; ValueError says what is allowed."""
    name = text.lower().rstrip(".")
    if len(name) > 255 or not _NAME.fullmatch(name):
        raise ValueError(f"{text!r} must be a host name without a port, like ns1.example.com")
    return name


@lru_cache(256)
def is_expected_host(host: str, names: frozenset[str]) -> bool:
    """Whether `host`, a header Host, is an address, a local name, or one of `names`.

    One that is absent or empty is: no browser leaves it out.
    """
    name = host.lower()
    if name.startswith("["):
        name, _, _ = name[1:].partition("]")
    else:
        name = name.partition(":")[0].rstrip(".")
    if name in names or name == socket.gethostname().lower() or name.endswith(".localhost"):
        return True
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
