"""`history`: changes of records and members, newest first.

2026-01-31 12:00:00Z ns1 www.lb.example A
  serving -> fallback: 2 of 2 members DOWN
2026-01-31 12:00:00Z ns1 www.lb.example A 192.0.2.1
  UP -> DOWN, no longer served: timed out after 2 s
"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.completion import complete_name
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.durations import parse_duration
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, Label, TokenFile
from dnslb_backend.cli.pages import moment, print_page, wrapped
from dnslb_backend.cli.styles import HEALTH_STYLES, SEVERITY_STYLES
from dnslb_backend.cli.terminal import print_error, print_json_text

PATH = "/api/v1/history"
MOST = 10_000


def history(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Only this record (default: all)",
            autocompletion=complete_name,
        ),
    ] = "",
    since: Annotated[
        float | None,
        typer.Option(
            "--since",
            metavar="TIME",
            parser=parse_duration,
            help="Only the last 90s, 15m, 2h, 1d (default: no limit)",
        ),
    ] = None,
    node: Annotated[
        str, typer.Option("--node", metavar="NODE", help="Only of this node (default: all)")
    ] = "",
    label: Label = "",
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, max=MOST, help="Show at most N")
    ] = 100,
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Show the changes of members and of what records serve, newest first."""
    client = AdminClient(find_daemon(config, admin, token_file))
    within = "" if since is None else f"{since:.3f}"
    asked = {"name": name, "within": within, "node": node, "label": label}
    asked["limit"] = str(limit)
    if as_json:
        print_json_text(client.get_text(PATH, **asked))
        return
    report = client.get(PATH, **asked)
    print_page(report, _lines)
    if not report["events"]:
        print_error("no changes recorded")
    elif report["before"] is not None:
        print_error(f"there may be older ones; --limit N shows up to {MOST}")


def _lines(report: dict[str, Any], width: int) -> Iterator[Text]:
    for event in report["events"]:
        what = " ".join([event["name"], event["type"], *_member(event)])
        first, *rest = wrapped(f"{moment(event['at'])} {event['node']} {what}", width)
        first.stylize("bold", 0, 20)
        yield first
        yield from rest
        reason = f": {event['reason']}" if event["reason"] else ""
        yield from wrapped(f"{_change(event)}{reason}", width, "  ", _style(event))


def _member(event: dict[str, Any]) -> list[str]:
    return [event["content"]] if event["event"] == "transition" else []


def _style(event: dict[str, Any]) -> str:
    if event["event"] == "decision":
        return SEVERITY_STYLES[event["severity"]]
    return HEALTH_STYLES[event["to_health"]]


def _change(event: dict[str, Any]) -> str:
    if event["event"] == "decision":
        return " -> ".join(dict.fromkeys([event["from"], event["to"]]))
    parts = []
    if event["from_health"] != event["to_health"]:
        parts.append(f"{event['from_health']} -> {event['to_health']}")
    if event["from_served"] != event["to_served"]:
        parts.append("now served" if event["to_served"] else "no longer served")
    if event["from_priority"] != event["to_priority"] and not parts:
        parts.append(
            f"priority {_priority(event['from_priority'])} -> {_priority(event['to_priority'])}"
        )
    return ", ".join(parts)


def _priority(number: int | None) -> str:
    return "none" if number is None else str(number)
