"""`status` and `reload` of a running daemon."""

import http.client
import json
import threading
from typing import Annotated, Any, Never

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from dnslb_backend.cli.client import AdminClient, RefusedError
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, Label, TokenFile
from dnslb_backend.cli.status_table import status_lines
from dnslb_backend.cli.terminal import out, print_error, print_json, print_json_text, print_text
from dnslb_backend.errors import AdminClientError, ConfigError, ConfigProblem

PATH = "/api/v1/status"
WATCH_INTERVAL = 2.0
"""Seconds between two refreshes."""


def status(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Only this record, or a glob (default: all)")
    ] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
    label: Label = "",
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C")] = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Show every member: its state, and whether it is served."""
    client = AdminClient(find_daemon(config, admin, token_file))
    asked = {"name": name, "label": label}
    if watch:
        _watch(client, asked, as_json=as_json)
    _show(client, asked, as_json=as_json)


def reload(
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Reload the configuration (all or nothing)."""
    client = AdminClient(find_daemon(config, admin, token_file))
    try:
        report = client.post("/api/v1/reload")
    except RefusedError as error:
        if error.status != http.client.CONFLICT or not error.errors:
            raise
        # As the daemon would say it at its start.
        found = [ConfigProblem(field, "", message) for field, message in error.errors]
        raise ConfigError(found) from error
    if as_json:
        print_json(report)
        return
    changes = f"{report['changed']} new or changed, {report['removed']} removed"
    print_text(Text(f"Reloaded: {report['records']} records, {changes}."))
    print_error(*(f"warning: {warning}" for warning in report["warnings"]))


def _show(client: AdminClient, asked: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json_text(client.get_text(PATH, **asked))
        return
    report = client.get(PATH, **asked)
    print_text(_page(report, out().width))
    if any(asked.values()) and not report["records"]:
        name, label = asked["name"], asked["label"]
        print_error(f"no member with the label {label}" if label else f"no such record: {name}")
        raise typer.Exit(ExitCode.FAILED)


def _watch(client: AdminClient, asked: dict[str, str], *, as_json: bool) -> Never:
    """Refresh the status until Ctrl-C; retry while the daemon does not answer."""
    console = out()
    report = client.get(PATH, **asked)
    if as_json or not console.is_terminal:
        while True:
            _print_again(console, report, as_json=as_json)
            report = _next_report(client, asked)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_page(report, console.width), refresh=True)
            report = _next_report(client, asked)


def _next_report(client: AdminClient, asked: dict[str, str]) -> dict[str, Any]:
    """The status after WATCH_INTERVAL; retries until the daemon answers."""
    while True:
        threading.Event().wait(WATCH_INTERVAL)
        try:
            report: dict[str, Any] = client.get(PATH, **asked)
        except AdminClientError as error:
            print_error(str(error))
        else:
            return report


def _print_again(console: Console, report: dict[str, Any], *, as_json: bool) -> None:
    """A status for a pipe: JSON one a line, the table with an empty line behind it."""
    if as_json:
        console.file.write(json.dumps(report) + "\n")
    else:
        console.print(_page(report, console.width), soft_wrap=True, end="\n\n")
    console.file.flush()


def _page(report: dict[str, Any], width: int) -> Text:
    try:
        return Text("\n").join(status_lines(report, width))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"cannot read the response: is the daemon of another version? ({error!r})"
        raise AdminClientError(message) from error
