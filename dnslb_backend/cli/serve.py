"""`serve` and `check-config`: the daemon itself, and trying a configuration without it.

The daemon and its libraries are imported when they are wanted: --help, completion and `status`
need none of them, and would take three times as long.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnslb_backend.cli.config_file import DEFAULT_FILE
from dnslb_backend.cli.exit_codes import ExitCode
from dnslb_backend.cli.options import (
    AsJson,
    BaseDirectory,
    ConfigFile,
    MaskedFiles,
    RecordFiles,
)
from dnslb_backend.cli.terminal import counted, escape, print_error, print_json
from dnslb_backend.errors import ConfigError
from dnslb_backend.logs import LEVELS

if TYPE_CHECKING:
    from dnslb_backend.config.files import ConfigPaths

LogLevel = Annotated[
    str | None,
    typer.Option(
        "-l",
        "--loglevel",
        metavar="LEVEL",
        help=f"{', '.join(LEVELS)}; instead of global.loglevel",
    ),
]


def serve(
    config: ConfigFile = None,
    base: BaseDirectory = None,
    records: RecordFiles = None,
    masks: MaskedFiles = None,
    loglevel: LogLevel = None,
    is_test: Annotated[
        bool,
        typer.Option(
            "-t", "--test", "--check-config", help="Only check the configuration, as check-config"
        ),
    ] = False,
) -> None:
    """Run the daemon until SIGTERM."""
    if loglevel is not None and loglevel not in LEVELS:
        raise typer.BadParameter(f"{loglevel!r} is none of {', '.join(LEVELS)}")
    sources = _sources(config, base, records, masks)
    if is_test:
        _check(sources, as_json=False)
        return
    from dnslb_backend.daemon import serve as run  # noqa: PLC0415 -- see the module

    raise typer.Exit(run(sources, loglevel))


def check_config(
    config: ConfigFile = None,
    base: BaseDirectory = None,
    records: RecordFiles = None,
    masks: MaskedFiles = None,
    is_strict: Annotated[
        bool, typer.Option("--strict", help="Treat warnings as errors, for CI")
    ] = False,
    is_against_running: Annotated[
        bool,
        typer.Option("--against-running", help="Show what a reload of the daemon would change"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Try a configuration: no database, no network, nothing is started."""
    if not is_against_running:
        _check(_sources(config, base, records, masks), as_json=as_json, is_strict=is_strict)
        return
    if base or records or masks or is_strict:
        raise typer.BadParameter("--against-running is about the files that the daemon reads")
    from dnslb_backend.cli.reload import preview  # noqa: PLC0415 -- see the module

    preview(config, as_json=as_json)


def _check(sources: "ConfigPaths", *, as_json: bool, is_strict: bool = False) -> None:
    """Print problems and warnings. Raises ConfigError, unless they are printed as JSON."""
    from dnslb_backend.config import load  # noqa: PLC0415 -- see the module

    try:
        loaded = load(sources)
        if is_strict and loaded.warnings:
            raise ConfigError(list(loaded.warnings))
    except ConfigError as error:
        if not as_json:
            raise
        found = [{"file": p.file, "path": p.path, "message": p.message} for p in error.problems]
        print_json({"ok": False, "problems": found, "warnings": []})
        raise typer.Exit(ExitCode.BAD_CONFIG) from error
    warnings = list(map(str, loaded.warnings))
    if as_json:
        print_json({"ok": True, "problems": [], "warnings": warnings})
        return
    print_error(*(f"warning: {warning}" for warning in warnings))
    plan = loaded.plan
    what = f"{counted(len(plan.records), 'record')} in {counted(len(plan.zones), 'zone')}"
    typer.echo(escape(f"{sources.main}: {what}, fine."))


def _sources(
    config: Path | None,
    base: Path | None,
    records: list[Path] | None,
    masks: list[Path] | None,
) -> "ConfigPaths":
    from dnslb_backend.config.files import ConfigPaths  # noqa: PLC0415 -- see the module

    main = config or DEFAULT_FILE
    return ConfigPaths(main, base, tuple(records or ()), tuple(masks or ()))
