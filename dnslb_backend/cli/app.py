"""The commands, and the one place that turns their errors into messages and exit codes."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Annotated

import typer

from dnslb_backend import __version__
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.cli.notation import PlainCommand, PlainGroup
from dnslb_backend.cli.terminal import print_error
from dnslb_backend.errors import ConfigError, DnslbError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("serve", "serve"),
    "check-config": ("serve", "check_config"),
    "config": ("config_show", "config"),
    "status": ("status", "status"),
    "explain": ("explain", "explain"),
    "nodes": ("nodes", "nodes"),
    "overrides": ("override_list", "overrides"),
    "drain": ("overrides", "drain"),
    "down": ("overrides", "down"),
    "up": ("overrides", "up"),
    "weight": ("overrides", "weight"),
    "clear": ("overrides", "clear"),
    "history": ("history", "history"),
    "probe": ("probe", "probe"),
    "reload": ("reload", "reload"),
    "ping": ("ping", "ping"),
    "schema": ("schema", "schema"),
    "import": ("importing", "importing"),
    "files": ("files", "files"),
    "demo": ("demo", "demo"),
    "pipe": ("pipe", "pipe"),
}
"""Each command: its module in this package, and its name there; a group of its own is a Typer.

In this order --help shows them.
"""


def commands(only: str | None = None) -> typer.Typer:
    """The command line: all of it, or only the command named.

    A daemon that restarts should answer soon: what only other commands need is not imported.
    """
    app = typer.Typer(
        name="dnslb-backend",
        cls=PlainGroup,
        help="A DNS load balancer for PowerDNS.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in COMMANDS:
        if only in COMMANDS and name != only:
            continue
        module, attribute = COMMANDS[name]
        command = getattr(import_module(f"dnslb_backend.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name, cls=PlainCommand, context_settings=_SETTINGS.get(name))(command)
    return app


_SETTINGS = {"pipe": {"allow_extra_args": True, "ignore_unknown_options": True}}


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"dnslb-backend {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version"),
    ] = False,
) -> None:
    """A DNS load balancer for PowerDNS."""


def run() -> None:
    """Run the command that sys.argv names, and end the process.

    Typer itself handles wrong usage, Ctrl-C and a closed pipe.
    """
    try:
        commands(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name="dnslb-backend")
    except ConfigError as error:
        print_error(*map(str, error.problems))
        sys.exit(ExitCode.BAD_CONFIG)
    except DnslbError as error:
        print_error(*str(error).splitlines())
        sys.exit(ExitCode.FAILED)
