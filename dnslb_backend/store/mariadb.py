"""One connection to MariaDB: the only module that knows the driver.

Whatever goes wrong leaves here as a StoreError, and the connection is of no more use then,
unless the server refused one statement and is ready for the next (BusyError, BadRowError).
"""

import asyncio
import configparser
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiomysql

from dnslb_backend import logs
from dnslb_backend.errors import BadRowError, BusyError, SchemaError, StoreError
from dnslb_backend.store.settings import MysqlSettings, TlsSettings, verifies
from dnslb_backend.store.tables import Row, Value

FETCH = 40
"""So many rows are read before others get their turn on the event loop."""

ANSWER_LIMIT = 10.0
"""Seconds without an answer to one statement after which the server counts as gone."""

LOCK_WAIT = 3
"""Seconds that the server lets us wait for a row somebody else has locked."""

# Numbers become numbers, everything else stays the text that the server sent.
_DECODERS: Mapping[int, Callable[[str], Value]] = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), int),
    **dict.fromkeys((0, 4, 5, 246), float),
}

_ESCAPES = str.maketrans(
    {
        "\0": "\\0",
        "\n": "\\n",
        "\r": "\\r",
        "\x1a": "\\Z",
        "'": "\\'",
        '"': '\\"',
        "\\": "\\\\",
    }
)

_SPECIAL = re.compile("[\0\n\r\x1a'\"\\\\]")

_BUSY = {1020, 1205, 1213}  # the row moved on, lock wait, deadlock
_BAD_ROW = {1118, 1264, 1265, 1292, 1366, 1406, 1644, 1690, 4025}
_NO_TABLE = {1054, 1146}
_DENIED = {1142, 1143}


def literal(value: Value) -> str:
    """A value as SQL writes it, in the mode that our connections have."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        # Most texts need no escaping, and looking is much cheaper than doing it.
        return f"'{value.translate(_ESCAPES) if _SPECIAL.search(value) else value}'"
    return int.__repr__(value) if isinstance(value, int) else float.__repr__(value)


class MariaConnection:
    """An open connection, used by one task at a time; every statement commits by itself."""

    def __init__(self, driver: aiomysql.Connection, server: str) -> None:
        self._driver = driver
        self._server = server
        self.packet_limit = 1024
        self.answer_limit = ANSWER_LIMIT

    @classmethod
    async def open(cls, settings: MysqlSettings) -> Self:
        """Connect and log in, within `connect_timeout`. Raises StoreError."""
        options = await asyncio.to_thread(_read_options, settings)
        connection: Self | None = None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                driver = await aiomysql.connect(
                    **options.driver,
                    db=settings.name,
                    charset="utf8mb4",
                    conv=_DECODERS,
                    autocommit=True,
                    ssl=options.tls,
                    auth_plugin=settings.auth_plugin or "",
                    program_name=settings.program_name,
                )
                connection = cls(driver, options.server)
                await connection._prepare(settings, must_encrypt=options.tls is not None)
        except BaseException as error:
            if connection is not None:
                connection.abort()
            if isinstance(error, Exception):
                raise _translated(error, options.server) from error
            raise
        return connection

    async def run(self, statement: str) -> None:
        """Execute one statement that gives no rows."""
        try:
            async with asyncio.timeout(self.answer_limit):
                await self._driver.query(statement.encode("utf-8", "replace"))
        except Exception as error:
            raise _translated(error, self._server) from error

    async def rows(self, statement: str) -> AsyncIterator[Row]:
        """The rows of one query, as they come; others get their turn in between."""
        try:
            # It is closed only where all went well: closing reads what is left, and would wait.
            cursor = await self._driver.cursor(aiomysql.SSCursor)
            async with asyncio.timeout(self.answer_limit):
                await cursor.execute(statement)
                batch = await cursor.fetchmany(FETCH)
            while batch:
                for row in batch:
                    yield row
                await asyncio.sleep(0)
                async with asyncio.timeout(self.answer_limit):
                    batch = await cursor.fetchmany(FETCH)
            await cursor.close()
        except Exception as error:
            raise _translated(error, self._server) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All of it or nothing. What was refused is rolled back, and the connection lives on."""
        await self.run("START TRANSACTION")
        try:
            yield
            await self.run("COMMIT")
        except (BusyError, BadRowError):
            await self.run("ROLLBACK")
            raise

    async def close(self) -> None:
        """Say good-bye, and do not wait for an answer."""
        try:
            await self._driver.ensure_closed()
        except Exception:  # noqa: BLE001 - nobody is left to be told
            self.abort()

    def abort(self) -> None:
        """Drop it at once, with all that has not been sent."""
        if self._driver._writer is not None:
            self._driver._writer.transport.abort()
        self._driver.close()

    async def _prepare(self, settings: MysqlSettings, *, must_encrypt: bool) -> None:
        writer = self._driver._writer
        if must_encrypt and (writer is None or writer.get_extra_info("ssl_object") is None):
            raise StoreError(f"{self._server} does not encrypt, and `ssl` asks for it")
        if settings.init_command:
            await self.run(settings.init_command)
        await self.run(
            "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',"
            f" time_zone = '+00:00', innodb_lock_wait_timeout = {LOCK_WAIT}, sql_notes = 0"
        )
        async for (limit,) in self.rows("SELECT @@max_allowed_packet"):
            self.packet_limit = int(limit or 0)


# -- what a connection is made of ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Options:
    """`driver` are arguments for it; `server` names it for people."""

    driver: dict[str, Any]
    tls: ssl.SSLContext | None
    server: str


def _read_options(settings: MysqlSettings) -> _Options:
    """Everything that has to be read from files, which takes a thread. Raises StoreError."""
    try:
        written = _default_file(settings)
        password = _password(settings) or written.get("password", "")
        tls = _tls_context(settings.tls) if settings.tls else None
        port = int(written.get("port", settings.port))
    except (OSError, ValueError, configparser.Error) as error:
        raise StoreError(f"[mysql] cannot be used: {error}") from error
    logs.hide(password)
    host = settings.host or written.get("host") or "localhost"
    socket = settings.unix_socket or written.get("socket")
    driver = {
        "unix_socket": socket,
        "host": host,
        "port": port,
        "user": settings.user or written.get("user"),
        # The driver encodes it as Latin-1; what other clients send is UTF-8.
        "password": password.encode().decode("latin-1"),
    }
    return _Options(driver, tls, f"MariaDB at {socket or f'{host}:{port}'}")


def _password(settings: MysqlSettings) -> str:
    if settings.password_file is not None:
        return settings.password_file.read_text().rstrip("\r\n")
    return settings.secret.get_secret_value() if settings.secret else ""


def _default_file(settings: MysqlSettings) -> Mapping[str, str]:
    """The group of a my.cnf that `read_default_file` names; empty without one."""
    if settings.read_default_file is None:
        return {}
    text = settings.read_default_file.expanduser().read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("!")]
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False)
    parser.read_string("\n".join(lines))
    group = settings.read_default_group
    if not parser.has_section(group):
        return {}
    found: Mapping[str, str | None] = dict(parser.items(group))
    return {key: value.strip("'\"") for key, value in found.items() if value is not None}


def _tls_context(tls: TlsSettings) -> ssl.SSLContext:
    def text(path: Path | None) -> str | None:
        return None if path is None else str(path)

    context = ssl.create_default_context(cafile=text(tls.ca), capath=text(tls.capath))
    is_verified = verifies(tls)
    context.check_hostname = is_verified and tls.check_hostname
    if not is_verified:
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None:
        password = tls.password.get_secret_value() if tls.password else None
        context.load_cert_chain(tls.cert, tls.key, password)
    if tls.cipher is not None:
        context.set_ciphers(tls.cipher)
    return context


# -- what goes wrong ----------------------------------------------------------------------


def _translated(error: Exception, server: str) -> StoreError:
    """The driver raises its own errors, those of the system, and whatever its parser trips over."""
    if isinstance(error, StoreError):
        return error
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    said = str(error.args[1]) if len(error.args) > 1 else str(error) or type(error).__name__
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
        return StoreError(f"{server} did not answer in time")
    if not isinstance(error, aiomysql.MySQLError):
        return StoreError(f"{server}: {type(error).__name__}: {said}")
    if error.__cause__ is not None:
        said = f"{said}: {error.__cause__}"
    text = f"{server}: {said} ({code})"
    if code in _BUSY:
        return BusyError(text)
    if code in _BAD_ROW or isinstance(error, aiomysql.DataError | aiomysql.IntegrityError):
        return BadRowError(text)
    if code in _NO_TABLE:
        return SchemaError(f"{text}; run: dnslb-backend schema apply")
    if code in _DENIED:
        return StoreError(f"{text}; see: dnslb-backend schema show users")
    return StoreError(text)
