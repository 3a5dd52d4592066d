"""`status` of a running daemon."""

import json
import threading
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, Never

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.completion import complete_name
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.differences import show_differences
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, Label, TokenFile
from dnslb_backend.cli.status_selection import StatusFilter
from dnslb_backend.cli.status_table import cut, status_blocks
from dnslb_backend.cli.terminal import out, print_error, print_json, print_json_text, print_text
from dnslb_backend.errors import AdminClientError

PATH = "/api/v1/status"
WATCH_INTERVAL = 2.0
"""Seconds between two refreshes."""


def status(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Only this record, or a glob (default: all)",
            autocompletion=complete_name,
        ),
    ] = "",
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE", help="Only this zone")] = "",
    problems: Annotated[
        bool, typer.Option("--problems", help="Only records that do not serve as they should")
    ] = False,
    down: Annotated[bool, typer.Option("--down", help="Only members that are DOWN")] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
    label: Label = "",
    all_nodes: Annotated[
        bool,
        typer.Option("--all-nodes", help="Only what nodes answer differently, from the database"),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C")] = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Show every member: its state, and whether it is served. The worst record is first."""
    client = AdminClient(find_daemon(config, admin, token_file))
    if all_nodes:
        if name or zone or problems or down or label or watch:
            raise typer.BadParameter("--all-nodes goes with --json alone")
        show_differences(client, as_json=as_json)
        return
    asked = Asked(client, name, label, StatusFilter(zone, problems, down))
    if watch:
        _watch(asked, as_json=as_json)
    _show(asked, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Asked:
    """The status that is wanted: of which daemon, which records, and what of them."""

    client: AdminClient
    name: str
    label: str
    selection: StatusFilter

    def read(self) -> dict[str, Any]:
        """The status as it is now. Raises AdminClientError."""
        report: dict[str, Any] = self.client.get(PATH, name=self.name, label=self.label)
        return report

    def page(self, report: dict[str, Any], width: int, height: int = 0) -> Text:
        """The table, cut to `height` lines unless that is 0."""
        try:
            blocks = list(status_blocks(report, self.selection, width))
            hint = "" if self.selection.problems else "; --problems shows the worst"
            lines = cut(blocks, height, hint) if height else [*chain(*blocks)]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"cannot read the response: is the daemon of another version? ({error!r})"
            raise AdminClientError(message) from error
        return Text("\n").join(lines)


def _show(asked: Asked, *, as_json: bool) -> None:
    if as_json and asked.selection == StatusFilter():
        print_json_text(asked.client.get_text(PATH, name=asked.name, label=asked.label))
        return
    report = asked.read()
    if as_json:
        print_json(asked.selection.apply(report))
        return
    print_text(asked.page(report, out().width))
    if (asked.name or asked.label) and not report["records"]:
        label = asked.label
        print_error(
            f"no member with the label {label}" if label else f"no such record: {asked.name}"
        )
        raise typer.Exit(ExitCode.FAILED)
    if asked.selection.zone and not asked.selection.of_zone(report):
        print_error(f"no balanced record in zone {asked.selection.zone}")
        raise typer.Exit(ExitCode.FAILED)


def _watch(asked: Asked, *, as_json: bool) -> Never:
    """Refresh the status until Ctrl-C; retry while the daemon does not answer."""
    console = out()
    report = asked.read()
    if as_json or not console.is_terminal:
        while True:
            _print_again(console, asked, report, as_json=as_json)
            report = _next_report(asked)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(asked.page(report, console.width, console.height), refresh=True)
            report = _next_report(asked)


def _next_report(asked: Asked) -> dict[str, Any]:
    """The status after WATCH_INTERVAL; retries until the daemon answers."""
    while True:
        threading.Event().wait(WATCH_INTERVAL)
        try:
            return asked.read()
        except AdminClientError as error:
            print_error(str(error))


def _print_again(console: Console, asked: Asked, report: dict[str, Any], *, as_json: bool) -> None:
    """A status for a pipe: JSON one a line, the table with an empty line behind it."""
    if as_json:
        console.file.write(json.dumps(asked.selection.apply(report)) + "\n")
    else:
        console.print(asked.page(report, console.width), soft_wrap=True, end="\n\n")
    console.file.flush()
