"""`demo`: the whole thing on this machine, with targets of its own."""

from typing import Annotated

import typer


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Prove that answers follow health, then exit")
    ] = False,
    fleet: Annotated[
        bool,
        typer.Option("--fleet", help="Three nodes that decide together: one of them is cut off"),
    ] = False,
) -> None:
    """Run targets, the daemon and PowerDNS on this machine, and print what to try."""
    from dnslb_backend.demo.run import run_demo  # noqa: PLC0415 -- only this command needs servers

    raise typer.Exit(run_demo(once=once, fleet=fleet))
