"""The status as a table for people: a headline a record, a line a member, 80 columns.

    www.lb.example A: 1 of 2 served, ttl 5 s
      10.0.0.1 UP               served p2       3m 200 OK
      10.0.0.2 DOWN             -      p-      12s timed out after 2 s

Lines are put together here, because laying out ten thousand of them in one table of rich takes
seconds. The width of a column is that of the whole table, so that the eye can follow it.
"""

import textwrap
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from dnslb_backend.cli.node_lines import node_lines
from dnslb_backend.cli.pages import STATE_WIDTH, age, member_words
from dnslb_backend.cli.styles import HEALTH_STYLES
from dnslb_backend.cli.terminal import escape

STYLES = {"serving": "", "pending": "bold yellow"}
"""By the service of a record; any other is a failure."""

NARROWEST_REASON = 16

StatusRow = dict[str, Any]


def status_lines(status: dict[str, Any], width: int) -> Iterator[Text]:
    """The lines of a status as /api/v1/status gives it."""
    now = datetime.fromisoformat(status["time"])
    yield from node_lines(status, now, width)
    members: dict[tuple[str, str, str], list[StatusRow]] = defaultdict(list)
    for member in status["members"]:
        members[_key(member)].append(member)
    widest = max((len(member["content"]) for member in status["members"]), default=0)
    widest = min(widest, 39)
    for record in status["records"]:
        yield Text()
        yield from _record_lines(record, width)
        for row in members[_key(record)]:
            yield from _member_lines(row, now, widest, width)


def _key(row: StatusRow) -> tuple[str, str, str]:
    return (row["zone"], row["name"], row["type"])


def _record_lines(record: StatusRow, width: int) -> Iterator[Text]:
    facts = [record["summary"]]
    if record["held"]:
        facts.append("a change waits for the check cycle to end")
    facts.append(f"ttl {record['ttl']} s")
    head = f"{record['name']} {record['type']}: "
    style = STYLES.get(record["service"], "bold red")
    for index, line in enumerate(_wrap(escape(head + ", ".join(facts)), width)):
        text = Text(line, style=style)
        if index == 0:
            text.stylize("bold", 0, len(head))
        yield text
    for host in record["hosts"]:
        if host["overdue"] or (host["resolution"] in ("failed", "nxdomain")):
            warning = f"{host['host']} does not resolve: {host['text'] or host['resolution']}"
            yield from _wrapped(warning, "  ", width, "yellow")
        if host["ignored"]:
            warning = f"{host['host']}: {host['ignored']} addresses over max_addresses are ignored"
            yield from _wrapped(warning, "  ", width, "yellow")


def _member_lines(row: StatusRow, now: datetime, widest: int, width: int) -> Iterator[Text]:
    priority = "-" if row["priority"] is None else str(row["priority"])
    since = age(datetime.fromisoformat(row["since"]), now) if row["since"] else "-"
    content, reason = escape(row["content"]), escape(_why(row))
    head = Text.assemble("  ", (f"{content:<{widest}} ", "" if row["served"] else "dim"))
    head.append(f"{member_words(row):<{STATE_WIDTH}} ", HEALTH_STYLES[row["effective"]])
    head.append(f"{'served' if row['served'] else '-':<6} ", "green" if row["served"] else "dim")
    head.append(f"p{priority:<3} {since:>6} ")
    room = width - head.cell_len
    if room < NARROWEST_REASON:
        head.rstrip()
        yield head
        yield from _wrapped(reason, " " * 6, width, "")
        return
    first, *rest = _wrap(reason, room)
    head.append(first)
    head.rstrip()
    yield head
    yield from (Text(" " * (width - room) + line) for line in rest)


def _why(row: StatusRow) -> str:
    """The reason; in front of it the views, if the member is for those alone."""
    reason: str = row["reason"]
    return f"for {', '.join(row['views'])}: {reason}" if row["views"] else reason


def _wrapped(text: str, indent: str, width: int, style: str) -> Iterator[Text]:
    for line in _wrap(escape(text), width - len(indent)):
        yield Text(indent + line, style=style)


def _wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, one at least; most need no breaking, and that takes its time."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width) or [""]
