"""`overrides`: what is in force or pending, by whom, until when, and what it affects.

drain 192.0.2.1
  set      2026-01-31 12:00:00Z by alice, 3m ago
  ends     2026-01-31 14:00:00Z, in 1h57m
  reason   new disk
  affects  1 member in 1 record: www.lb.example/A 192.0.2.1
  id       2c1f6c0e
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, TokenFile
from dnslb_backend.cli.pages import age, field, moment, override_head, print_page, span, wrapped
from dnslb_backend.cli.terminal import counted, print_json_text

PATH = "/api/v1/overrides"

OverrideJson = dict[str, Any]


def overrides(
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """List the overrides in force or pending, oldest first, and what each affects."""
    client = AdminClient(find_daemon(config, admin, token_file))
    if as_json:
        print_json_text(client.get_text(PATH))
        return
    print_page(client.get(PATH), _lines)


def _lines(report: dict[str, Any], width: int) -> Iterator[Text]:
    now = datetime.fromisoformat(report["time"])
    if not report["overrides"]:
        yield Text("no overrides")
    for index, override in enumerate(report["overrides"]):
        if index:
            yield Text()
        yield from _override_lines(override, report["node"], now, width)


def _override_lines(
    override: OverrideJson, this_node: str, now: datetime, width: int
) -> Iterator[Text]:
    yield from wrapped(" ".join(override_head(override)), width, style="bold")
    author = f" by {override['author']}" if override["author"] else ""
    ago = age(datetime.fromisoformat(override["created"]), now)
    yield from field("set", f"{moment(override['created'])}{author}, {ago} ago", width)
    if override["pending"]:
        yield from field("begins", _moment_in(override["starts"], now), width)
    yield from field("ends", _end(override["expires"], now), width)
    if override["reason"]:
        yield from field("reason", override["reason"], width)
    yield from field("affects", _affected(override, this_node), width)
    yield from field("id", override["id"], width)


def _end(expires: str | None, now: datetime) -> str:
    if expires is None:
        return "when it is cleared"
    return _moment_in(expires, now)


def _moment_in(text: str, now: datetime) -> str:
    """`2026-01-31 14:00:00Z, in 1h57m`."""
    left = span((datetime.fromisoformat(text) - now).total_seconds())
    return f"{moment(text)}, in {left}"


def _affected(override: OverrideJson, this_node: str) -> str:
    affects = override["affects"]
    if override["node"] not in ("", this_node):
        return f"nothing on {this_node}: it is for {override['node']}"
    if override["pending"]:
        return "nothing until it begins"
    if not affects["members"]:
        return "nothing now: no member matches it, or another override takes its place"
    more = affects["members"] - len(affects["first"])
    rest = f", and {more} more" if more else ""
    members = counted(affects["members"], "member")
    records = counted(affects["records"], "record")
    return f"{members} in {records}: {', '.join(affects['first'])}{rest}"
