"""A connection to a MariaDB server that may be broken or hostile: the only user of the driver.

The driver alone sends the password in whatever form the server asks for, falls back to plain text
where the server offers no TLS, and reads as much as it is sent. Here:

- TLS that is configured is there before the login, or there is no login;
- without TLS only a proof of the password is sent, never the password or what it can be found from;
- every answer is limited in bytes and packets, and long ones let others run in between;
- whatever goes wrong is one of these:

OSError              it cannot be reached, or hung up; with TimeoutError and ssl.SSLError
ServerError          the server answered with an error
ProtocolError        what it sent is not MariaDB's protocol, or is too much
TlsMissingError      it does not offer the TLS that is configured; nothing was sent
UnsafeLoginError     it asked for the password in a form that others could read; nothing was sent
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiomysql
from pymysql.converters import escape_string

from dnslb_backend.errors import DnslbError
from dnslb_backend.redaction import redact

FETCH = 40
"""Rows that are taken from the driver at a time."""

SET_NAMES = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci"
"""Some servers do not heed what a client says of its encoding as it connects. Others settings of
the session may follow after a comma."""

YIELD_BYTES = 64 * 1024
PACKET_COST = 1024
"""Others get their turn on the event loop after so many bytes; a packet counts for so many more."""

_OFFERS_TLS = 1 << 11
_OFFERS_PLUGINS = 1 << 19
"""Capabilities of a server, as in its greeting."""

_NEED_TLS = frozenset({b"mysql_clear_password", b"mysql_old_password"})
_NEED_PRIVACY = frozenset({b"sha256_password"})
"""Methods that send the password itself, or what it can be found from. The second group is safe on
a unix socket as well."""

_FAST_LOGIN = b"\x01\x03"
"""All that caching_sha2_password may say without privacy: the proof was enough."""

_GONE = frozenset({2003, 2006, 2013})
"""The driver's own numbers for a connection that is not there, or no more."""

_OUT_OF_SYNC = 2014


class MariadbError(DnslbError):
    """A MariaDB server cannot be used; the text says why."""


class ServerError(MariadbError):
    """The server answered with an error: its number, and its own words."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class ProtocolError(MariadbError):
    """What the server sent is not MariaDB's protocol, or is too much."""


class TlsMissingError(MariadbError):
    """The server does not offer the TLS that is configured; no password was sent."""


class UnsafeLoginError(MariadbError):
    """The server asked for the password in a form that others could read; it was not sent."""


@dataclass(frozen=True, slots=True)
class Login:
    """Where to connect, and as whom. With `tls` there is no connection without it."""

    host: str = "localhost"
    port: int = 3306
    unix_socket: str | None = None
    user: str | None = None
    password: str = field(default="", repr=False)
    database: str | None = None
    tls: ssl.SSLContext | None = None
    auth_plugin: str = ""
    program_name: str = "dnslb-backend"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one answer may be."""

    bytes: int
    packets: int


class MariadbSession:
    """Used by one task at a time. `decoders` make values of texts, by type of column."""

    def __init__(
        self,
        login: Login,
        limits: Limits,
        decoders: Mapping[int, Callable[[str], Any]] | None = None,
    ) -> None:
        self._driver = _Driver(login, limits, decoders)
        # Where a name is the password, messages that show the name are no worse.
        is_name = login.password in (login.user, login.database, login.host)
        self._secret = "" if is_name else login.password

    async def open(self) -> None:
        with self._translated():
            await self._driver._connect()

    @property
    def version(self) -> str:
        """What the server says of itself."""
        return self._driver.get_server_info()

    async def run(self, statement: str) -> None:
        """Execute a statement that gives no rows."""
        with self._translated():
            await self._driver.query(_encoded(statement))

    async def batches(self, statement: str) -> AsyncIterator[list[tuple[Any, ...]]]:
        """The rows of a query as they come, FETCH at a time; they must be read to the end."""
        await self._begin(statement)
        while batch := await self._fetch(FETCH):
            yield batch

    async def named_rows(self, statement: str) -> list[dict[str, Any]]:
        """All rows of a query, by name of column."""
        await self._begin(statement)
        rows = await self._fetch(self._driver.limits.packets)
        names = [field.name for field in self._driver._result.fields] if rows else []
        return [dict(zip(names, row, strict=False)) for row in rows]

    async def first_value(self, statement: str) -> Any:
        """The first value of the first row, None without one. Only close() may follow."""
        await self._begin(statement)
        rows = await self._fetch(1)
        return rows[0][0] if rows and rows[0] else None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """The driver raises its own errors, the system's, and whatever stops its parser."""
        try:
            yield
        except (MariadbError, OSError, MemoryError):
            raise
        except aiomysql.MySQLError as error:
            raise _own_error(error, self._secret) from None
        except Exception as error:
            raise ProtocolError(_not_the_protocol(type(error).__name__)) from error

    async def _begin(self, statement: str) -> None:
        with self._translated():
            await self._driver.query(_encoded(statement), unbuffered=True)

    async def _fetch(self, count: int) -> list[tuple[Any, ...]]:
        """The next rows, fewer at the end."""
        rows: list[tuple[Any, ...]] = []
        with self._translated():
            while len(rows) < count and (row := await self._driver.next_row()) is not None:
                rows.append(row)
        return rows

    async def close(self) -> None:
        """Say goodbye, or the server would log an aborted connection; wait for no answer."""
        with suppress(Exception):
            await self._driver.ensure_closed()
        self.abort()

    def abort(self) -> None:
        """Drop it at once, with all that has not been sent."""
        if self._driver._writer is not None:
            self._driver._writer.transport.abort()
        self._driver.close()


class _Driver(aiomysql.Connection):
    """The driver, which looks before it sends a password, and counts what it reads."""

    def __init__(
        self, login: Login, limits: Limits, decoders: Mapping[int, Callable[[str], Any]] | None
    ) -> None:
        super().__init__(
            host=login.host,
            port=login.port,
            unix_socket=login.unix_socket,
            user=login.user,
            # The driver encodes it as Latin-1; what other clients send is UTF-8.
            password=login.password.encode().decode("latin-1"),
            db=login.database,
            charset="utf8mb4",
            autocommit=True,
            ssl=login.tls,
            auth_plugin=login.auth_plugin,
            program_name=login.program_name,
            **({} if decoders is None else {"conv": decoders}),
        )
        self.limits = limits
        self._bytes_left, self._packets_left = limits.bytes, limits.packets
        self._unyielded = 0
        self._is_logging_in = False

    # -- what it says -------------------------------------------------------------------

    async def _request_authentication(self) -> None:
        if self._ssl_context is not None and not self.server_capabilities & _OFFERS_TLS:
            raise TlsMissingError("the server does not offer TLS, and TLS is configured")
        self._check_method((self._client_auth_plugin or self._server_auth_plugin).encode())
        self._is_logging_in = True
        try:
            await super()._request_authentication()
        finally:
            self._is_logging_in = False

    async def _read_packet(self, *of_type: Any) -> Any:
        self._packets_left -= 1
        if self._packets_left < 0:
            raise ProtocolError(f"the answer has more than {self.limits.packets} packets")
        packet = await super()._read_packet(*of_type)
        if self._is_logging_in:
            self._check_login(packet.get_all_data())
        return packet

    def _check_login(self, data: bytes) -> None:
        """Before the driver answers what the server says in a login."""
        if data[:1] == b"\xfe":
            method, is_named, _ = data[1:].partition(b"\0")
            is_plugin = is_named and self.server_capabilities & _OFFERS_PLUGINS
            self._check_method(method if is_plugin else b"mysql_old_password")
        elif data[:1] == b"\x01" and data != _FAST_LOGIN and not self._is_private:
            raise UnsafeLoginError(_unsafe("the password itself"))

    def _check_method(self, method: bytes) -> None:
        if self._ssl_context is not None:
            return
        if method in _NEED_TLS or (method in _NEED_PRIVACY and not self._is_private):
            raise UnsafeLoginError(_unsafe(method.decode()))

    @property
    def _is_private(self) -> bool:
        return self._ssl_context is not None or self.unix_socket is not None

    # -- what it reads ------------------------------------------------------------------

    async def next_row(self) -> tuple[Any, ...] | None:
        """Of the query that was sent last, None after the last one."""
        row: tuple[Any, ...] | None = await self._result._read_rowdata_packet_unbuffered()
        return row

    async def _execute_command(self, command: int, sql: str | bytes) -> None:
        self._bytes_left, self._packets_left = self.limits.bytes, self.limits.packets
        await super()._execute_command(command, sql)

    async def _read_bytes(self, num_bytes: int) -> bytes:
        """Called for the head of a packet, and then for its content."""
        self._bytes_left -= num_bytes
        if self._bytes_left < 0:
            raise ProtocolError(f"the answer is longer than {self.limits.bytes} bytes")
        self._unyielded += num_bytes + PACKET_COST
        if self._unyielded >= YIELD_BYTES:
            self._unyielded = 0
            await asyncio.sleep(0)
        return await super()._read_bytes(num_bytes)


def text_literal(text: str) -> str:
    """A text as SQL writes it, unless the session has NO_BACKSLASH_ESCAPES."""
    return f"'{escape_string(text)}'"


def _encoded(statement: str) -> bytes:
    return statement.encode("utf-8", "replace")


def _unsafe(method: str) -> str:
    return f"the server asks for {method}, which is not sent without TLS"


def _own_error(error: aiomysql.MySQLError, secret: str) -> Exception:
    """What the driver's error means; `secret` is taken out of what the server wrote."""
    if isinstance(error.__cause__, OSError):
        return error.__cause__
    number = error.args[0] if error.args else 0
    text = redact(str(error.args[1]) if len(error.args) > 1 else str(error), secret)
    if not isinstance(number, int) or number == _OUT_OF_SYNC:
        return ProtocolError(_not_the_protocol(text))
    if number in _GONE:
        return ConnectionError("the server closed the connection")
    return ServerError(number, text)


def _not_the_protocol(why: str) -> str:
    return f"response is not MariaDB's protocol ({why})"
