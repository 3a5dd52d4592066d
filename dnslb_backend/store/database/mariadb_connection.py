"""One connection to MariaDB, as the mirror uses it.

Every failure is raised as a StoreError, after which the connection cannot be used any more, unless
the server refused one statement and is ready for the next (RetryableError, BadRowError).
"""

import asyncio
import configparser
import os
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from dnslb_backend.blocking import run_blocking
from dnslb_backend.errors import BadRowError, RetryableError, SchemaError, StoreError
from dnslb_backend.files import read_file
from dnslb_backend.mariadb_protocol import (
    SET_NAMES,
    Limits,
    Login,
    MariadbSession,
    ServerError,
    TlsMissingError,
    UnsafeLoginError,
    text_literal,
)
from dnslb_backend.store.database.tables import TableRow, Value
from dnslb_backend.store.settings import MysqlSettings, MysqlTlsSettings
from dnslb_backend.tls_client import build_context

LIMITS = Limits(bytes=128 << 20, packets=500_000)
"""Of one result set: that of a node with 100,000 members is smaller."""

FILE_LIMIT = 1 << 20
"""Bytes of each file that [mysql] names."""

ANSWER_LIMIT = 10.0
"""Seconds that one statement may take before the server counts as gone."""

LOCK_WAIT = 3
"""Seconds that the server waits for a row that another client has locked."""

# Numbers become numbers, everything else stays the text that the server sent.
_DECODERS: Mapping[int, Callable[[str], Value]] = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), int),
    **dict.fromkeys((0, 4, 5, 246), float),
}

_BUSY = {1020, 1205, 1213}  # the row moved on, lock wait, deadlock
_BAD_ROW = {
    *(1048, 1062, 1118, 1171, 1216, 1217, 1230, 1263, 1264, 1265, 1292, 1366, 1367, 1406),
    *(1441, 1451, 1452, 1644, 1690, 4025),
}
_NO_TABLE = {1054, 1146}
_DENIED = {1142, 1143}


def literal(value: Value) -> str:
    """A value as an SQL literal, in the sql_mode that `_prepare` sets."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return text_literal(value)
    return int.__repr__(value) if isinstance(value, int) else float.__repr__(value)


class MariaConnection:
    """An open connection, used by one task at a time; every statement commits by itself."""

    def __init__(self, wire: MariadbSession, server: str) -> None:
        self._wire = wire
        self.server = server
        self.packet_limit = 1024
        self.answer_limit = ANSWER_LIMIT

    @classmethod
    async def open(
        cls, settings: MysqlSettings, check: Callable[[Self], Awaitable[None]] | None = None
    ) -> Self:
        """Connect to the first of the servers that lets us in and passes `check`.

        Each has `connect_timeout` to do the former. Raises StoreError.
        """
        errors: list[StoreError] = []
        for login in await _read_logins(settings):
            try:
                connection = await cls._connect(login, settings)
                try:
                    if check is not None:
                        await check(connection)
                except BaseException:
                    connection.abort()
                    raise
            except StoreError as error:
                errors.append(error)
            else:
                return connection
        if len(errors) == 1:
            raise errors[0]
        raise StoreError("; ".join(map(str, errors))) from errors[-1]

    @classmethod
    async def _connect(cls, login: Login, settings: MysqlSettings) -> Self:
        wire = MariadbSession(login, LIMITS, _DECODERS)
        connection = cls(wire, _named(login))
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await wire.open()
                await connection._prepare(settings)
        except BaseException as error:
            wire.abort()
            if isinstance(error, Exception):
                raise _translated(error, connection.server) from error
            raise
        return connection

    async def run(self, statement: str) -> None:
        """Execute one statement that returns no rows."""
        try:
            async with asyncio.timeout(self.answer_limit):
                await self._wire.run(statement)
        except Exception as error:
            raise _translated(error, self.server) from error

    async def rows(self, statement: str) -> AsyncIterator[TableRow]:
        """The rows of one query, as they arrive; the event loop goes on in between."""
        batches = self._wire.batches(statement)
        try:
            while True:
                async with asyncio.timeout(self.answer_limit):
                    batch = await anext(batches, None)
                if batch is None:
                    break
                for row in batch:
                    yield row
        except Exception as error:
            raise _translated(error, self.server) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All of it or nothing. What was refused is rolled back, and the connection stays open."""
        await self.run("START TRANSACTION")
        try:
            yield
            await self.run("COMMIT")
        except (RetryableError, BadRowError):
            await self.run("ROLLBACK")
            raise

    async def close(self) -> None:
        """Send COM_QUIT, and do not wait for a reply."""
        await self._wire.close()

    def abort(self) -> None:
        """Close it at once, without sending what is buffered."""
        self._wire.abort()

    async def _prepare(self, settings: MysqlSettings) -> None:
        if settings.init_command:
            await self.run(settings.init_command)
        await self.run(
            f"{SET_NAMES}, SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',"
            f" time_zone = '+00:00', innodb_lock_wait_timeout = {LOCK_WAIT}, sql_notes = 0"
        )
        async for (limit,) in self.rows("SELECT @@max_allowed_packet"):
            self.packet_limit = int(limit or 0)


# -- how to log in ------------------------------------------------------------------------

_readers = threading.BoundedSemaphore(4)
"""Files on storage that hangs block so many threads at most, however many retries there are."""


async def _read_logins(settings: MysqlSettings) -> list[Login]:
    """Those of each server. Files are read within `connect_timeout`. Raises StoreError."""
    try:
        return await run_blocking(partial(_logins, settings), settings.connect_timeout)
    except TimeoutError:
        raise StoreError("[mysql] cannot be used: its files cannot be read in time") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise StoreError(f"[mysql] cannot be used: {where}{_reason(error)}") from error
    except (ValueError, configparser.Error) as error:
        # Neither its text nor its cause: they may quote a file of passwords.
        raise StoreError(f"[mysql] cannot be used: {type(error).__name__}") from None


def _logins(settings: MysqlSettings) -> list[Login]:
    if not _readers.acquire(timeout=settings.connect_timeout):
        raise TimeoutError
    try:
        written = _default_file(settings)
        hosts = settings.hosts or _given(written, "host") or ("localhost",)
        login = Login(
            host=hosts[0],
            port=int(written.get("port", settings.port)),
            user=settings.user or written.get("user"),
            password=_password(settings) or written.get("password", ""),
            database=settings.name,
            tls=_tls_context(settings.tls) if settings.tls else None,
            auth_plugin=settings.auth_plugin or "",
            program_name=settings.program_name,
        )
    finally:
        _readers.release()
    if sockets := settings.unix_sockets or _given(written, "socket"):
        return [replace(login, unix_socket=socket) for socket in sockets]
    return [replace(login, host=host) for host in hosts]


def _given(written: Mapping[str, str], key: str) -> tuple[str, ...]:
    value = written.get(key)
    return (value,) if value else ()


def _named(login: Login) -> str:
    return f"MariaDB at {login.unix_socket or f'{login.host}:{login.port}'}"


def _text(path: Path) -> str:
    """Without the byte order mark that some editors write."""
    return read_file(path.expanduser(), FILE_LIMIT).decode("utf-8-sig")


def _password(settings: MysqlSettings) -> str:
    if settings.password_file is not None:
        return _text(settings.password_file).partition("\n")[0].rstrip("\r")
    return settings.secret.get_secret_value() if settings.secret else ""


def _default_file(settings: MysqlSettings) -> Mapping[str, str]:
    """The group of a my.cnf that `read_default_file` names; empty without one."""
    if settings.read_default_file is None:
        return {}
    lines = _text(settings.read_default_file).splitlines()
    lines = [line for line in lines if not line.lstrip().startswith("!")]
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False)
    parser.read_string("\n".join(lines))
    group = settings.read_default_group
    if not parser.has_section(group):
        return {}
    found: Mapping[str, str | None] = dict(parser.items(group))
    return {key: value.strip("'\"") for key, value in found.items() if value is not None}


def _tls_context(tls: MysqlTlsSettings) -> ssl.SSLContext:
    for path in filter(None, (tls.ca, tls.cert, tls.key)):
        read_file(path, FILE_LIMIT)  # OpenSSL itself would wait for a FIFO, and not name the file
    return build_context(tls.client_settings)


# -- what goes wrong ----------------------------------------------------------------------


def _translated(error: Exception, server: str) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, TimeoutError):
        return StoreError(f"{server} did not answer in time")
    if isinstance(error, OSError):
        return StoreError(f"{server}: {_reason(error)}")
    if isinstance(error, TlsMissingError | UnsafeLoginError):
        return StoreError(f"{server}: {error}; see `ssl` in [mysql]")
    if not isinstance(error, ServerError):
        return StoreError(f"{server}: {str(error) or type(error).__name__}")
    return _refusal(error.number, f"{server}: {error} ({error.number})")


def _refusal(number: int, text: str) -> StoreError:
    """The exception for an error code of the server."""
    if number in _BUSY:
        return RetryableError(text)
    if number in _BAD_ROW:
        return BadRowError(text)
    if number in _NO_TABLE:
        return SchemaError(f"{text}; run: dnslb-backend schema apply")
    if number in _DENIED:
        return StoreError(f"{text}; see: dnslb-backend schema show users")
    return StoreError(text)


def _reason(error: OSError) -> str:
    """The system's text: that of asyncio contains addresses, and differs by event loop."""
    if isinstance(error, ssl.SSLError) or not error.errno or error.errno < 0:
        return error.strerror or str(error)
    return (error.filename and error.strerror) or os.strerror(error.errno)
