"""`agent`: a program on the target reports its state in the protocol of HAProxy's agent-check."""

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.tcp import port_of
from dnslb_backend.checkers.checks.parameters import Port
from dnslb_backend.checkers.checks.tls_parameters import TlsCheckParameters
from dnslb_backend.checkers.resources.classify import TargetError
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.deadlines import within
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, failed, passed
from dnslb_backend.network import bracketed

LINE_LIMIT = 4096
"""Bytes that an agent may send before the end of its line."""

DOWN = frozenset({"down", "fail", "failed", "stopped"})
OUT_OF_SERVICE = frozenset({"drain", "maint"})
IN_SERVICE = frozenset({"up", "ready"})

NOT_SERVED = 0
"""The priority of a target that is healthy, but out of service."""

_END = re.compile(rb"[\r\n]")
_BETWEEN = re.compile(r"[ \t,]+")
_PERCENT = re.compile(r"([0-9]{1,9})%")
_NUMBER = re.compile(r"[0-9]{1,9}%|maxconn:[0-9]+")


class AgentCheck(TlsCheckParameters):
    """Reads one line of words; the worst state among them decides.

    | words | result |
    |---|---|
    | `down`, `fail`, `failed`, `stopped` | fail -6, with the text after `#` |
    | `drain`, `maint`, `0%` | pass, but out of service (priority 0) |
    | `up`, `ready`, `NN%`, `maxconn:NN` | pass; `NN%` is the weight |
    | none, or any other word | fail -1 |
    """

    manages_timeout: ClassVar[bool] = True

    type: Literal["agent"] = "agent"
    port: Port | None = None
    send: str = ""
    tls: bool = False

    def problems(self) -> Iterator[str]:
        return self.problems_of_tls(used=self.tls)

    @property
    def port_needed(self) -> bool:
        return self.port is None

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        port = port_of(self.port, endpoint)
        context = await resources.tls.context(self.tls_settings) if self.tls else None
        name = self.sni or endpoint.address
        async with within(limit), connected(endpoint.address, port, context, name) as connection:
            if self.send:
                await connection.send(self.send.encode())
            line = await _read_line(connection)
        return _judge(line)

    def describe(self, endpoint: ProbeEndpoint) -> str:
        return f"agent {bracketed(endpoint.address)}:{endpoint.port or self.port or '?'}"


async def _read_line(connection: TargetConnection) -> str:
    """The text before the first CR or LF, or before the target closes the connection."""
    received = b""
    while data := await connection.read():
        received += data
        if end := _END.search(received):
            return received[: end.start()].decode("utf-8", "replace")
        if len(received) > LINE_LIMIT:
            raise TargetError(Code.STATUS, f"sent no end of line within {LINE_LIMIT} bytes")
    if not received:
        raise TargetError(Code.REFUSED, "closed the connection without an answer")
    return received.decode("utf-8", "replace")


def _judge(line: str) -> Result:
    text = one_line(line)
    words = {word.lower() for word in _BETWEEN.split(line.partition("#")[0]) if word}
    if words & DOWN:
        return failed(Code.STATUS, text)
    weights = [int(found[1]) for word in words if (found := _PERCENT.fullmatch(word))]
    known = OUT_OF_SERVICE | IN_SERVICE
    unknown = [word for word in words - known if not _NUMBER.fullmatch(word)]
    if unknown or not words:
        problem = f"unknown word {min(unknown)!r}" if unknown else "no word"
        return failed(Code.NO_MATCH, f"{problem} in the agent's answer {text!r}")
    if words & OUT_OF_SERVICE or 0 in weights:
        return passed(text, priority=NOT_SERVED)
    return passed(text, weight=min(weights, default=None))
