"""`postgres`: log in, check the server's role, run a query."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr

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
from dnslb_backend.checkers.resources.classify import ProbeError, TargetError, conversation
from dnslb_backend.checkers.resources.connection import connected
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.postgres_session import (
    PostgresError,
    PostgresLogin,
    PostgresSession,
)
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result
from dnslb_backend.network import bracketed

Role = Literal["primary", "replica", "any"]

OUR_ACCOUNT = frozenset({"28000", "28P01", "42501", "0P000"})
"""SQLSTATEs of the account that the check logs in with: no such role, no entry in pg_hba.conf, a
wrong password, a missing privilege. They say nothing about the target's health."""

ROLE_LIMIT = ("53300", "InitializeSessionUserId")
"""Too many connections of this role; elsewhere in the server, 53300 is about all clients."""

CANNOT_SERVE = frozenset({"53200", "53300", "57P01", "57P02", "57P03"})
"""Out of memory or connections, shutting down, starting up, after a crash."""

TOO_SLOW = "57014"
"""The server ended a statement for the time it took."""

TEXT_LIMIT = 64 * 1024

ROLE_STATEMENT = (
    "SELECT pg_is_in_recovery(), CASE"
    " WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()"
    " AND EXISTS (SELECT pid FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) THEN 0"
    " ELSE EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END"
)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    return text


class PostgresCheck(OutputCheck, TlsCheckParameters):
    """Passes if the server has the role, and the first value of the query matches.

    | what is found | result |
    |---|---|
    | another role; a `replica` that lags more than `max_lag` seconds | fail -6 |
    | the server answers a statement with an error | fail -6 |
    | `expect` not found in the first column of the first row | fail -1 |
    | the account or password is refused, or lacks a privilege | error -3 |
    """

    manages_timeout: ClassVar[bool] = True

    type: Literal["postgres"] = "postgres"
    port: Port = 5432
    user: Annotated[str, AfterValidator(_not_empty)]
    password: SecretStr | None = None
    password_file: Path = ""
    database: Path = ""
    query: Annotated[str, AfterValidator(_not_empty)] = DEFAULT_QUERY
    expect: Regexp = ""
    role: Role = "any"
    max_lag: Annotated[float, Field(ge=0)] | None = None
    tls: bool = False

    def problems(self) -> Iterator[str]:
        yield from self.problems_of_tls(used=self.tls)
        if self.password is not None and self.password_file:
            yield "give a secret inline or in a file, not both"
        if self.max_lag is not None and self.role != "replica":
            yield 'max_lag needs role = "replica"'

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        password = await resolve_secret(self.password, self.password_file, resources.text)
        tls = await resources.tls.context(self.tls_settings) if self.tls else None
        name = self.sni or endpoint.address
        login = PostgresLogin(self.user, password, self.database, tls, name)
        # Where the user's name is the password, a text that shows the name is no worse.
        secret = "" if password == self.user else password
        return await redacted(self._ask(endpoint, login, limit, resources), secret)

    async def _ask(
        self, endpoint: ProbeEndpoint, login: PostgresLogin, limit: float, resources: CheckResources
    ) -> Result:
        port = endpoint.port or self.port
        try:
            async with within(limit), connected(endpoint.address, port) as connection:
                with conversation():
                    session = PostgresSession(connection, login)
                    facts, text = await self._answer(session, limit)
        except PostgresError as error:
            raise _classify(error, self.query) from error
        output = Output(text[:TEXT_LIMIT], cut=len(text) > TEXT_LIMIT)
        shown = found_text(facts, self.query, text)
        return await self.evaluate(output, resources, expect=self.expect, text=shown)

    def describe(self, endpoint: ProbeEndpoint) -> str:
        address = f"{bracketed(endpoint.address)}:{endpoint.port or self.port}"
        role = "" if self.role == "any" else f"{self.role}; "
        query = LITERALS.sub("'…'", self.query)
        return one_line(f"PostgreSQL {self.user}@{address}: {role}{query}")

    async def _answer(self, session: PostgresSession, limit: float) -> tuple[list[str], str]:
        """Facts about its role, and the first value of the query, as text.

        Raises TargetError if the role is another.
        """
        await session.open()
        facts = []
        if self.role != "any":
            facts.append(self._fact(await session.first_row(ROLE_STATEMENT)))
        # The probe disconnects at its timeout; without this the server would keep working. LOCAL
        # keeps it out of the sessions that a pooler shares.
        bound = f"SET LOCAL statement_timeout = {max(1, round(limit * 1000))}"
        row = await session.first_row(f"{bound}; {self.query}")
        await session.close()
        return facts, (row[0] if row else None) or ""

    def _fact(self, row: list[str | None] | None) -> str:
        """The role in words; raises TargetError if it is another."""
        recovering, lag = (*(row or ()), None, None)[:2]
        if recovering not in ("t", "f"):
            raise TargetError(Code.STATUS, "the server does not say whether it is a replica")
        if (recovering == "t") != (self.role == "replica"):
            raise TargetError(Code.STATUS, f"the server is not a {self.role}")
        if self.max_lag is not None and lag is None:
            raise TargetError(Code.STATUS, "the replica does not know how far it is behind")
        if self.role == "primary" or lag is None:
            return self.role
        if self.max_lag is not None and float(lag) > self.max_lag:
            raise TargetError(Code.STATUS, f"{float(lag):.0f} s behind, more than {self.max_lag:g}")
        return f"replica, {float(lag):.0f} s behind"


def _classify(error: PostgresError, query: str) -> Exception:
    """Classify an error: a problem of this side, or a failure of the target."""
    state = error.sqlstate
    text = f"error {one_line(state)}: {one_line(without_literals(str(error), query))}"
    if state in OUR_ACCOUNT or (state, error.routine) == ROLE_LIMIT:
        return ProbeError(text)
    if state in CANNOT_SERVE:
        return TargetError(Code.REFUSED, text)
    return TargetError(Code.TIMEOUT if state == TOO_SLOW else Code.STATUS, text)
