"""SQL for both stores, which differ in how rows are merged and how the time is computed."""

from collections.abc import Callable
from dataclasses import dataclass

from dnslb_backend.store.database.interface import Select, Where
from dnslb_backend.store.database.tables import Table, Value

Bind = Callable[[Value], str]
"""Puts a value into a statement: as a literal, or as a placeholder for a parameter."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """`ago` has a placeholder for a number of seconds, `fresh` for a column."""

    now: str
    ago: str
    insert_log: str
    merge: str
    fresh: str


MARIADB = Dialect(
    now="UTC_TIMESTAMP(3)",
    ago="(UTC_TIMESTAMP(3) - INTERVAL {} SECOND)",
    insert_log="INSERT IGNORE INTO",
    merge="ON DUPLICATE KEY UPDATE",
    fresh="VALUES({})",
)

SQLITE = Dialect(
    now="strftime('%Y-%m-%d %H:%M:%f', 'now')",
    ago="strftime('%Y-%m-%d %H:%M:%f', 'now', -({}) || ' seconds')",
    insert_log="INSERT OR IGNORE INTO",
    merge="ON CONFLICT ({}) DO UPDATE SET",
    fresh="excluded.{}",
)


def quoted(*names: str) -> str:
    """Names of columns; expressions stay as they are."""
    return ", ".join(f"`{name}`" if name.isidentifier() else name for name in names)


def insert_head(table: Table, dialect: Dialect) -> str:
    """The statement before the rows."""
    verb = dialect.insert_log if table.is_log else "INSERT INTO"
    return f"{verb} {table.name} ({quoted(*table.columns, *table.stamped)}) VALUES "


def insert_row(table: Table, dialect: Dialect, values: str) -> str:
    """One row, whose `values` are SQL already."""
    stamps = "".join(f",{dialect.now}" for _ in table.stamped)
    return f"({values}{stamps})"


def insert_tail(table: Table, dialect: Dialect) -> str:
    """The statement after the rows: those that exist already get the new values."""
    if table.is_log:
        return ""
    changing = [name for name in (*table.columns, *table.stamped) if name not in table.key]
    taken = ", ".join(f"`{name}` = {dialect.fresh.format(f'`{name}`')}" for name in changing)
    return f" {dialect.merge.format(quoted(*table.key))} {taken}"


def select(query: Select, dialect: Dialect, bind: Bind) -> str:
    words = f"SELECT {quoted(*query.columns)} FROM {query.table.name}"
    if query.where:
        words += " WHERE " + " AND ".join(_condition(where, dialect, bind) for where in query.where)
    if query.order:
        words += f" ORDER BY {quoted(query.order)}{' DESC' if query.is_descending else ''}"
    if query.limit is not None:
        words += f" LIMIT {int(query.limit)} OFFSET {int(query.offset)}"
    return words


def _condition(where: Where, dialect: Dialect, bind: Bind) -> str:
    column = quoted(where.column)
    if where.operator == "older":
        return f"{column} < {dialect.ago.format(int(where.value or 0))}"
    if where.operator == "contains":
        return f"INSTR({column}, {bind(where.value)}) > 0"
    return f"{column} {where.operator.upper()} {bind(where.value)}"
