"""`reload` of a running daemon, and what one would change."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from dnslb_backend.cli.client import AdminClient, RefusedError
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, TokenFile
from dnslb_backend.cli.terminal import print_error, print_json, print_text
from dnslb_backend.errors import ConfigError, ConfigProblem

PATH = "/api/v1/reload"

NO_ANSWERS = {
    "pending": "not known until its first check cycle has ended",
    "nodata": "no answer",
    "servfail": "SERVFAIL",
}


def reload(
    config: ConfigFile = None,
    is_dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what a reload would change")
    ] = False,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Reload the configuration (all or nothing)."""
    if is_dry_run:
        preview(config, admin, token_file, as_json=as_json)
        return
    report = _post(AdminClient(find_daemon(config, admin, token_file)), PATH)
    if as_json:
        print_json(report)
        return
    changes = f"{report['changed']} new or changed, {report['removed']} removed"
    print_text(Text(f"Reloaded: {report['records']} records, {changes}."))
    print_error(*(f"warning: {warning}" for warning in report["warnings"]))


def preview(
    config: Path | None, admin: str | None = None, token_file: Path | None = None, *, as_json: bool
) -> None:
    """Print what a reload of the daemon would change. Raises ConfigError as a start would."""
    report = _post(AdminClient(find_daemon(config, admin, token_file)), f"{PATH}/preview")
    if as_json:
        print_json(report)
        return
    print_text(Text("\n").join(map(Text, preview_lines(report))))
    print_error(*(f"warning: {warning}" for warning in report["warnings"]))


def _post(client: AdminClient, path: str) -> dict[str, Any]:
    """The report of a reload, or of its preview. Raises ConfigError as a start would."""
    try:
        report: dict[str, Any] = client.post(path)
    except RefusedError as error:
        if error.status != http.client.CONFLICT or not error.errors:
            raise
        found = [ConfigProblem(field, "", message) for field, message in error.errors]
        raise ConfigError(found) from error
    return report


def preview_lines(report: dict[str, Any]) -> Iterator[str]:
    """One line for each thing that would change, and the count of them at the end."""
    for zone in report["zones"]:
        yield f"zone {zone['zone']} {_what(zone)}"
        yield from _differences(zone)
    for view in report["views"]:
        yield f"view {view} changed"
    for record in report["changes"]:
        yield f"{record['name']} {record['type']} {_what(record)}"
        yield from _differences(record)
        yield from _answers(record)
    counts = dict.fromkeys(("added", "changed", "removed"), 0)
    for record in report["changes"]:
        counts[record["change"]] += 1
    listed = ", ".join(f"{count} {change}" for change, count in counts.items())
    answers = sum(record["answer_changed"] for record in report["changes"])
    yield f"A reload would give {report['records']} records: {listed}; {answers} answers differ."


def _what(found: dict[str, Any]) -> str:
    keys = ", ".join(found["keys"])
    return f"{found['change']}: {keys}" if keys else str(found["change"])


def _differences(found: dict[str, Any]) -> Iterator[str]:
    yield from (f"  + {text}" for text in found["added"])
    yield from (f"  - {text}" for text in found["removed"])


def _answers(record: dict[str, Any]) -> Iterator[str]:
    """What is served now, and what would be; nothing where that is the same."""
    if not record["answer_changed"]:
        return
    for when, key in (("now", "before"), ("then", "after")):
        if record[key] is not None:
            yield f"  {when}: {_answer(record[key])}"


def _answer(answer: dict[str, Any]) -> str:
    kind, contents = answer["decision"], ", ".join(answer["contents"])
    shown = contents or NO_ANSWERS.get(kind, kind)
    if contents and kind != "serve":
        shown += f" ({kind})"
    views = [f"view {view}: {', '.join(found)}" for view, found in answer["views"].items()]
    return "; ".join([shown, *views])
