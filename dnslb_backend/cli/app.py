"""The commands, and the one frame that turns their errors into words and exit codes."""

import sys
from typing import Annotated

import typer

from dnslb_backend import __version__
from dnslb_backend.cli.demo import demo
from dnslb_backend.cli.exits import Exit
from dnslb_backend.cli.explain import explain
from dnslb_backend.cli.history import history
from dnslb_backend.cli.orders import clear, down, drain, up
from dnslb_backend.cli.pipe import pipe
from dnslb_backend.cli.probe import probe
from dnslb_backend.cli.schema import schema
from dnslb_backend.cli.screen import complain
from dnslb_backend.cli.serve import check_config, serve
from dnslb_backend.cli.status import reload, status
from dnslb_backend.errors import ConfigError, DnslbError

app = typer.Typer(
    name="dnslb-backend",
    help="A DNS load balancer for PowerDNS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"dnslb-backend {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version"),
    ] = False,
) -> None:
    """A DNS load balancer for PowerDNS."""


app.command("serve")(serve)
app.command("check-config")(check_config)
app.command("status")(status)
app.command("explain")(explain)
app.command("drain")(drain)
app.command("down")(down)
app.command("up")(up)
app.command("clear")(clear)
app.command("history")(history)
app.command("probe")(probe)
app.command("reload")(reload)
app.add_typer(schema, name="schema")
app.command("demo")(demo)
app.command("pipe", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    pipe
)


def run() -> None:
    """Run the command that sys.argv names, and end the process.

    Typer itself sees to wrong usage, to Ctrl-C and to readers that leave early.
    """
    try:
        app(prog_name="dnslb-backend")
    except ConfigError as error:
        complain(*map(str, error.problems))
        sys.exit(Exit.BAD_CONFIG)
    except DnslbError as error:
        complain(*str(error).splitlines())
        sys.exit(Exit.FAILED)
