"""`config show`: a record as the files configure it, and where each key is from.

www.lb.example A
  in /etc/dnslb/dnslb.toml: records.www.A
  dest   record    ["192.0.2.1", "192.0.2.2"]
  ttl    [default] 5
  policy built-in  "all"
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from dnslb_backend.cli.config_file import DEFAULT_FILE
from dnslb_backend.cli.notation import PlainCommand, PlainGroup
from dnslb_backend.cli.options import (
    AsJson,
    BaseDirectory,
    ConfigFile,
    MaskedFiles,
    RecordFiles,
)
from dnslb_backend.cli.pages import hanging, wrapped
from dnslb_backend.cli.terminal import escape, out, print_json, print_text

if TYPE_CHECKING:
    from dnslb_backend.config.effective import EffectiveKey, EffectiveRecord

SOURCE_WIDTH = len("[default]")

config = typer.Typer(
    cls=PlainGroup,
    help="The configuration in the files.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@config.callback()
def _group() -> None:
    """The configuration in the files."""


@config.command(cls=PlainCommand)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Absolute, or relative to its zone")],
    record_type: Annotated[
        str, typer.Argument(metavar="[TYPE]", help="Type of the record; default: all")
    ] = "",
    file: ConfigFile = None,
    base: BaseDirectory = None,
    records: RecordFiles = None,
    masks: MaskedFiles = None,
    as_json: AsJson = False,
) -> None:
    """Show a record as the files configure it, and where each key is from."""
    found = _read(file, base, records, masks, name, record_type)
    if as_json:
        print_json({"records": [_as_json(record) for record in found]})
        return
    print_text(Text("\n").join(_lines(found, out().width)))


def _read(
    file: Path | None,
    base: Path | None,
    records: list[Path] | None,
    masks: list[Path] | None,
    name: str,
    record_type: str,
) -> "list[EffectiveRecord]":
    # Other commands do without these.
    from dnslb_backend.config.effective import effective_records  # noqa: PLC0415
    from dnslb_backend.config.files import ConfigPaths  # noqa: PLC0415

    paths = ConfigPaths(file or DEFAULT_FILE, base, tuple(records or ()), tuple(masks or ()))
    return effective_records(paths, name, record_type)


def _as_json(record: "EffectiveRecord") -> dict[str, Any]:
    key = record.key
    return {
        "zone": key.zone,
        "name": key.name,
        "type": key.type,
        "file": record.file,
        "path": record.path,
        "keys": [asdict(each) for each in record.keys],
    }


def _lines(found: "Sequence[EffectiveRecord]", width: int) -> Iterator[Text]:
    for index, record in enumerate(found):
        if index:
            yield Text()
        yield from wrapped(f"{record.key.name} {record.key.type}", width, style="bold")
        # Never broken: it is copied.
        yield Text(f"  in {escape(f'{record.file}: {record.path}')}")
        label = max(len(key.name) for key in record.keys)
        for key in record.keys:
            yield from _key_lines(key, label, width)


def _key_lines(key: "EffectiveKey", label: int, width: int) -> Iterator[Text]:
    from dnslb_backend.importers.toml import value  # noqa: PLC0415 -- as in _read

    head = f"  {key.name:<{label}} {key.source:<{SOURCE_WIDTH}} "
    style = "dim" if key.source == "built-in" else ""
    return hanging(Text.assemble((head, "dim")), value(key.value), width, style)
