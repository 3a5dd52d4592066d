"""Every kind of check there is; a new one is one file in `kinds` and one line here."""

from typing import Any

from dnslb_backend.checkers.check import Check
from dnslb_backend.checkers.kinds.dns import DnsCheck
from dnslb_backend.checkers.kinds.exec import ExecCheck
from dnslb_backend.checkers.kinds.file import FileCheck
from dnslb_backend.checkers.kinds.http import HttpCheck
from dnslb_backend.checkers.kinds.icmp import IcmpCheck
from dnslb_backend.checkers.kinds.mariadb import MariadbCheck
from dnslb_backend.checkers.kinds.push import PushCheck
from dnslb_backend.checkers.kinds.static import StaticCheck
from dnslb_backend.checkers.kinds.tcp import TcpCheck
from dnslb_backend.checkers.kinds.tls import TlsCheck

KINDS: dict[str, type[Check]] = {
    "dns": DnsCheck,
    "exec": ExecCheck,
    "file": FileCheck,
    "http": HttpCheck,
    "https": HttpCheck,
    "icmp": IcmpCheck,
    "mariadb": MariadbCheck,
    "push": PushCheck,
    "static": StaticCheck,
    "tcp": TcpCheck,
    "tls": TlsCheck,
}


def parse_check(value: object, *, expect: str = "", prio_regex: str = "") -> Check:
    """A check from its table, or from an argv list as the original has it.

    `expect` and `prio_regex` are the keys of the record, which belong to an argv list only.
    Raises ValueError, of which pydantic's ValidationError is one; the text says what is allowed.
    """
    if isinstance(value, list):
        return ExecCheck.model_validate(
            {"type": "exec", "argv": value, "expect": expect, "prio_regex": prio_regex}
        )
    if not isinstance(value, dict):
        raise ValueError(
            "must be a list, the command and its arguments,"
            ' or a table, such as { type = "tcp", port = 80 }'
        )
    return _kind(value).model_validate(value)


def _kind(table: dict[Any, Any]) -> type[Check]:
    known = ", ".join(KINDS)
    if "type" not in table:
        raise ValueError(f"type is missing; known are: {known}")
    name = table["type"]
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"type {name!r} is unknown; known are: {known}")
    return KINDS[name]
