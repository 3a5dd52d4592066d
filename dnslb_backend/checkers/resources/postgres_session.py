"""A session with a PostgreSQL server that may be broken or hostile (protocol 3.0).

A full driver sends the password in whatever form the server asks for, computes as long as the
server wants, and reads as much as it is sent. Here:

- TLS that is configured is there before the login, or there is no login;
- without TLS only a proof of the password is sent, never the password;
- messages, their size and the work of a login are limited.

Every method raises PostgresError for the server's own errors, TargetError for what breaks the
protocol, and ProbeError where the login cannot be done from here.
"""

import asyncio
import hashlib
import secrets
import ssl
from dataclasses import dataclass, field

from dnslb_backend.checkers.resources.classify import ProbeError, TargetError
from dnslb_backend.checkers.resources.connection import TargetConnection
from dnslb_backend.checkers.resources.scram import ScramClient
from dnslb_backend.core.health.results import Code
from dnslb_backend.errors import DnslbError

MESSAGE_LIMIT = 128 * 1024
MESSAGES_LIMIT = 1000
"""Messages in one probe: a server needs about thirty."""

PROTOCOL = 196608
TLS_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")

AUTHENTICATED, CLEAR, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12
"""Requests of authentication."""

UNSUPPORTED = frozenset({2, 6, 7, 8, 9})
"""Those that need Kerberos or Windows."""

SCRAM = b"SCRAM-SHA-256"

Row = list[str | None]


class PostgresError(DnslbError):
    """The server answered with an error; `routine` is the function of its source that raised it."""

    def __init__(self, sqlstate: str, text: str, routine: str) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.routine = routine


@dataclass(frozen=True, slots=True)
class PostgresLogin:
    """As whom to log in. With `tls` there is no login without it; `name` is verified then."""

    user: str
    password: str = field(default="", repr=False)
    database: str = ""
    tls: ssl.SSLContext | None = None
    name: str = ""


class PostgresSession:
    """On a connection that was just made; used by one task."""

    def __init__(self, connection: TargetConnection, login: PostgresLogin) -> None:
        self._connection = connection
        self._login = login
        self._received = bytearray()
        self._messages = 0
        self._scram: ScramClient | None = None

    async def open(self) -> None:
        """Log in."""
        if self._login.tls is not None:
            await self._start_tls(self._login.tls)
        await self._connection.send(_startup(self._login))
        await self._authenticate()
        while (await self._message())[0] != b"Z":
            pass

    async def first_row(self, statement: str) -> Row | None:
        """The first row of a simple query, None without one.

        After more than one row only close() may follow.
        """
        await self._send(b"Q", statement.encode() + b"\0")
        row: Row | None = None
        while True:
            kind, body = await self._message()
            if kind == b"Z" or (kind == b"D" and row is not None):
                return row
            if kind == b"D":
                row = _row(body)
            elif kind in (b"G", b"H", b"W"):
                raise TargetError(Code.STATUS, "the query is a COPY")

    async def close(self) -> None:
        """Say goodbye, or the server would log a broken connection."""
        await self._send(b"X", b"")

    # -- login ----------------------------------------------------------------------------

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        await self._connection.send(TLS_REQUEST)
        answer = await self._exactly(1)
        if answer == b"N":
            raise TargetError(Code.TLS, "the server does not offer TLS, and TLS is configured")
        # What comes with the answer was not sent by the server, or before there was TLS.
        if answer != b"S" or self._received:
            raise _no_protocol()
        await self._connection.start_tls(context, self._login.name)

    async def _authenticate(self) -> None:
        while True:
            kind, body = await self._message()
            if kind != b"R":
                raise _no_protocol()
            method = int.from_bytes(body[:4], "big")
            if method == AUTHENTICATED:
                return
            await self._answer(method, body[4:])

    async def _answer(self, method: int, challenge: bytes) -> None:
        if method == SASL_FINAL:
            if self._scram is None or not self._scram.is_server(challenge):
                raise TargetError(Code.STATUS, "the server does not know the password")
            return
        if method in UNSUPPORTED:
            raise ProbeError(f"the server asks for authentication {method}, which is not supported")
        if method in (CLEAR, MD5, SASL) and not self._login.password:
            raise ProbeError("the server asks for a password, and none is configured")
        if method == CLEAR:
            reply = self._clear_password()
        elif method == MD5:
            reply = _md5(self._login, challenge) + b"\0"
        elif method == SASL:
            reply = self._begin_scram(challenge)
        elif method == SASL_CONTINUE and self._scram is not None:
            # Bounded work, which needs no deadline: while all threads are busy it waits for its
            # turn, where run_blocking would refuse it.
            reply = await asyncio.to_thread(self._scram.final, challenge)
        else:
            raise _no_protocol()
        await self._send(b"p", reply)

    def _clear_password(self) -> bytes:
        if self._login.tls is None:
            raise ProbeError(
                "the server asks for the password itself, which is not sent without TLS:"
                " set tls = true"
            )
        return self._login.password.encode() + b"\0"

    def _begin_scram(self, mechanisms: bytes) -> bytes:
        if SCRAM not in mechanisms.split(b"\0"):
            raise ProbeError("the server does not offer SCRAM-SHA-256")
        self._scram = ScramClient(self._login.password, secrets.token_urlsafe(18))
        first = self._scram.first()
        return SCRAM + b"\0" + len(first).to_bytes(4, "big") + first

    # -- messages -------------------------------------------------------------------------

    async def _send(self, kind: bytes, body: bytes) -> None:
        await self._connection.send(kind + (len(body) + 4).to_bytes(4, "big") + body)

    async def _message(self) -> tuple[bytes, bytes]:
        """Kind and content of the next message; raises PostgresError if it is an error."""
        while True:
            self._messages += 1
            if self._messages > MESSAGES_LIMIT:
                raise TargetError(Code.STATUS, f"sent more than {MESSAGES_LIMIT} messages")
            head = await self._exactly(5)
            length = int.from_bytes(head[1:], "big") - 4
            if not 0 <= length <= MESSAGE_LIMIT or not head[:1].isalpha():
                raise _no_protocol()
            body = await self._exactly(length)
            if head[:1] == b"E":
                raise _error(body)
            # Notices, parameters and notifications may come at any time.
            if head[:1] not in b"NSA":
                return head[:1], body

    async def _exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            data = await self._connection.read()
            if not data:
                raise TargetError(Code.REFUSED, "closed the connection early")
            self._received += data
        found = bytes(self._received[:size])
        del self._received[:size]
        return found


def _startup(login: PostgresLogin) -> bytes:
    parameters = {
        "user": login.user,
        "database": login.database or login.user,
        "application_name": "dnslb-backend",
        "client_encoding": "UTF8",
    }
    words = "".join(f"{name}\0{value}\0" for name, value in parameters.items())
    body = PROTOCOL.to_bytes(4, "big") + words.encode() + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body


def _md5(login: PostgresLogin, salt: bytes) -> bytes:
    """A proof, as the protocol has it; nothing is protected by it that a guess would not find."""
    stored = hashlib.md5((login.password + login.user).encode()).hexdigest()
    return b"md5" + hashlib.md5(stored.encode() + salt).hexdigest().encode()


def _row(body: bytes) -> Row:
    """The values as texts, None for NULL."""
    row: Row = []
    at = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        size = int.from_bytes(body[at : at + 4], "big", signed=True)
        at += 4
        if size > len(body) - at or at > len(body):
            raise _no_protocol()
        row.append(body[at : at + size].decode("utf-8", "ignore") if size >= 0 else None)
        at += max(0, size)
    return row


def _error(body: bytes) -> PostgresError:
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return PostgresError(
        fields.get(b"C", ""), fields.get(b"M", "an error without text"), fields.get(b"R", "")
    )


def _no_protocol() -> TargetError:
    return TargetError(Code.STATUS, "the answer is not PostgreSQL's protocol")
