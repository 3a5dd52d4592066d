"""`status --all-nodes`: the records that the nodes of a fleet do not answer alike.

3 nodes compared: ns1, ns2, ns3
www.lb.example A
  ns1, ns2   serving: 192.0.2.1, 192.0.2.2
  ns3        serving: 192.0.2.2
"""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.pages import print_page, wrapped
from dnslb_backend.cli.terminal import counted, escape, print_json_text

PATH = "/api/v1/differences"

INDENT = " " * 6


def show_differences(client: AdminClient, *, as_json: bool) -> None:
    """Raises AdminClientError."""
    if as_json:
        print_json_text(client.get_text(PATH))
        return
    print_page(client.get(PATH), _lines)


def _lines(report: dict[str, Any], width: int) -> Iterator[Text]:
    nodes, records = report["nodes"], report["records"]
    yield from wrapped(f"{counted(len(nodes), 'node')} compared: {', '.join(nodes)}", width)
    if not records:
        yield Text("All answer alike.", "green")
    for record in records:
        yield Text()
        yield from wrapped(f"{record['name']} {record['type']}", width, style="bold")
        yield from _answers(record, width)
    if report["more"]:
        yield Text()
        yield Text("There are more records that differ.", "yellow")


def _answers(record: dict[str, Any], width: int) -> Iterator[Text]:
    """Each answer once, behind the nodes that give it."""
    nodes: dict[str, list[str]] = {}
    for row in record["answers"]:
        nodes.setdefault(_words(row), []).append(escape(row["node"]))
    for words, names in nodes.items():
        yield from wrapped(", ".join(names), width, "  ", "cyan")
        yield from wrapped(words, width, INDENT)


def _words(row: dict[str, Any]) -> str:
    if row["service"] is None:
        return "has no such record"
    answers = []
    for pool in row["answer"]:
        weights = pool["weights"] or [None] * len(pool["contents"])
        contents = [
            content if weight is None else f"{content} w{weight}"
            for content, weight in zip(pool["contents"], weights, strict=True)
        ]
        view = f"{pool['view']}: " if pool["view"] else ""
        if contents or not pool["view"]:
            answers.append(view + (", ".join(contents) or "nothing"))
    return f"{row['service']}: {'; '.join(answers)}"
