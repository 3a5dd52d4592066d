"""Layout of the daemon's responses for people."""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

from dnslb_backend.cli.terminal import escape, out, print_text
from dnslb_backend.errors import AdminClientError

NARROWEST = 10
LABEL_WIDTH = 8
STATE_WIDTH = len("FORCED DOWN (UP)")

Lines = Callable[[dict[str, Any], int], Iterable[Text]]
"""Lays out a response in lines of so many columns."""


def print_page(report: Any, lines: Lines) -> None:
    """Print a response. Raises AdminClientError where it is not that of a dnslb-backend."""
    try:
        page = list(lines(report, out().width))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"cannot read the response: is the daemon of another version? ({error!r})"
        raise AdminClientError(message) from error
    if page:
        print_text(Text("\n").join(page))


def wrapped(text: str, width: int, indent: str = "", style: str = "") -> Iterator[Text]:
    """`text` in as many lines as it takes, made safe for a terminal."""
    shown = escape(text)
    room = max(width - len(indent), NARROWEST)
    parts = [shown] if len(shown) <= room else textwrap.wrap(shown, room) or [""]
    for part in parts:
        yield Text(indent + part, style=style)


def field(label: str, text: str, width: int) -> Iterator[Text]:
    """A labelled line, indented, and as many more as it takes."""
    return hanging(Text.assemble((f"  {label:<{LABEL_WIDTH}} ", "dim")), text, width)


def hanging(head: Text, text: str, width: int, style: str = "") -> Iterator[Text]:
    """`text` behind `head`; what does not fit goes on below itself."""
    room = width - head.cell_len
    first, *rest = wrapped(text, room, style=style)
    line = head + first
    line.rstrip()
    yield line
    yield from (Text(" " * head.cell_len) + more for more in rest)


def member_words(row: dict[str, Any]) -> str:
    """The state of a member, and behind that of an overridden one what was measured; then how many
    sites say so, with a ! where this node says otherwise."""
    state: str = row["state"]
    if row["override"] is not None and not state.endswith(row["health"]):
        state = f"{state} ({row['health']})"
    return f"{state}{_vote_words(row['health'], row['votes'])}"


def _vote_words(health: str, votes: dict[str, Any] | None) -> str:
    if votes is None:
        return ""
    mark = "!" if votes["own"] not in (health, "UNKNOWN") else ""
    if votes["basis"] != "agreed":
        return f" {votes['basis']}{mark}"
    said = votes["up" if health == "UP" else "down"]
    return f" {said}/{votes['up'] + votes['down']}{mark}"


def override_head(override: dict[str, Any]) -> list[str]:
    """What it does, and where: `drain 192.0.2.1 in www.lb.example on ns1`."""
    weight = [] if override["weight"] is None else [str(override["weight"])]
    name = ["in", override["name"]] if override["name"] else []
    node = ["on", override["node"]] if override["node"] else []
    return [override["action"], override["target"], *weight, *name, *node]


def override_words(override: dict[str, Any], now: datetime) -> str:
    """`by alice 3m ago, ends in 1h57m: new disk`."""
    words = [f"by {override['author']}"] if override["author"] else []
    words.append(f"{age(datetime.fromisoformat(override['created']), now)} ago,")
    words.append(ends_in(override["expires"], now))
    return " ".join(words) + (f": {override['reason']}" if override["reason"] else "")


def ends_in(expires: str | None, now: datetime) -> str:
    """When an override ends: `ends in 1h57m`, or `no end`."""
    if expires is None:
        return "no end"
    return f"ends in {span((datetime.fromisoformat(expires) - now).total_seconds())}"


def moment(text: str) -> str:
    """A time of the API, to the second: `2026-01-31 12:00:00Z`."""
    return f"{text[:19].replace('T', ' ')}Z"


def age(since: datetime, now: datetime) -> str:
    """How long ago, as `span`."""
    return span((now - since).total_seconds())


def span(length: float) -> str:
    """Seconds in the two largest units at most: `12s`, `3m`, `2h05m`, `4d`."""
    seconds = max(int(length), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days >= 2:
        return f"{days}d"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m" if minutes else f"{seconds}s"
