"""`pipe`: what PowerDNS starts, listed beside the other commands.

`__main__` runs it before this module is imported; only a switch in front of it leads here.
"""

import typer

from dnslb_backend.pdns.connectors import coprocess


def pipe(context: typer.Context) -> None:
    """Pass requests of PowerDNS, which starts this, to the daemon's unix socket."""
    raise typer.Exit(coprocess.main(context.args))
