"""`schema show` and `schema apply`: tables and views in MariaDB; `schema config`: the JSON Schema.

Of the configuration only [mysql] is read. The store and its libraries are imported when they
are wanted, as the daemon is in `serve`.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dnslb_backend.cli.config_file import DEFAULT_FILE
from dnslb_backend.cli.notation import PlainCommand, PlainGroup
from dnslb_backend.cli.options import AsJson, ConfigFile
from dnslb_backend.cli.terminal import out, print_json
from dnslb_backend.errors import ConfigError, ConfigProblem

if TYPE_CHECKING:
    from dnslb_backend.store.settings import MysqlSettings

schema = typer.Typer(
    cls=PlainGroup,
    help="The tables and views in MariaDB, and the JSON Schema of the configuration.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@schema.command(cls=PlainCommand)
def show(
    what: Annotated[
        Literal["tables", "users"],
        typer.Argument(metavar="[users]", help="Show users instead of tables and views"),
    ] = "tables",
) -> None:
    """Print what apply would run, or the statements for users, which apply never runs."""
    from dnslb_backend.store.database.schema import show as render  # noqa: PLC0415 -- see the module

    out().file.write(render(users=what == "users"))


@schema.command(cls=PlainCommand)
def apply(
    user: Annotated[
        str | None,
        typer.Option(
            "--user",
            metavar="U",
            help="Log in as U, who may create tables, instead of the daemon's user",
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="F", help="The password of U; default: none"),
    ] = None,
    views_database: Annotated[
        str | None,
        typer.Option(
            "--views-database",
            metavar="DB",
            help="Database for PowerDNS's views; created if it is missing",
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Create tables and views in the database named in FILE, and change nothing else."""
    if password_file is not None and user is None:
        raise typer.BadParameter("it is the password of --user", param_hint="--password-file")
    if views_database == "":
        raise typer.BadParameter("must name a database", param_hint="--views-database")
    settings = _settings(config or DEFAULT_FILE)
    if user is not None:
        settings = _as_user(settings, user, password_file)
    from dnslb_backend.store.database.migrate import apply as run  # noqa: PLC0415 -- see the module

    report = asyncio.run(run(settings, views_database=views_database))
    if as_json:
        print_json({"report": report})
        return
    for sentence in report:
        out().print(sentence, soft_wrap=True)


@schema.command()
def config(
    what: Annotated[
        Literal["main", "records"],
        typer.Argument(metavar="[records]", help="Files of load_records, instead of the main file"),
    ] = "main",
) -> None:
    """Print the JSON Schema of configuration files, for editors."""
    from dnslb_backend.config.json_schema import main_file, record_file  # noqa: PLC0415 -- see the module

    print_json(record_file() if what == "records" else main_file())


def _settings(path: Path) -> "MysqlSettings":
    """[mysql] of a configuration file. Raises ConfigError."""
    from dnslb_backend.config.files import read_toml  # noqa: PLC0415 -- see the module
    from dnslb_backend.config.problems import Problems  # noqa: PLC0415 -- see the module
    from dnslb_backend.store.settings import MysqlSettings  # noqa: PLC0415 -- see the module

    tables = read_toml(path)
    if "mysql" not in tables:
        raise ConfigError([ConfigProblem(str(path), "mysql", "is missing: there is no database")])
    problems = Problems()
    found = problems.at(str(path), "mysql").parse(MysqlSettings, tables["mysql"])
    problems.raise_if_refused()
    assert found is not None
    return found


def _as_user(settings: "MysqlSettings", user: str, password_file: Path | None) -> "MysqlSettings":
    """The same server for another user, whose password is not the configured one."""
    theirs = {"user": user, "password": None, "passwd": None, "password_file": password_file}
    return settings.model_copy(update=theirs)
