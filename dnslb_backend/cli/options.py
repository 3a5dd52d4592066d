"""Switches that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from dnslb_backend.cli.config_file import DEFAULT_FILE, FILE_VARIABLE

DAEMON_PANEL = "The daemon to ask"

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        envvar=FILE_VARIABLE,
        show_envvar=False,
        readable=False,
        help=f"Configuration file (default: ${FILE_VARIABLE}, else {DEFAULT_FILE})",
    ),
]
BaseDirectory = Annotated[
    Path | None,
    typer.Option(
        "-C",
        "--base",
        "--confdir",
        metavar="DIR",
        readable=False,
        help="Directory for load_records and -m (default: the directory of FILE)",
    ),
]
RecordFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "-r",
        "--records",
        "--record-file",
        metavar="FILE",
        readable=False,
        help="Another record file; repeatable",
    ),
]
MaskedFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "-m",
        "--mask",
        "--mask-record-file",
        metavar="FILE",
        readable=False,
        help="A file that load_records skips; repeatable",
    ),
]
Label = Annotated[
    str, typer.Option("--label", metavar="LABEL", help="Only members with this label: dc=fra")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]
AdminUrl = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="URL",
        help="URL of the daemon, instead of admin.listen in FILE",
        rich_help_panel=DAEMON_PANEL,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        readable=False,
        help="File with a token, or lines ROLE TOKEN [NAME]",
        rich_help_panel=DAEMON_PANEL,
    ),
]
