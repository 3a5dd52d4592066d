"""`explain`: how an answer is built, from the name to the rows.

www.lb.example A for 10.0.0.0/8: NOERROR
  zone      lb.example
  answer    192.0.2.1 (ttl 5 s, scope /8)

www.lb.example A: serving
  views     office; it serves
  policy    weighted, at most 1, random: the next one may differ
  192.0.2.1 UP               p2   w1   answered   serves
  192.0.2.2 DOWN             p-   w1   left out   timed out after 2 s
"""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.completion import complete_name, complete_target
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, TokenFile
from dnslb_backend.cli.pages import (
    STATE_WIDTH,
    field,
    hanging,
    member_words,
    moment,
    print_page,
    wrapped,
)
from dnslb_backend.cli.styles import HEALTH_STYLES
from dnslb_backend.cli.terminal import escape, print_json_text

PATH = "/api/v1/explain"
WIDEST_CONTENT = 39
NARROWEST_REASON = 16
VERDICTS = {
    "NOERROR": "green",
    "NODATA": "yellow",
    "NXDOMAIN": "yellow",
    "SERVFAIL": "red",
    "REFUSED": "yellow",
}

ExplainRow = dict[str, Any]


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Absolute, or relative to its zone",
            autocompletion=complete_name,
        ),
    ],
    qtype: Annotated[str, typer.Argument(metavar="TYPE", help="Default: all types")] = "ANY",
    client: Annotated[
        str, typer.Option("--client", metavar="IP", help="Address or network of the client")
    ] = "",
    down: Annotated[
        str,
        typer.Option(
            "--down",
            metavar="TARGET",
            help="Suppose that this target, or glob, is down",
            autocompletion=complete_target,
        ),
    ] = "",
    weight: Annotated[
        str,
        typer.Option(
            "--weight",
            metavar="TARGET=N",
            help="Suppose that this target, label or glob, has this weight",
        ),
    ] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Show how an answer is built, and why each member is in it or left out."""
    daemon = AdminClient(find_daemon(config, admin, token_file))
    asked = {"name": name, "type": qtype, "client": client, "down": down}
    asked["weight"] = weight
    if as_json:
        print_json_text(daemon.get_text(PATH, **asked))
        return
    print_page(daemon.get(PATH, **asked), _lines)


def _lines(report: ExplainRow, width: int) -> Iterator[Text]:
    for_whom = f" for {report['client']}" if report["client"] else ""
    supposed = f" if {report['down']} were down" if report["down"] else ""
    supposed += f" with the weight {report['weight']}" if report["weight"] else ""
    verdict = report["verdict"]
    head = f"{report['name']} {report['type']}{for_whom}{supposed}: {verdict}"
    yield from wrapped(head, width, style=f"bold {VERDICTS.get(verdict, 'yellow')}")
    yield from field("zone", report["zone"] or "not served here", width)
    if report["via"]:
        yield from field("via", " -> ".join(report["via"]), width)
    for number, row in enumerate(report["answer"]):
        scope = f", scope /{row['scope']}" if row["scope"] else ""
        text = f"{row['type']} {row['content']} (ttl {row['ttl']} s{scope})"
        yield from field("" if number else "answer", text, width)
    for record in report["records"]:
        yield Text()
        yield from _record_lines(record, width)


def _record_lines(record: ExplainRow, width: int) -> Iterator[Text]:
    head = f"{record['name']} {record['type']}: {record['service']}"
    yield from wrapped(head, width, style="bold")
    yield from field("views", _views(record), width)
    yield from field("policy", _policy(record), width)
    yield from field("tiers", _tiers(record), width)
    if record["decision"] != "serve":
        yield from field("all_down", record["all_down"], width)
    scope = f", holds for /{record['scope']}" if record["scope"] else ""
    yield from field("ttl", f"{record['ttl']} s{scope}", width)
    widest = max((len(escape(row["content"])) for row in record["members"]), default=0)
    for row in record["members"]:
        yield from _member_lines(row, min(widest, WIDEST_CONTENT), width)
    for warning in record["warnings"]:
        yield from wrapped(f"warning: {warning}", width, "  ", "yellow")


def _member_lines(row: ExplainRow, widest: int, width: int) -> Iterator[Text]:
    priority = "-" if row["priority"] is None else str(row["priority"])
    head = Text.assemble("  ", (f"{escape(row['content']):<{widest}} ", ""))
    head.append(f"{member_words(row):<{STATE_WIDTH}} ", HEALTH_STYLES[row["effective"]])
    head.append(f"p{priority:<3} w{row['weight']:<3} ")
    head.append(f"{row['outcome']:<10} ", "green" if row["picked"] else "dim")
    if width - head.cell_len < NARROWEST_REASON:
        yield head
        yield from wrapped(row["reason"], width, " " * 6)
    else:
        yield from hanging(head, row["reason"], width)
    if row["votes"] and row["votes"]["probers"] is not None:
        probers = ", ".join(row["votes"]["probers"]) or "no node"
        yield from wrapped(f"probed by {probers}", width, " " * 6)
    for vote in row["votes"]["by"] if row["votes"] else ():
        yield from wrapped(_vote(vote), width, " " * 6, "" if vote["counts"] else "dim")


def _vote(vote: ExplainRow) -> str:
    """`ns2 (dc2) says DOWN since 2026-01-31 12:03:11Z: timed out after 2 s`."""
    since = f" since {moment(vote['since'])}" if vote["since"] else ""
    text = f": {vote['text']}" if vote["text"] else ""
    site = f" ({vote['site']})" if vote["site"] != vote["node"] else ""
    unheard = f"; does not count: {vote['why_not']}" if vote["why_not"] else ""
    return f"{vote['node']}{site} says {vote['says']}{since}{text}{unheard}"


def _views(record: ExplainRow) -> str:
    if not record["views"]:
        return "the client is in none"
    tried = ", ".join(record["views"])
    return f"{tried}; {record['view'] or 'none of them'} serves"


def _policy(record: ExplainRow) -> str:
    chance = ", random: the next answer may differ" if record["by_chance"] else ""
    limit = f"at most {record['max_answers']}{' (fits UDP)' if record['fits_udp'] else ''}"
    return f"{record['policy']}, {limit}{chance}"


def _tiers(record: ExplainRow) -> str:
    lowest = record["threshold"]
    opened = "none open" if lowest is None else f"open down to priority {lowest}"
    return f"{opened}, prio_min_cnt {record['prio_min_cnt']}"
