"""`files export`: what a host needs beside the program, as it is shipped in the package.

The files lie in dnslb_backend/share once the package is installed, and in a checkout where they
are edited; sql/ has a place of its own, since `schema apply` reads it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from dnslb_backend.cli.options import AsJson
from dnslb_backend.cli.terminal import out, print_json
from dnslb_backend.errors import DnslbError

SHIPPED = (
    "configs/completion",
    "configs/dnslb.schema.json",
    "configs/dnslb.toml",
    "configs/grafana",
    "configs/minimal.toml",
    "configs/prometheus",
    "configs/records.d",
    "configs/records.schema.json",
    "configs/systemd",
    "pdns",
    "sql",
)
"""Files and folders, named as in the tree; pyproject.toml puts the same into the wheel."""

files = typer.Typer(
    help="Units, PowerDNS configurations, alerts, dashboard, SQL.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class ExportError(DnslbError):
    """A file cannot be written, or is there already and differs."""


@files.callback()
def _group() -> None:
    """A group, although it has one command."""


@files.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Made if it is missing")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there and differ")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the units, PowerDNS configurations, alerts, dashboard and SQL into a folder."""
    shipped = {directory / name: content for name, content in shipped_files().items()}
    found = {path: _content(path) for path in shipped}
    if not force and (
        others := [str(p) for p, data in found.items() if _differs(data, shipped[p])]
    ):
        listed = "\n".join(f"  {path}" for path in others)
        raise ExportError(f"nothing was written: these differ, --force replaces them:\n{listed}")
    written = [path for path, content in shipped.items() if found[path] != content]
    for path in written:
        _write(path, shipped[path])
    if as_json:
        print_json({"written": [str(path) for path in written]})
        return
    same = len(shipped) - len(written)
    summary = f"Wrote {len(written)} files to {directory}; {same} were there already."
    out().print(summary, soft_wrap=True)


def shipped_files() -> Mapping[str, bytes]:
    """Every file by its path in the tree."""
    return dict(sorted(_shipped()))


def _shipped() -> Iterator[tuple[str, bytes]]:
    package = Path(__file__).parents[1]
    is_installed = (package / "share").is_dir()
    for name in SHIPPED:
        root = package.parent
        if is_installed:
            root = package if name == "sql" else package / "share"
        top = root / name
        for path in top.rglob("*") if top.is_dir() else (top,):
            if path.is_file():
                yield str(path.relative_to(root)), path.read_bytes()


def _content(path: Path) -> bytes | None:
    """What is there; None for nothing. Raises ExportError for what is no file."""
    try:
        if not path.exists():
            return None
        if not path.is_file():
            raise ExportError(f"{path} is there, and is no file")
        return path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror}") from error


def _differs(found: bytes | None, shipped: bytes) -> bool:
    return found is not None and found != shipped


def _write(path: Path, content: bytes) -> None:
    """Put the whole file there, or leave what is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from error
