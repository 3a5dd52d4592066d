"""The status as a table for people: a headline a record, a line a member, the worst record first.

    www.lb.example A: 1 of 2 served, policy weighted, ttl 5 s
      10.0.0.1 UP   served p2   w95      3m 200 OK
      10.0.0.2 DOWN -      p2   w5      12s timed out after 2 s

Lines are put together here, because laying out ten thousand of them in one table of rich takes
seconds. The width of a column is that of the whole table, so that the eye can follow it; a content
that is too long for its column has a line of its own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.text import Text

from dnslb_backend.cli.node_lines import node_lines
from dnslb_backend.cli.pages import age, hanging, member_words, override_words, wrapped
from dnslb_backend.cli.status_selection import (
    Group,
    StatusFilter,
    StatusRow,
    is_unresolved,
    summary,
)
from dnslb_backend.cli.styles import HEALTH_STYLES
from dnslb_backend.cli.terminal import counted, escape

STYLES = {"serving": "", "pending": "bold yellow"}
"""By the service of a record; any other is a failure."""

NARROWEST_REASON = 16
NARROWEST_CONTENT = 15
REASON_WIDTH = 22
"""Columns kept for the reason before a content gets a line of its own."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths of a table in a terminal of `total` columns, at the moment `now`."""

    total: int
    content: int
    state: int
    has_weights: bool
    now: datetime

    @classmethod
    def fit(cls, groups: Sequence[Group], total: int, now: datetime) -> "Columns":
        rows = [row for group in groups for row in group.members]
        state = max((len(member_words(row)) for row in rows), default=0)
        has_weights = any(map(_is_weighted, groups))
        others = len("   served p100     2h05m ") + state + (5 if has_weights else 0)
        room = max(total - others - REASON_WIDTH, NARROWEST_CONTENT)
        lengths = (len(escape(row["content"])) for row in rows)
        content = max((length for length in lengths if length <= room), default=0)
        return cls(total, content, state, has_weights, now)


def status_blocks(
    status: dict[str, Any], selection: StatusFilter, width: int
) -> Iterator[list[Text]]:
    """The lines about the node, then those of each record that is wanted."""
    now = datetime.fromisoformat(status["time"])
    found = selection.of_zone(status)
    yield [*node_lines(status, now, width), *wrapped(summary(found), width)]
    groups = selection.narrow(found)
    if found and not groups:
        yield [Text(), Text("no member is DOWN" if selection.down else "no problems")]
    columns = Columns.fit(groups, width, now)
    for group in groups:
        yield [Text(), *_record_lines(group.record, width), *_members_lines(group, columns)]


def cut(blocks: Iterable[list[Text]], height: int, hint: str = "") -> list[Text]:
    """As many lines as fit `height`; the last one says how many records are not all shown."""
    head, *records = blocks
    lines = list(head)
    for left, block in zip(range(len(records), 0, -1), records, strict=True):
        if len(lines) + len(block) > (height if left == 1 else height - 1):
            more = Text(f"… {counted(left, 'more record')}{hint}", "dim")
            return [*[*lines, *block][: height - 1], more]
        lines += block
    return lines[:height]


def _is_weighted(group: Group) -> bool:
    """Whether the weights of its members matter."""
    return bool(group.record["policy"] != "all")


def _record_lines(record: StatusRow, width: int) -> Iterator[Text]:
    facts = [record["summary"]]
    if record["held"]:
        facts.append("a change waits for the check cycle to end")
    if record["policy"] != "all":
        facts.append(f"policy {record['policy']}")
    facts.append(f"ttl {record['ttl']} s")
    head = f"{record['name']} {record['type']}: "
    lines = wrapped(head + ", ".join(facts), width, style=STYLES.get(record["service"], "bold red"))
    for index, text in enumerate(lines):
        if index == 0:
            text.stylize("bold", 0, len(head))
        yield text
    for host in record["hosts"]:
        if is_unresolved(host):
            warning = f"{host['host']} does not resolve: {host['text'] or host['resolution']}"
            yield from wrapped(warning, width, "  ", "yellow")
        if host["ignored"]:
            warning = f"{host['host']}: {host['ignored']} addresses over max_addresses are ignored"
            yield from wrapped(warning, width, "  ", "yellow")


def _members_lines(group: Group, columns: Columns) -> Iterator[Text]:
    is_weighted = _is_weighted(group)
    for row in group.members:
        yield from _member_lines(row, columns, is_weighted=is_weighted)


def _member_lines(row: StatusRow, columns: Columns, *, is_weighted: bool) -> Iterator[Text]:
    content, style = escape(row["content"]), "" if row["served"] else "dim"
    if len(content) > columns.content:
        yield from wrapped(content, columns.total, "  ", style)
        content = ""
    head = Text.assemble("  ", (f"{content:<{columns.content}} ", style))
    head.append(f"{member_words(row):<{columns.state}} ", HEALTH_STYLES[row["effective"]])
    head.append(f"{'served' if row['served'] else '-':<6} ", "green" if row["served"] else "dim")
    head.append(f"p{_priority(row):<3} ")
    if columns.has_weights:
        head.append(f"w{row['weight']:<3} " if is_weighted else " " * 5)
    since = age(datetime.fromisoformat(row["since"]), columns.now) if row["since"] else "-"
    head.append(f"{since:>6} ")
    yield from _with_reason(head, _why(row, columns.now), columns.total)


def _with_reason(head: Text, reason: str, width: int) -> Iterator[Text]:
    """The reason behind the columns, or below them where they leave too little room."""
    if width - head.cell_len < NARROWEST_REASON:
        head.rstrip()
        yield head
        yield from wrapped(reason, width, " " * 6) if reason else ()
        return
    yield from hanging(head, reason, width)


def _priority(row: StatusRow) -> str:
    """The priority in force, and for a member without one that it was configured with."""
    known = row["priority"] if row["priority"] is not None else row["configured_priority"]
    return "-" if row["fallback"] else str(known)


def _why(row: StatusRow, now: datetime) -> str:
    """The reason; in front of it the views, if the member is for those alone."""
    override = row["override"]
    reason: str = override_words(override, now) if override else row["reason"]
    return f"for {', '.join(row['views'])}: {reason}" if row["views"] else reason
