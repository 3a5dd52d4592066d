"""A dnslb.toml as a test says it, in keyword arguments instead of text."""

import json
from collections.abc import Mapping

QUICK: Mapping[str, object] = {"ttl": 5, "interval": 0.5, "timeout": 1.5, "dns_timeout": 0.2}
"""Rounds twice a second; a healthy target on a busy machine has time to say so."""

FINE = ["true"]
"""An argv check that passes."""

BROKEN = ["false"]
"""An argv check that fails with exit code 1."""


def config(*parts: str, default: Mapping[str, object] | None = None, **settings: object) -> str:
    """The text of a configuration for the zone lb.example.

    `parts` are further tables, `settings` go into [global]. Records do quick rounds and need no
    `expect`, unless `default` says otherwise.
    """
    keys = {"domain_name": "lb.example", **settings}
    inherited = {**QUICK, "expect": "", **(default or {})}
    return "\n".join([table("global", **keys), table("default", **inherited), *parts])


def record(name: str, qtype: str = "A", /, **keys: object) -> str:
    """One balanced record of lb.example."""
    return table(f'records."{name}".{qtype}', **keys)


def table(header: str, **keys: object) -> str:
    lines = [f"{key} = {value(each)}" for key, each in keys.items()]
    return "\n".join([f"[{header}]", *lines, ""])


def value(given: object) -> str:
    """A value in TOML's spelling."""
    if isinstance(given, Mapping):
        return "{ " + ", ".join(f"{key} = {value(each)}" for key, each in given.items()) + " }"
    if isinstance(given, list | tuple):
        return "[" + ", ".join(map(value, given)) + "]"
    # For texts, numbers and booleans JSON and TOML agree.
    return json.dumps(given)


def http(port: int, path: str = "/") -> dict[str, str]:
    """A check that asks each address over HTTP."""
    return {"type": "http", "url": f"http://%(address)s:{port}{path}"}
