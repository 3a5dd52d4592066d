"""What a shell offers for NAME and TARGET: what the running daemon has.

Pressing Tab takes LIMIT seconds at most; without a daemon nothing is offered, silently.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.errors import DnslbError

LIMIT = 1.0
"""Seconds, for all of the question and its answer."""

MOST = "1000"
"""Records that are asked for; more would not come in that time."""


def complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """The balanced records."""
    report = _ask(ctx, "/api/v1/status", name=f"{incomplete}*", limit=MOST)
    return _beginning(incomplete, (row["name"] for row in report.get("records", ())))


def complete_target(ctx: typer.Context, incomplete: str) -> list[str]:
    """The addresses and destination hosts of the members, those of the first MOST records."""
    members = _ask(ctx, "/api/v1/status", limit=MOST).get("members", ())
    return _beginning(incomplete, (row[key] for row in members for key in ("address", "dest")))


def complete_override(ctx: typer.Context, incomplete: str) -> list[str]:
    """The targets of the overrides that hold."""
    report = _ask(ctx, "/api/v1/overrides")
    return _beginning(incomplete, (row["target"] for row in report.get("overrides", ())))


def _beginning(incomplete: str, words: Iterator[str]) -> list[str]:
    return sorted({word for word in words if word.startswith(incomplete)})


def _ask(ctx: typer.Context, path: str, **query: str) -> dict[str, Any]:
    """The daemon's answer, with the switches that are on the line; empty where there is none."""
    switches = (ctx.params.get(name) for name in ("config", "admin", "token_file"))
    try:
        with _time_limit():
            report = AdminClient(find_daemon(*switches), timeout=LIMIT).get(path, **query)
    except (DnslbError, TimeoutError):
        return {}
    return report if isinstance(report, dict) else {}


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise TimeoutError inside after LIMIT: the client's own limit begins again with each byte."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
