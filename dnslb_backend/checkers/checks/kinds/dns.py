"""`dns`: a query to a name server, evaluated by the code and the data of its answer."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from pydantic import AfterValidator

from dnslb_backend.blocking import run_blocking
from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.extraction import Output, OutputCheck
from dnslb_backend.checkers.checks.parameters import Port, Regexp
from dnslb_backend.checkers.resources.classify import ProbeError, TargetError, conversation
from dnslb_backend.checkers.resources.connection import TargetConnection, connected
from dnslb_backend.checkers.resources.deadlines import until
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.checkers.resources.texts import one_line
from dnslb_backend.core.health.results import Code, Result, failed
from dnslb_backend.network import bracketed

UDP_PAYLOAD = 1232
"""Fits everywhere without fragmentation (DNS flag day 2020)."""

LARGE = 2048
"""Longer messages (bytes) are parsed in a thread: thousands of records take tens of ms."""

PARSE_LIMIT = 5.0
"""Seconds for that thread; it may wait long for its turn on a busy machine."""

DATAGRAMS = 64
"""Datagrams that may arrive without answering the query; then the probe stops reading."""

TEXT_LIMIT = 64 * 1024

NO_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP})
"""Answers of servers without EDNS (RFC 6891, section 7): they are queried again without it."""


def _check_name(text: str) -> str:
    try:
        dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is not a domain name: {error}") from error
    return text


def _check_type(text: str) -> str:
    try:
        if dns.rdatatype.is_metatype(dns.rdatatype.from_text(text)) and text.upper() != "ANY":
            raise ValueError(f"{text!r} cannot be queried")
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is not a record type such as A or SOA") from error
    return text.upper()


def _check_rcode(text: str) -> str:
    try:
        return dns.rcode.to_text(dns.rcode.from_text(text))
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is not a response code such as NOERROR or NXDOMAIN") from error


class DnsCheck(OutputCheck):
    """Queries `name` and `qtype`, over TCP as well if the answer is truncated.

    | answer | result |
    |---|---|
    | another code than `rcode` | fail -6 |
    | `expect` not found in the data (one record a line), or no DNS message | fail -1 |
    | `authoritative` is set and the answer is not | fail -6 |
    | nothing in time; refused; reset | fail -2; -4; -4 |
    """

    manages_timeout: ClassVar[bool] = True

    type: Literal["dns"] = "dns"
    name: Annotated[str, AfterValidator(_check_name)]
    qtype: Annotated[str, AfterValidator(_check_type)] = "A"
    qclass: Literal["IN", "CH"] = "IN"
    port: Port = 53
    transport: Literal["udp", "tcp"] = "udp"
    rcode: Annotated[str, AfterValidator(_check_rcode)] = "NOERROR"
    expect: Regexp = ""
    recursive: bool = False
    authoritative: bool = False

    async def probe(
        self, endpoint: ProbeEndpoint, limit: float, resources: CheckResources
    ) -> Result:
        deadline = asyncio.get_running_loop().time() + limit
        query = self._query()
        where = endpoint.address, endpoint.port or self.port
        answer = await self._exchange(query, *where, deadline)
        if answer.rcode in NO_EDNS and dns.rcode.to_text(answer.rcode) != self.rcode:
            query.use_edns(False)
            answer = await self._exchange(query, *where, deadline)
        return await self._judge_answer(answer, resources)

    def describe(self, endpoint: ProbeEndpoint) -> str:
        port = endpoint.port or self.port
        return f"DNS {self.name} {self.qtype} @{bracketed(endpoint.address)}:{port}"

    def _query(self) -> dns.message.QueryMessage:
        query = dns.message.make_query(
            self.name, self.qtype, self.qclass, use_edns=0, payload=UDP_PAYLOAD
        )
        if not self.recursive:
            query.flags &= ~dns.flags.RD
        return query

    async def _exchange(
        self, query: dns.message.QueryMessage, address: str, port: int, deadline: float
    ) -> "_DnsReply":
        if self.transport == "udp":
            answer = await _over_udp(query, address, port, deadline)
            if not answer.flags & dns.flags.TC:
                return answer
        async with until(deadline):
            return await _over_tcp(query, address, port)

    async def _judge_answer(self, answer: "_DnsReply", resources: CheckResources) -> Result:
        rcode = dns.rcode.to_text(answer.rcode)
        if rcode != self.rcode:
            return failed(Code.STATUS, f"{rcode}, not {self.rcode}")
        if self.authoritative and not answer.flags & dns.flags.AA:
            return failed(Code.STATUS, "the answer is not authoritative")
        output = Output(answer.text[:TEXT_LIMIT], cut=len(answer.text) > TEXT_LIMIT)
        said = f"{rcode}: {one_line(answer.text)}" if answer.text else rcode
        return await self.evaluate(output, resources, expect=self.expect, text=said)


@dataclass(frozen=True, slots=True)
class _DnsReply:
    """A parsed message; `text` is the data of its answer, one record per line, as in zone files."""

    rcode: dns.rcode.Rcode
    flags: int
    text: str


class _Datagrams(asyncio.DatagramProtocol):
    """The datagrams that arrive, or the error that says there will be none."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=DATAGRAMS)
        self._left = DATAGRAMS

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._put(data)

    def error_received(self, exc: Exception) -> None:
        self._put(exc)

    def _put(self, item: bytes | Exception) -> None:
        self._left -= 1
        if self._left == 0:
            # A server that sends more than this is broken.
            self._transport.close()
        if not self.arrived.full():
            self.arrived.put_nowait(item)


async def _over_udp(
    query: dns.message.QueryMessage, address: str, port: int, deadline: float
) -> _DnsReply:
    """The first datagram that answers the query.

    Other messages are skipped: a guess, an answer to an earlier query, an echo of the query. If
    one has the right ID, a timeout after it becomes a TargetError.
    """
    loop = asyncio.get_running_loop()
    async with until(deadline):
        transport, datagrams = await loop.create_datagram_endpoint(
            _Datagrams, remote_addr=(address, port)
        )
    passed_over: TargetError | None = None
    try:
        transport.sendto(query.to_wire())
        async with until(deadline):
            for _ in range(DATAGRAMS):
                item = await datagrams.arrived.get()
                if isinstance(item, Exception):
                    raise item
                if item[:2] != query.id.to_bytes(2, "big"):
                    continue
                try:
                    return await _parsed(item, query)
                except NoAnswerError as error:
                    passed_over = error
        raise TargetError(Code.NO_MATCH, f"{DATAGRAMS} messages that do not answer the query")
    except TimeoutError:
        if passed_over is not None:
            raise passed_over from None
        raise
    finally:
        transport.abort()


async def _over_tcp(query: dns.message.QueryMessage, address: str, port: int) -> _DnsReply:
    async with connected(address, port) as connection:
        await connection.send(query.to_wire(prepend_length=True))
        received = bytearray()
        await _fill(received, connection, 2)
        length = int.from_bytes(received[:2], "big")
        await _fill(received, connection, 2 + length)
        return await _parsed(bytes(received[2 : 2 + length]), query)


async def _fill(received: bytearray, connection: TargetConnection, size: int) -> None:
    while len(received) < size:
        data = await connection.read()
        if not data:
            raise TargetError(Code.REFUSED, "closed the connection early")
        received += data


class NoAnswerError(TargetError):
    """A DNS message, but none that answers the query."""


async def _parsed(wire: bytes, query: dns.message.QueryMessage) -> _DnsReply:
    """Raises TargetError for what is no DNS message, NoAnswerError for what answers another."""
    if len(wire) <= LARGE:
        return _parse(wire, query)
    try:
        return await run_blocking(lambda: _parse(wire, query), PARSE_LIMIT)
    except TimeoutError:
        raise ProbeError(f"an answer was not parsed within {PARSE_LIMIT:g} s") from None


def _parse(wire: bytes, query: dns.message.QueryMessage) -> _DnsReply:
    with conversation():
        try:
            reply = dns.message.from_wire(wire, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError) as error:
            raise TargetError(
                Code.NO_MATCH, f"not a DNS message: {type(error).__name__}"
            ) from error
        if not query.is_response(reply):
            raise NoAnswerError(Code.NO_MATCH, "the message does not answer the query")
        text = "\n".join(rdata.to_text() for rrset in reply.answer for rdata in rrset)
        return _DnsReply(reply.rcode(), reply.flags, text)
