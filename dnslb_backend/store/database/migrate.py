"""`schema apply`: create the tables and views in MariaDB, and touch nothing else.

what exists already                     what happens
nothing                                 everything is created
tables of an older version              the files in between are applied
a table, column or key is missing       it is created again
tables of a newer version               SchemaError, nothing is changed
a table of the name by another program  SchemaError, nothing is changed
anything, in MySQL                      SchemaError, nothing is changed
views of this program                   they are created again
`records`, `domains`, … by another one  no view for PowerDNS is created, and that is reported
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from dnslb_backend.errors import SchemaError, StoreError
from dnslb_backend.store.database.mariadb_connection import MariaConnection, literal
from dnslb_backend.store.database.schema import (
    FIRST_USER,
    FIRST_VIEW,
    MADE_BY,
    POWERDNS_VIEWS,
    VERSION,
    Part,
    Script,
    load_scripts,
    parts,
    table_of,
)
from dnslb_backend.store.database.tables import Value
from dnslb_backend.store.settings import MysqlSettings

LOCK = "dnslb-backend schema apply"
COLLATION = "utf8mb4_nopad_bin"
"""That of the tables: MariaDB alone has it, as it has ADD COLUMN IF NOT EXISTS."""

LOCK_WAIT = 10
"""Seconds to wait for another `schema apply`, and for a table that is in use."""

ALTER_LIMIT = 3600.0
"""Seconds that one statement may take: a large table may have to be copied."""

_VIEW = re.compile(r"\bVIEW (\w+) AS\b")


async def apply(
    settings: MysqlSettings,
    *,
    views_database: str | None = None,
    scripts: Sequence[Script] | None = None,
    version: int = VERSION,
) -> list[str]:
    """Bring the database of `settings` up to date; what was done and what was not, in sentences.

    A second run changes nothing. The views for PowerDNS go to `views_database` where it is given,
    which is made if it is missing. `scripts` and `version` are this program's own unless others
    are given. Raises StoreError, and SchemaError where tables of another program are in the way.
    """
    connection = await MariaConnection.open(settings)
    try:
        ours = await asyncio.to_thread(load_scripts) if scripts is None else scripts
        return await _Application(connection, settings.name, ours, version).run(views_database)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class _Present:
    """A table or view that is there already."""

    is_view: bool
    is_ours: bool


class _Application:
    """One run over one connection; `report` collects what was done."""

    def __init__(
        self, connection: MariaConnection, database: str, scripts: Sequence[Script], version: int
    ) -> None:
        self.connection = connection
        self.database = database
        self.scripts = scripts
        self.version = version
        self.report: list[str] = []

    async def run(self, views_database: str | None) -> list[str]:
        await self._refuse_other_servers()
        if await self._value(f"SELECT GET_LOCK({literal(LOCK)}, {LOCK_WAIT})") != 1:
            raise StoreError("another `schema apply` is running")
        self.connection.answer_limit = ALTER_LIMIT
        # A query of hours on a table must not block this for as long.
        await self.connection.run(f"SET SESSION lock_wait_timeout = {LOCK_WAIT}")
        await self._make_tables([s for s in self.scripts if s.number < FIRST_VIEW])
        await self._report_key_readers()
        if views_database is not None:
            await self.connection.run(f"CREATE DATABASE IF NOT EXISTS {_quoted(views_database)}")
        for script in self.scripts:
            if script.number == POWERDNS_VIEWS:
                await self._make_views(script, views_database or self.database)
            elif FIRST_VIEW < script.number < FIRST_USER:
                await self._make_views(script, self.database)
        return self.report

    async def _refuse_other_servers(self) -> None:
        found = await self._value(
            "SELECT COUNT(*) FROM information_schema.COLLATIONS"
            f" WHERE COLLATION_NAME = {literal(COLLATION)}"
        )
        if found == 0:
            version = await self._value("SELECT VERSION()")
            raise SchemaError(
                f"the server is no MariaDB of 10.2 or newer but {version}, without the collation"
                f" {COLLATION}: MySQL is not supported; nothing was changed"
            )

    async def _make_tables(self, scripts: list[Script]) -> None:
        present = await self._present(self.database)
        made = {name for script in scripts for name in script.makes}
        foreign = [name for name in made & present.keys() if not _is_our_table(present[name])]
        if foreign:
            raise SchemaError(
                f"not made by this program: {', '.join(sorted(foreign))} in {self.database};"
                " nothing was changed"
            )
        current = 0
        if "lb_schema_version" in present:
            current = int(await self._value("SELECT MAX(version) FROM lb_schema_version") or 0)
        if current > self.version:
            raise SchemaError(
                f"the schema is version {current}, this program knows {self.version};"
                " nothing was changed"
            )
        for script in scripts:
            if script.number > current:
                await self._apply(script)
            else:
                await self._repair(script, lost=made - present.keys())
        self.report.append(f"the tables in {self.database} are of version {self.version}")

    async def _apply(self, script: Script) -> None:
        for statement in script.statements:
            await self.connection.run(statement)
        # A file that older programs can live with has written the row itself.
        await self.connection.run(
            "INSERT IGNORE INTO lb_schema_version (version, applied)"
            f" VALUES ({script.number}, UTC_TIMESTAMP())"
        )
        self.report.append(f"applied {script.path.name}")

    async def _repair(self, script: Script, lost: set[str]) -> None:
        """Create again what a file that was applied had created and is missing."""
        for statement in script.statements:
            table = table_of(statement)
            if table in lost:
                await self.connection.run(statement)
                if statement.startswith("CREATE"):
                    self.report.append(f"created the table {table}, which was missing")
            else:
                await self._repair_table(table, parts(statement))

    async def _repair_table(self, table: str, wanted: list[Part]) -> None:
        there = {(name, True) for name in await self._names("STATISTICS", "INDEX_NAME", table)}
        there |= {(name, False) for name in await self._names("COLUMNS", "COLUMN_NAME", table)}
        lost = [part for part in wanted if (part.name, part.is_key) not in there]
        if lost:
            added = ", ".join(f"ADD {part.definition}" for part in lost)
            await self.connection.run(f"ALTER TABLE {table} {added}")
            names = ", ".join(part.name for part in lost)
            self.report.append(f"created {names} of the table {table}, which was missing")

    async def _names(self, catalogue: str, column: str, table: str) -> set[str]:
        query = (
            f"SELECT {column} FROM information_schema.{catalogue}"
            f" WHERE TABLE_SCHEMA = {literal(self.database)} AND TABLE_NAME = {literal(table)}"
        )
        return {str(name) async for (name,) in self.connection.rows(query)}

    async def _report_key_readers(self) -> None:
        """Users who may read the whole database may read private keys."""
        query = (
            "SELECT DISTINCT GRANTEE FROM information_schema.SCHEMA_PRIVILEGES"
            f" WHERE PRIVILEGE_TYPE = 'SELECT' AND {literal(self.database)} LIKE TABLE_SCHEMA"
        )
        found = sorted([str(row[0]) async for row in self.connection.rows(query)])
        if found:
            self.report.append(
                f"the private keys of signed zones (lb_key, lb_tsig) can be read by"
                f" {', '.join(found)}, who may SELECT on all of {self.database};"
                " see: dnslb-backend schema show users"
            )

    async def _make_views(self, script: Script, database: str) -> None:
        present = await self._present(database)
        foreign = [
            name for name in script.makes if name in present and not _is_our_view(present[name])
        ]
        if foreign:
            hint = "; they can go to another one: --views-database DATABASE"
            self.report.append(
                f"no views of {script.path.name} in {database}: another program has created"
                f" {', '.join(foreign)}{hint if script.number == POWERDNS_VIEWS else ''}"
            )
            return
        for statement in script.statements:
            await self.connection.run(_placed(statement, database))
        self.report.append(f"created the views {', '.join(script.makes)} in {database}")

    async def _present(self, database: str) -> dict[str, _Present]:
        where = f"WHERE TABLE_SCHEMA = {literal(database)}"
        found = {}
        tables = f"SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES {where}"
        async for name, comment in self.connection.rows(tables):
            found[str(name).lower()] = _Present(is_view=False, is_ours=comment == MADE_BY)
        views = f"SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS {where}"
        async for name, definition in self.connection.rows(views):
            if not definition:
                raise StoreError(f"access denied: this user may not SHOW VIEW {database}.{name}")
            is_ours = f"made by {MADE_BY}" in str(definition)
            found[str(name).lower()] = _Present(is_view=True, is_ours=is_ours)
        return found

    async def _value(self, statement: str) -> Value:
        ((value,),) = [row async for row in self.connection.rows(statement)]
        return value


def _is_our_table(present: _Present) -> bool:
    return present.is_ours and not present.is_view


def _is_our_view(present: _Present) -> bool:
    return present.is_ours and present.is_view


def _placed(statement: str, database: str) -> str:
    """The view goes to `database`; the tables that it reads stay those of the connection."""
    head, name, tail = _VIEW.split(statement, maxsplit=1)
    return f"{head}VIEW {_quoted(database)}.{name} AS{tail}"


def _quoted(database: str) -> str:
    return "`" + database.replace("`", "``") + "`"
