"""Every kind of check there is; a new one is one file in `kinds` and one line here."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck

KINDS: Mapping[str, tuple[str, str]] = {
    "agent": ("agent", "AgentCheck"),
    "dns": ("dns", "DnsCheck"),
    "exec": ("exec", "ExecCheck"),
    "file": ("file", "FileCheck"),
    "grpc": ("grpc", "GrpcCheck"),
    "http": ("http", "HttpCheck"),
    "https": ("http", "HttpCheck"),
    "icmp": ("icmp", "IcmpCheck"),
    "mariadb": ("mariadb", "MariadbCheck"),
    "postgres": ("postgres", "PostgresCheck"),
    "push": ("push", "PushCheck"),
    "static": ("static", "StaticCheck"),
    "tcp": ("tcp", "TcpCheck"),
    "tls": ("tls", "TlsCheck"),
}
"""Each kind: its module in `kinds`, and its class there."""

EXTRAS: Mapping[str, str] = {"grpc": "h2"}
"""Kinds that need an extra of the package, named as the kind: the library that it installs."""


def check_class(name: str) -> type[Check]:
    """The class of the kind `name`, a key of KINDS.

    Imported on first use: a restarted daemon should answer soon, and some kinds import a whole
    library. Raises ValueError where the extra of the kind is not installed.
    """
    module, attribute = KINDS[name]
    try:
        imported = import_module(f"dnslb_backend.checkers.checks.kinds.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != EXTRAS.get(name):
            raise
        command = f"pip install 'dnslb-backend[{name}]'"
        raise ValueError(f"type {name!r} needs the extra {name}: {command}") from error
    return cast(type[Check], getattr(imported, attribute))


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
    return check_class(_name(value)).model_validate(value)


def _name(table: dict[Any, Any]) -> str:
    known = ", ".join(KINDS)
    if "type" not in table:
        raise ValueError(f"type is missing; known are: {known}")
    name = table["type"]
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"type {name!r} is unknown; known are: {known}")
    return name
