"""The store in MariaDB."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from dnslb_backend.errors import BadRowError, RetryableError, SchemaError, StoreError
from dnslb_backend.store.database.interface import Delete, Select, Upsert, WriteOp
from dnslb_backend.store.database.mariadb_connection import ANSWER_LIMIT, MariaConnection, literal
from dnslb_backend.store.database.schema import VERSION
from dnslb_backend.store.database.statements import (
    MARIADB,
    insert_head,
    insert_row,
    insert_tail,
    select,
)
from dnslb_backend.store.database.tables import OLDEST_PROGRAM, SCHEMA_VERSION, Table, TableRow
from dnslb_backend.store.settings import MysqlSettings

STATEMENT_ROWS = 500
STATEMENT_BYTES = 96 * 1024
"""A statement ends when it has so many rows, or about so many bytes: it is sent as a whole, and a
large one would block the event loop.
"""

ROWS_PER_TURN = 20
"""So many rows are rendered in one turn of the event loop."""


class MariaStore:
    """One connection, opened on demand; calls are executed one after the other.

    A server that takes more than `answer_limit` seconds for a statement counts as gone.
    """

    def __init__(self, settings: MysqlSettings, answer_limit: float = ANSWER_LIMIT) -> None:
        self._settings = settings
        self._answer_limit = answer_limit
        self._connection: MariaConnection | None = None
        self._lock = asyncio.Lock()
        self._newer_schema: int | None = None

    @property
    def name(self) -> str:
        return "mariadb"

    @property
    def losses(self) -> int:
        """None: a server keeps what it has committed."""
        return 0

    @property
    def newer_schema(self) -> int | None:
        return self._newer_schema

    async def open(self) -> None:
        async with self._lock:
            await self._open()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def write(self, works: Sequence[WriteOp]) -> None:
        async with self._lock:
            connection = await self._open()
            try:
                async with connection.transaction():
                    for work in works:
                        await _do(connection, work)
            except BaseException as error:
                self._give_up(error)
                raise

    async def read(self, query: Select) -> list[TableRow]:
        async with self._lock:
            return await self._read(await self._open(), query)

    async def _open(self) -> MariaConnection:
        if self._connection is None:
            self._connection = await MariaConnection.open(self._settings, self._check_schema)
        return self._connection

    async def _check_schema(self, connection: MariaConnection) -> None:
        """An older schema is not used, and a newer one only if it says that this program can."""
        connection.answer_limit = self._answer_limit
        ((found,),) = await self._read(connection, Select(SCHEMA_VERSION, ("MAX(version)",)))
        version = found if isinstance(found, int) else 0
        self._newer_schema = version if version > VERSION else None
        if version == VERSION or (version > VERSION and await self._is_compatible(connection)):
            return
        found_here = f"{connection.server}: the schema is version {version}"
        if version > VERSION:
            raise SchemaError(f"{found_here}, this program knows {VERSION}: nothing is written")
        raise SchemaError(
            f"{found_here}, this program needs {VERSION}; run: dnslb-backend schema apply"
        )

    async def _is_compatible(self, connection: MariaConnection) -> bool:
        ((oldest,),) = await self._read(connection, Select(SCHEMA_VERSION, (OLDEST_PROGRAM,)))
        return isinstance(oldest, int) and oldest <= VERSION

    async def _read(self, connection: MariaConnection, query: Select) -> list[TableRow]:
        statement = select(query, MARIADB, literal)
        try:
            rows = [row async for row in connection.rows(statement)]
            if not _is_answer(rows, query):
                raise StoreError(f"{connection.server}: invalid result for a query")
            return rows
        except BaseException as error:
            self._give_up(error)
            raise

    def _give_up(self, error: BaseException) -> None:
        """Close the connection unless it can be used again."""
        if isinstance(error, BadRowError | RetryableError):
            return
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


def _is_answer(rows: list[TableRow], query: Select) -> bool:
    """Whether these can be rows of the query: a broken server may send any."""
    is_one = "(" in query.columns[0]
    width = len(query.columns)
    return (len(rows) == 1 or not is_one) and all(len(row) == width for row in rows)


async def _do(connection: MariaConnection, work: WriteOp) -> None:
    if isinstance(work, Upsert):
        async for statement in _inserts(work, connection.packet_limit):
            await connection.run(statement)
    else:
        for statement in _deletes(work):
            await connection.run(statement)


async def _inserts(work: Upsert, packet_limit: int) -> AsyncIterator[str]:
    """The rows as statements of a moderate size, rendered a slice at a time."""
    head, tail = insert_head(work.table, MARIADB), insert_tail(work.table, MARIADB)
    room = packet_limit - len(head) - len(tail) - 64
    most = min(room, STATEMENT_BYTES)
    values: list[str] = []
    size = 0
    for start in range(0, len(work.rows), ROWS_PER_TURN):
        for row in work.rows[start : start + ROWS_PER_TURN]:
            text = _written(work.table, row)
            length = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
            if length > room:
                raise BadRowError(f"a row of {length} bytes is more than max_allowed_packet")
            if len(values) == STATEMENT_ROWS or (values and size + length > most):
                yield head + ",".join(values) + tail
                values, size = [], 0
            values.append(text)
            size += length + 1
        await asyncio.sleep(0)
    if values:
        yield head + ",".join(values) + tail


def _written(table: Table, row: TableRow) -> str:
    return insert_row(table, MARIADB, ",".join(map(literal, row)))


def _deletes(work: Delete) -> Iterable[str]:
    """Keys that differ only in their last column share a statement."""
    table = work.table
    grouped: dict[TableRow, list[TableRow]] = {}
    for key in work.keys:
        grouped.setdefault(key[:-1], []).append(key)
    *leading, last = table.key
    for prefix, keys in grouped.items():
        fixed = "".join(
            f"`{name}` = {literal(value)} AND " for name, value in zip(leading, prefix, strict=True)
        )
        for start in range(0, len(keys), STATEMENT_ROWS):
            listed = ", ".join(literal(key[-1]) for key in keys[start : start + STATEMENT_ROWS])
            yield f"DELETE FROM {table.name} WHERE {fixed}`{last}` IN ({listed})"
