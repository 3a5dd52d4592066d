"""`mariadb`: log in, look at the server's state, ask a query. The one check that uses aiomysql."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import aiomysql
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.deadlines import within
from dnslb_backend.checkers.failures import ProbeError, TargetError
from dnslb_backend.checkers.parameters import Path, Port, Regexp
from dnslb_backend.checkers.reading import Output, ReadableCheck
from dnslb_backend.checkers.secret import reveal
from dnslb_backend.checkers.secure import SecureCheck
from dnslb_backend.checkers.template import bracketed
from dnslb_backend.checkers.texts import one_line
from dnslb_backend.checkers.tls_contexts import TlsSettings
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result

Row = Mapping[str, Any]
Preset = Literal["read_write", "replica", "galera"]

OFF = ("0", "OFF")
SYNCED = "4"
"""wsrep_local_state of a Galera node that takes part: 2 is a donor, 1 and 3 are joining."""

WRONG_ACCOUNT = frozenset({1044, 1045, 1142, 1143, 1227, 1698, 4151})
"""Access or a privilege denied: what we log in with is our own configuration."""

TURNED_AWAY = frozenset({1040, 1129, 1130, 1203, 1226, 2006, 2013})
"""Too many connections, this client is blocked, or the connection was lost."""

TEXT_LIMIT = 64 * 1024


def _presets(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError('must be a list, such as ["read_write"]')
    return tuple(value)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class MariadbCheck(ReadableCheck, SecureCheck):
    """Passes when every state holds, and the first value of the query matches.

    | what is found | result |
    |---|---|
    | `read_write`: the server is read-only | fail -6 |
    | `replica`: it is none, a thread is stopped, or it lags more than `max_lag` seconds | fail -6 |
    | `galera`: not ready, not in the primary component, not synced | fail -6 |
    | the server answers a statement with an error | fail -6 |
    | `expect` not found in the first column of the first row | fail -1 |
    | the account or password is refused, or lacks a privilege | error -3 |
    """

    keeps_time: ClassVar[bool] = True

    type: Literal["mariadb"] = "mariadb"
    port: Port = 3306
    user: str
    password: SecretStr | None = None
    password_file: Path = ""
    database: str = ""
    query: Annotated[str, AfterValidator(_not_empty)] = "SELECT 1"
    expect: Regexp = ""
    states: Annotated[tuple[Preset, ...], BeforeValidator(_presets)] = ()
    max_lag: Annotated[float, Field(ge=0)] | None = None
    tls: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        yield from self.problems_of_tls(used=self.tls)
        if self.password is not None and self.password_file:
            yield "a secret stands in place or in a file, not both"
        if self.max_lag is not None and "replica" not in self.states:
            yield 'max_lag needs states = ["replica"]'

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        password = await reveal(self.password, self.password_file, tools.errands)
        settings = TlsSettings(
            self.verify, self.ca_file, self.client_cert, self.client_key, self.sni, self.tls_min
        )
        tls = await tools.tls.context(settings) if self.tls else None
        connection = self._connection(endpoint, password, tls)
        try:
            async with within(limit):
                text = await self._answer(connection, limit)
        except aiomysql.MySQLError as error:
            raise _translated(error) from error
        finally:
            connection.close()
        output = Output(text[:TEXT_LIMIT], cut=len(text) > TEXT_LIMIT)
        return await self.judge(output, tools, expect=self.expect, text=one_line(text))

    def describe(self, endpoint: Endpoint) -> str:
        address = f"{bracketed(endpoint.address)}:{endpoint.port or self.port}"
        states = f"{', '.join(self.states)}; " if self.states else ""
        return one_line(f"MariaDB {self.user}@{address}: {states}{self.query}")

    def _connection(
        self, endpoint: Endpoint, password: str, tls: ssl.SSLContext | None
    ) -> aiomysql.Connection:
        """Not connected yet. What connect() returns could not be closed when it is cancelled."""
        make: Callable[..., aiomysql.Connection] = aiomysql.Connection
        return make(
            host=endpoint.address,
            port=endpoint.port or self.port,
            user=self.user,
            password=password,
            db=self.database or None,
            charset="utf8mb4",
            autocommit=True,
            program_name="dnslb-backend",
            ssl=tls,
        )

    async def _answer(self, connection: aiomysql.Connection, limit: float) -> str:
        """The first value of the query, as text; raises TargetError if a state does not hold."""
        await _connect(connection)
        try:
            text = await self._question(connection, limit)
        except (TargetError, aiomysql.MySQLError):
            await _say_goodbye(connection)
            raise
        await _say_goodbye(connection)
        return text

    async def _question(self, connection: aiomysql.Connection, limit: float) -> str:
        # Unbuffered, and never closed itself: that would read all rows that the query gives.
        cursor = await connection.cursor(aiomysql.SSDictCursor)
        if "MariaDB" in connection.get_server_info():
            # We hang up at our timeout; without this the server would go on working.
            await cursor.execute(f"SET SESSION max_statement_time = {limit:.3f}")
        for state in self.states:
            await cursor.execute(_STATEMENTS[state])
            self._check_state(state, list(await cursor.fetchall()))
        await cursor.execute(self.query)
        return _first_value(await cursor.fetchone())

    def _check_state(self, state: Preset, rows: list[Row]) -> None:
        problem = {
            "read_write": _why_not_writable,
            "replica": lambda rows: _why_no_replica(rows, self.max_lag),
            "galera": _why_not_synced,
        }[state](rows)
        if problem:
            raise TargetError(Code.STATUS, problem)


_STATEMENTS: dict[Preset, str] = {
    "read_write": "SELECT @@global.read_only AS read_only",
    "replica": "SHOW ALL SLAVES STATUS",
    "galera": "SHOW GLOBAL STATUS WHERE Variable_name IN"
    " ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_local_state')",
}


def _why_not_writable(rows: list[Row]) -> str:
    value = str(rows[0]["read_only"]) if rows else "unknown"
    return "" if value.upper() in OFF else "the server is read-only"


def _why_no_replica(rows: list[Row], max_lag: float | None) -> str:
    if not rows:
        return "the server replicates from nobody"
    for row in rows:
        for thread in ("Slave_IO_Running", "Slave_SQL_Running"):
            if row[thread] != "Yes":
                return f"{thread} is {row[thread]}"
        lag = row["Seconds_Behind_Master"]
        if lag is None:
            return "the replica does not know how far it is behind"
        if max_lag is not None and float(lag) > max_lag:
            return f"{lag} s behind, more than {max_lag:g}"
    return ""


def _why_not_synced(rows: list[Row]) -> str:
    values = {row["Variable_name"]: str(row["Value"]) for row in rows}
    wanted = {"wsrep_ready": "ON", "wsrep_cluster_status": "Primary", "wsrep_local_state": SYNCED}
    for name, value in wanted.items():
        if values.get(name, "not there").lower() != value.lower():
            return f"{name} is {values.get(name, 'not there')}, not {value}"
    return ""


def _first_value(row: Row | None) -> str:
    value = next(iter(row.values()), None) if row else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "ignore")
    return "" if value is None else str(value)


async def _say_goodbye(connection: aiomysql.Connection) -> None:
    """A server that is merely hung up on writes a warning into its log each time."""
    with contextlib.suppress(OSError):
        await connection.ensure_closed()


async def _connect(connection: aiomysql.Connection) -> None:
    """Raises TargetError where something else than a database answers."""
    try:
        await connection.ping(reconnect=True)
    except (OSError, aiomysql.MySQLError, asyncio.CancelledError):
        raise
    except Exception as error:  # the library stumbles over foreign greetings in many ways
        raise TargetError(Code.STATUS, f"no database server: {type(error).__name__}") from error


def _translated(error: aiomysql.MySQLError) -> Exception:
    """Whose fault an error of the library is; the OSError behind it where there is one."""
    if isinstance(error.__cause__, OSError):
        return error.__cause__
    number = error.args[0] if error.args else 0
    text = one_line(str(error.args[1] if len(error.args) > 1 else error))
    if number in WRONG_ACCOUNT:
        return ProbeError(f"error {number}: {text}")
    code = Code.REFUSED if number in TURNED_AWAY else Code.STATUS
    return TargetError(code, f"error {number}: {text}")
