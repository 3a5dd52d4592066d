"""`import`: the configuration of another project, written as one of dnslb-backend.

What reads and converts is imported when it is wanted, as the daemon is in `serve`.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnslb_backend.cli.terminal import out, print_error
from dnslb_backend.errors import SourceError

if TYPE_CHECKING:
    from dnslb_backend.importers.draft import Draft, Note

MOST_WARNINGS = 100
"""So many are shown; the comments in the result have all of them."""

importing = typer.Typer(
    help="Write the configuration of another project as one of dnslb-backend.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        readable=False,
        help="Where to write it; must not exist (default: standard output)",
    ),
]
GeoDatabase = Annotated[
    Path | None,
    typer.Option(
        "--geo-database",
        metavar="FILE",
        readable=False,
        help="An MMDB file for [geo]; without it, what depends on places has no equal",
    ),
]


@importing.command()
def lua(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A zone file; - is standard input")
    ],
    zone: Annotated[
        str | None,
        typer.Option("--zone", metavar="NAME", help="The zone, if SOURCE has relative names only"),
    ] = None,
    geo_database: GeoDatabase = None,
    output: Output = None,
) -> None:
    """From a PowerDNS zone with LUA records: a zone file, or what pdnsutil list-zone prints."""
    from dnslb_backend.importers.lua import draft_of_zone  # noqa: PLC0415 -- see the module
    from dnslb_backend.importers.sources import read_text, shown_name  # noqa: PLC0415

    _refuse_existing(output)
    draft = draft_of_zone(read_text(source), shown_name(source), zone, _absolute(geo_database))
    _finish(draft, output)


@importing.command()
def powergslb(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A dump (- is standard input), or mysql://USER@HOST/DATABASE"
        ),
    ],
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file",
            metavar="FILE",
            readable=False,
            help="The password of USER (default: DNSLB_IMPORT_PASSWORD in the environment)",
        ),
    ] = None,
    geo_database: GeoDatabase = None,
    output: Output = None,
) -> None:
    """From PowerGSLB's database: a dump, or the server itself."""
    from dnslb_backend.importers import sources  # noqa: PLC0415 -- see the module
    from dnslb_backend.importers.powergslb import draft_of_tables  # noqa: PLC0415
    from dnslb_backend.importers.powergslb_tables import TABLES  # noqa: PLC0415
    from dnslb_backend.importers.sql_dump import read_tables  # noqa: PLC0415

    _refuse_existing(output)
    name = sources.shown_name(source)
    if sources.is_url(source):
        from dnslb_backend.importers.database import login_of, read_database  # noqa: PLC0415

        tables = asyncio.run(read_database(login_of(source, password_file)))
    elif password_file is not None:
        raise typer.BadParameter("it is for a URL", param_hint="--password-file")
    else:
        tables = read_tables(sources.read_text(source), TABLES, name)
    _finish(draft_of_tables(tables, name, _absolute(geo_database)), output)


def _absolute(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())


def _finish(draft: "Draft", output: Path | None) -> None:
    from dnslb_backend.importers.acceptance import accepted_text  # noqa: PLC0415 -- see the module

    text = accepted_text(draft)
    if output is None:
        out().file.write(text)
    else:
        _write(output, text)
    _warn(draft.notes)


def _warn(notes: Sequence["Note"]) -> None:
    print_error(*(f"warning: {note}" for note in notes[:MOST_WARNINGS]))
    if (more := len(notes) - MOST_WARNINGS) > 0:
        print_error(f"warning: … and {more} more: each is a comment in the result")


def _refuse_existing(output: Path | None) -> None:
    if output is not None and os.path.lexists(output):
        raise SourceError(f"{output}: exists already and is not overwritten")


def _write(path: Path, text: str) -> None:
    """All of it or nothing, and never over another file. Raises SourceError."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
    except FileExistsError as error:
        raise SourceError(f"{path}: exists already and is not overwritten") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be written: {error.strerror}") from error
