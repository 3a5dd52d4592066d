"""`nodes`: the nodes that decide together, as the one that is asked sees them.

ns1, of site dc1: 12 targets agreed
  node site     seen questions   UP DOWN
  ns1  dc1      here alike       12    0
  ns2  dc2        0s alike       12    0
  ns3  dc3       42s others      10    2 does not count: silent for 42 s
"""

from collections.abc import Iterator
from typing import Any

from rich.text import Text

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, TokenFile
from dnslb_backend.cli.pages import hanging, print_page, span, wrapped
from dnslb_backend.cli.terminal import escape, print_json_text

PATH = "/api/v1/nodes"

NodeJson = dict[str, Any]


def nodes(
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Show the nodes that decide together, and what their votes are worth."""
    client = AdminClient(find_daemon(config, admin, token_file))
    if as_json:
        print_json_text(client.get_text(PATH))
        return
    print_page(client.get(PATH), _lines)


def _lines(report: dict[str, Any], width: int) -> Iterator[Text]:
    if not report["quorum"]:
        yield from wrapped(f"{report['node']} decides alone: it has no [quorum]", width)
        return
    counts = ", ".join(f"{n} targets {basis}" for basis, n in report["targets"].items() if n)
    role = f"of site {report['site']}" if report["votes"] else "which follows the others"
    head = f"{report['node']}, {role}: {counts or 'no target is voted on'}"
    yield from wrapped(head, width, style="bold")
    names = max([len("node"), *(len(escape(row["node"])) for row in report["nodes"])])
    sites = max([len("site"), *(len(escape(row["site"])) for row in report["nodes"])])
    title = f"  {'node':<{names}} {'site':<{sites}} {'seen':>7} questions {'UP':>5} {'DOWN':>5}"
    yield Text(title, "dim")
    for row in report["nodes"]:
        yield from _node_lines(row, names, sites, width)


def _node_lines(row: NodeJson, names: int, sites: int, width: int) -> Iterator[Text]:
    seen = "here" if row["this"] else "never" if row["age"] is None else span(row["age"])
    alike = "alike" if row["alike"] else "others"
    head = f"  {escape(row['node']):<{names}} {escape(row['site']):<{sites}} {seen:>7} "
    head += f"{alike:<9} {row['up']:>5} {row['down']:>5} "
    words = [f"does not count: {row['why_not']}"] if row["why_not"] else []
    words += [f"outvoted on {row['outvoted']}"] if row["outvoted"] else []
    style = "" if row["counts"] else "yellow"
    return hanging(Text(head, style), ", ".join(words), width)
