"""`drain`, `down`, `up`, `weight` and `clear`: overrides of what checks measured."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from dnslb_backend.cli.client import AdminClient
from dnslb_backend.cli.completion import complete_name, complete_override, complete_target
from dnslb_backend.cli.daemon_address import find_daemon
from dnslb_backend.cli.durations import parse_duration, parse_start
from dnslb_backend.cli.options import AdminUrl, AsJson, ConfigFile, TokenFile
from dnslb_backend.cli.pages import moment, override_head, print_page, wrapped
from dnslb_backend.cli.terminal import print_json

PATH = "/api/v1/overrides"
MAX_WEIGHT = 65535
WAS = {"flapping": "was held out by damping", "waiting": "was waiting for failback"}

TARGET_HELP = "An address, a destination host, a label (dc=fra), or a glob, quoted"

Target = Annotated[
    str, typer.Argument(metavar="TARGET", help=TARGET_HELP, autocompletion=complete_target)
]
Overridden = Annotated[
    str, typer.Argument(metavar="TARGET", help=TARGET_HELP, autocompletion=complete_override)
]
RecordName = Annotated[
    str,
    typer.Option(
        "--record",
        metavar="NAME",
        help="Only this record (default: all)",
        autocompletion=complete_name,
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(
        "--for",
        metavar="TIME",
        parser=parse_duration,
        help="How long: 90s, 15m, 2h, 1d (default: until cleared)",
    ),
]
Start = Annotated[
    dict[str, Any] | None,
    typer.Option(
        "--at",
        metavar="TIME",
        parser=parse_start,
        help="When it begins: 2026-01-31T02:00Z, or in 90s, 15m, 2h, 1d (default: now)",
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Reason, shown to others")]
Node = Annotated[
    str, typer.Option("--node", metavar="NODE", help="Only on this node (default: all)")
]
Force = Annotated[
    bool, typer.Option("--force", help="Also where a record loses its last serving member")
]


def _override_command(action: str, text: str) -> Callable[..., None]:
    """The command that sets an override with this action; `text` is its help."""

    def command(
        target: Target,
        record: RecordName = "",
        duration: Duration = None,
        start: Start = None,
        reason: Reason = "",
        node: Node = "",
        force: Force = False,
        config: ConfigFile = None,
        as_json: AsJson = False,
        admin: AdminUrl = None,
        token_file: TokenFile = None,
    ) -> None:
        override = {
            "target": target,
            "action": action,
            "name": record,
            "node": node,
            "reason": reason,
            "force": force,
        }
        client = AdminClient(find_daemon(config, admin, token_file))
        _create(client, override, start, duration, as_json=as_json)

    command.__doc__ = text
    return command


drain = _override_command("drain", "Stop handing out a target; keep checking it.")
down = _override_command("down", "Treat a target as if its checks failed.")
up = _override_command("up", "Treat a target as if its checks passed.")


def weight(
    target: Target,
    number: Annotated[
        int,
        typer.Argument(metavar="N", min=0, max=MAX_WEIGHT, help="0: only if no other has more"),
    ],
    record: RecordName = "",
    duration: Duration = None,
    start: Start = None,
    reason: Reason = "",
    node: Node = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Give a target another weight, for records whose policy counts weights."""
    override = {
        "target": target,
        "action": "weight",
        "weight": number,
        "name": record,
        "node": node,
        "reason": reason,
    }
    client = AdminClient(find_daemon(config, admin, token_file))
    _create(client, override, start, duration, as_json=as_json)


def _create(
    client: AdminClient,
    override: dict[str, Any],
    start: dict[str, Any] | None,
    duration: float | None,
    *,
    as_json: bool,
) -> None:
    """Set an override from `start` on, for `duration` seconds, and print what it affects."""
    end = {} if duration is None else {"expires_in": duration}
    created = client.post(PATH, {**override, **(start or {}), **end})
    if as_json:
        print_json(created)
        return
    print_page(created, lambda report, width: wrapped(_sentence(report), width))


def clear(
    target: Overridden,
    record: RecordName = "",
    force: Force = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
    admin: AdminUrl = None,
    token_file: TokenFile = None,
) -> None:
    """Clear overrides, and readmit members held out by damping or failback.

    TARGET is that of the override, a glob over it, or the id of one override.
    """
    client = AdminClient(find_daemon(config, admin, token_file))
    report = client.delete(PATH, target=target, name=record, force="true" if force else "")
    if as_json:
        print_json(report)
        return
    print_page(report, _cleared_lines)


def _cleared_lines(report: dict[str, Any], width: int) -> Any:
    for override in report["cleared"]:
        yield from wrapped(f"Cleared: {_sentence(override, is_cleared=True)}", width)
    for row in report["readmitted"]:
        which = f"{row['content']} in {row['name']} {row['type']}"
        yield from wrapped(f"Readmitted: {which} ({WAS[row['was']]})", width)


def _sentence(override: dict[str, Any], *, is_cleared: bool = False) -> str:
    """`drain 192.0.2.1 in www.lb.example on ns1 until 2026-01-31 12:00:00Z (new disk)`."""
    words = override_head(override)
    if override["pending"]:
        words += ["from", moment(override["starts"])]
    if override["expires"]:
        words += ["until", moment(override["expires"])]
    elif not is_cleared:
        words += ["until cleared"]
    return " ".join(words) + (f" ({override['reason']})" if override["reason"] else "")
