"""`mariadb`: log in, check the server's state, run a query."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Output, OutputCheck
from dnslb_backend.checkers.checks.parameters import Path, Port, Regexp
from dnslb_backend.checkers.checks.secrets import redacted, resolve_secret
from dnslb_backend.checkers.checks.statements import (
    DEFAULT_QUERY,
    LITERALS,
    found_text,
    without_literals,
)
from dnslb_backend.checkers.checks.tls_parameters import TlsCheckParameters
from dnslb_backend.checkers.resources.classify import ProbeError, TargetError
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result
from dnslb_backend.mariadb_protocol import (
    SET_NAMES,
    Limits,
    Login,
    MariadbError,
    MariadbSession,
    ServerError,
    TlsMissingError,
    UnsafeLoginError,
)
from dnslb_backend.network import bracketed

ResultRow = Mapping[str, Any]
Preset = Literal["read_write", "replica", "galera"]

OFF = ("0", "OFF")
SYNCED = "4"
"""wsrep_local_state of a Galera node that takes part: 2 is a donor, 1 and 3 are joining."""

OUR_ACCOUNT = frozenset(
    {
        *(1044, 1045, 1698, 1873),  # wrong account or password
        *(1130, 1129),  # our address has no account, or is blocked after failed connections
        *(1142, 1143, 1227, 1345, 1370, 1959),  # the account lacks a privilege, or has a wrong role
        *(1203, 1226),  # it has used up its connections, or another quota
        *(1820, 1862),  # its password has expired
        *(4150, 4151, 3118, 3955),  # it is blocked or locked, in MariaDB's numbers and in MySQL's
        *(1251, 1275, 1524, 2059),  # it is to log in by a method that one of the two lacks
        3159,  # it must use TLS, and the check does not
    }
)
"""Errors of the account that the check logs in with, from this address: configured here, and the
same on every server at once. They say nothing about the target's health."""

CANNOT_SERVE = frozenset(
    {
        *(1037, 1038, 1041, 1135),  # out of memory or threads
        1040,  # all connections are taken: for clients as well
        *(1053, 1077, 1079, 1080),  # it shuts down
        *(1042, 1043, 1081, 1152, 1184),  # it broke off the login
        *(1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161),  # it lost the connection
        1927,  # it ended the connection
    }
)
"""Errors of a server that refuses all clients, or lost the connection itself."""

TOO_SLOW = frozenset({1969, 3024})
"""The server ended a statement for the time it took."""

LIMITS = Limits(bytes=1 << 20, packets=5000)
"""Of one answer. A result has at most 4096 columns, and of its rows only the first is read."""

TEXT_LIMIT = 64 * 1024


def _presets(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError('must be a list, such as ["read_write"]')
    return tuple(value)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


class MariadbCheck(OutputCheck, TlsCheckParameters):
    """Passes if the server has every state, and the first value of the query matches.

    | what is found | result |
    |---|---|
    | `read_write`: the server is read-only | fail -6 |
    | `replica`: it is none, a thread is stopped, or it lags more than `max_lag` seconds | fail -6 |
    | `galera`: not ready, not in the primary component, not synced | fail -6 |
    | the server answers a statement with an error | fail -6 |
    | `expect` not found in the first column of the first row | fail -1 |
    | the account or password is refused, or lacks a privilege | error -3 |
    """

    manages_timeout: ClassVar[bool] = True

    type: Literal["mariadb"] = "mariadb"
    port: Port = 3306
    user: str
    password: SecretStr | None = None
    password_file: Path = ""
    database: str = ""
    query: Annotated[str, AfterValidator(_not_empty)] = DEFAULT_QUERY
    expect: Regexp = ""
    states: Annotated[tuple[Preset, ...], BeforeValidator(_presets)] = ()
    max_lag: Annotated[float, Field(ge=0)] | None = None
    tls: bool = False

    def problems(self) -> Iterator[str]:
        yield from self.problems_of_tls(used=self.tls)
        if self.password is not None and self.password_file:
            yield "give a secret inline or in a file, not both"
        if self.max_lag is not None and "replica" not in self.states:
            yield 'max_lag needs states = ["replica"]'

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        password = await resolve_secret(self.password, self.password_file, resources.text)
        settings = replace(self.tls_settings, name=self.sni)
        tls = await resources.tls.context(settings) if self.tls else None
        login = Login(
            host=endpoint.address,
            port=endpoint.port or self.port,
            user=self.user,
            password=password,
            database=self.database or None,
            tls=tls,
        )
        # Where the user's name is the password, a text that shows the name is no worse.
        secret = "" if password == self.user else password
        return await redacted(self._ask(login, limit, resources), secret)

    async def _ask(self, login: Login, limit: float, resources: CheckResources) -> Result:
        connection = MariadbSession(login, LIMITS)
        try:
            async with within(limit):
                facts, text = await self._answer(connection, limit)
        except MariadbError as error:
            raise _classify(error, self.query) from error
        finally:
            connection.abort()
        output = Output(text[:TEXT_LIMIT], cut=len(text) > TEXT_LIMIT)
        shown = found_text(facts, self.query, text)
        return await self.evaluate(output, resources, expect=self.expect, text=shown)

    def describe(self, endpoint: ProbeEndpoint) -> str:
        address = f"{bracketed(endpoint.address)}:{endpoint.port or self.port}"
        states = f"{', '.join(self.states)}; " if self.states else ""
        query = LITERALS.sub("'…'", self.query)
        return one_line(f"MariaDB {self.user}@{address}: {states}{query}")

    async def _answer(self, connection: MariadbSession, limit: float) -> tuple[list[str], str]:
        """Facts about its states, and the first value of the query, as text.

        Raises TargetError if a state does not hold.
        """
        await connection.open()
        try:
            found = await self._question(connection, limit)
        except (TargetError, ServerError):
            await connection.close()
            raise
        await connection.close()
        return found

    async def _question(self, connection: MariadbSession, limit: float) -> tuple[list[str], str]:
        # The probe disconnects at its timeout; without this the server would keep working.
        is_bounded = "MariaDB" in connection.version
        bound = f", SESSION max_statement_time = {limit:.3f}" if is_bounded else ""
        await connection.run(f"{SET_NAMES}{bound}")
        facts = [
            self._fact(state, await connection.named_rows(_STATEMENTS[state]))
            for state in self.states
        ]
        return facts, _text(await connection.first_value(self.query))

    def _fact(self, state: Preset, rows: Sequence[ResultRow]) -> str:
        """The state in words; raises TargetError if it does not hold."""
        problem = {
            "read_write": _why_not_writable,
            "replica": lambda rows: _why_no_replica(rows, self.max_lag),
            "galera": _why_not_synced,
        }[state](rows)
        if problem:
            raise TargetError(Code.STATUS, problem)
        return _replica_text(rows) if state == "replica" else _FACTS[state]


_FACTS: dict[Preset, str] = {"read_write": "writable", "galera": "synced"}

_STATEMENTS: dict[Preset, str] = {
    "read_write": "SELECT @@global.read_only AS read_only",
    "replica": "SHOW ALL SLAVES STATUS",
    "galera": "SHOW GLOBAL STATUS WHERE Variable_name IN"
    " ('wsrep_ready', 'wsrep_cluster_status', 'wsrep_local_state')",
}


def _why_not_writable(rows: Sequence[ResultRow]) -> str:
    if not rows or "read_only" not in rows[0]:
        return "the server does not say whether it is read-only"
    return "" if str(rows[0]["read_only"]).upper() in OFF else "the server is read-only"


def _why_no_replica(rows: Sequence[ResultRow], max_lag: float | None) -> str:
    if not rows:
        return "the server is not a replica"
    for row in rows:
        for thread in ("Slave_IO_Running", "Slave_SQL_Running"):
            if row.get(thread) != "Yes":
                return f"{thread} is {row.get(thread, 'not there')}"
        lag = _seconds(row.get("Seconds_Behind_Master"))
        if lag is None:
            return "the replica does not know how far it is behind"
        if max_lag is not None and lag > max_lag:
            return f"{lag:.0f} s behind, more than {max_lag:g}"
    return ""


def _replica_text(rows: Sequence[ResultRow]) -> str:
    lags = [_seconds(row.get("Seconds_Behind_Master")) or 0 for row in rows]
    return f"replica, {max(lags):.0f} s behind"


def _seconds(value: object) -> float | None:
    try:
        seconds = float(str(value))
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _why_not_synced(rows: Sequence[ResultRow]) -> str:
    values = {str(row.get("Variable_name")): str(row.get("Value")) for row in rows}
    wanted = {"wsrep_ready": "ON", "wsrep_cluster_status": "Primary", "wsrep_local_state": SYNCED}
    for name, value in wanted.items():
        if values.get(name, "not there").lower() != value.lower():
            return f"{name} is {values.get(name, 'not there')}, not {value}"
    return ""


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "ignore")
    return "" if value is None else str(value)


def _classify(error: MariadbError, query: str) -> Exception:
    """Classify an error: a problem of this side, or a failure of the target."""
    if isinstance(error, UnsafeLoginError):
        return ProbeError(f"{error}: set tls = true")
    if isinstance(error, TlsMissingError):
        return TargetError(Code.TLS, str(error))
    if not isinstance(error, ServerError):
        return TargetError(Code.STATUS, str(error))
    text = f"error {error.number}: {one_line(without_literals(_unquoted(str(error)), query))}"
    if error.number in OUR_ACCOUNT:
        return ProbeError(text)
    if error.number in CANNOT_SERVE:
        return TargetError(Code.REFUSED, text)
    return TargetError(Code.TIMEOUT if error.number in TOO_SLOW else Code.STATUS, text)


def _unquoted(text: str) -> str:
    """Servers quote the statement that they cannot parse."""
    return text.partition(" near ")[0]
