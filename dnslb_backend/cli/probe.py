"""`probe`: the checks of a name, run now.

www.lb.example A 192.0.2.1: fail (-2) in 2001 ms
  asked   GET http://192.0.2.1/health
  answer  timed out after 2 s
  target  UP, would stay UP: 1 in a row against it
"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.completion import complete_name
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, TokenFile
from dnslb_backend.cli.pages import field, print_page, wrapped
from dnslb_backend.cli.styles import OUTCOME_STYLES
from dnslb_backend.cli.terminal import print_json

PATH = "/api/v1/probe"
TIMEOUT = 600.0
"""Seconds; the answer comes when the slowest check has ended."""


def probe(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Absolute, or relative to its zone",
            autocompletion=complete_name,
        ),
    ],
    qtype: Annotated[
        str, typer.Argument(metavar="TYPE", help="Type of the record; default: all")
    ] = "ANY",
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Run the checks of a name now, without affecting health."""
    client = AdminClient(find_daemon(config, admin, token_file), timeout=TIMEOUT)
    report = client.post(PATH, {"name": name, "type": qtype})
    if as_json:
        print_json(report)
        return
    print_page(report, _lines)


def _lines(report: dict[str, Any], width: int) -> Iterator[Text]:
    probes = report["probes"]
    if not probes:
        yield from wrapped("No destination has an address: there is nothing to probe.", width)
    for index, row in enumerate(probes):
        if index:
            yield Text()
        yield from _probe_line(row, width)


def _probe_line(row: dict[str, Any], width: int) -> Iterator[Text]:
    result = f"{row['outcome']} ({row['code']}) in {row['duration_ms']:.0f} ms"
    head = f"{row['name']} {row['type']} {row['address']}: {result}"
    yield from wrapped(head, width, style=OUTCOME_STYLES[row["outcome"]])
    served = ", ".join(row["contents"])
    if served != row["address"]:
        yield from field("member", served, width)
    yield from field("asked", row["asked"], width)
    yield from field("answer", row["text"] or "nothing", width)
    reported = [f"{what} {row[what]}" for what in ("priority", "weight") if row[what] is not None]
    if reported:
        yield from field("reported", ", ".join(reported), width)
    yield from field("target", _consequence(row), width)
    if row["probers"] is not None:
        yield from field("probers", ", ".join(row["probers"]) or "none", width)


def _consequence(row: dict[str, Any]) -> str:
    if row["outcome"] == "error":
        return f"{row['health']}, unchanged: this was a check error"
    if row["health"] != row["would_be"]:
        return f"{row['health']}, would become {row['would_be']}"
    against = f": {row['streak']} in a row against it" if row["streak"] else ""
    return f"{row['health']}, would stay {row['would_be']}{against}"
