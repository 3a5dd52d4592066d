"""`dns`: a question to a name server, judged by the code and the data of its answer."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from pydantic import AfterValidator

from dnslb_backend.checkers.check import Endpoint
from dnslb_backend.checkers.deadlines import until
from dnslb_backend.checkers.failures import TargetError
from dnslb_backend.checkers.parameters import Port, Regexp
from dnslb_backend.checkers.reading import Output, ReadableCheck
from dnslb_backend.checkers.template import bracketed
from dnslb_backend.checkers.texts import one_line
from dnslb_backend.checkers.tools import Tools
from dnslb_backend.core.results import Code, Result, failed

UDP_PAYLOAD = 1232
"""What fits everywhere without fragments (the flag day of 2020)."""

LARGE = 2048
"""Longer messages (bytes) are parsed in a thread: thousands of records take tens of ms."""

TEXT_LIMIT = 64 * 1024


def _check_name(text: str) -> str:
    try:
        dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is no domain name: {error}") from error
    return text


def _check_type(text: str) -> str:
    try:
        if dns.rdatatype.is_metatype(dns.rdatatype.from_text(text)) and text.upper() != "ANY":
            raise ValueError(f"{text!r} cannot be asked for")
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is no type of records, such as A or SOA") from error
    return text.upper()


def _check_rcode(text: str) -> str:
    try:
        return dns.rcode.to_text(dns.rcode.from_text(text))
    except dns.exception.DNSException as error:
        raise ValueError(f"{text!r} is no response code, such as NOERROR or NXDOMAIN") from error


class DnsCheck(ReadableCheck):
    """Asks for `name` and `qtype`, over TCP as well when the answer is cut short.

    | what is answered | result |
    |---|---|
    | another code than `rcode` | fail -6 |
    | `expect` not found in the data (one record a line), or no DNS message | fail -1 |
    | `authoritative` is set and the answer is not | fail -6 |
    | nothing in time; refused; reset | fail -2; -4; -4 |
    """

    keeps_time: ClassVar[bool] = True

    type: Literal["dns"] = "dns"
    name: Annotated[str, AfterValidator(_check_name)]
    qtype: Annotated[str, AfterValidator(_check_type)] = "A"
    port: Port = 53
    transport: Literal["udp", "tcp"] = "udp"
    rcode: Annotated[str, AfterValidator(_check_rcode)] = "NOERROR"
    expect: Regexp = ""
    recursive: bool = False
    authoritative: bool = False

    async def ask(self, endpoint: Endpoint, limit: float, tools: Tools) -> Result:
        deadline = asyncio.get_running_loop().time() + limit
        query = self._query()
        where = endpoint.address, endpoint.port or self.port
        async with until(deadline):
            if self.transport == "tcp":
                reply = await _over_tcp(query, *where)
            else:
                reply = await _over_udp(query, *where)
                if reply.flags & dns.flags.TC:
                    reply = await _over_tcp(query, *where)
        return await self._judge_reply(reply, tools)

    def describe(self, endpoint: Endpoint) -> str:
        port = endpoint.port or self.port
        return f"DNS {self.name} {self.qtype} @{bracketed(endpoint.address)}:{port}"

    def _query(self) -> dns.message.QueryMessage:
        query = dns.message.make_query(self.name, self.qtype, use_edns=0, payload=UDP_PAYLOAD)
        if not self.recursive:
            query.flags &= ~dns.flags.RD
        return query

    async def _judge_reply(self, reply: dns.message.Message, tools: Tools) -> Result:
        rcode = dns.rcode.to_text(reply.rcode())
        if rcode != self.rcode:
            return failed(Code.STATUS, f"{rcode}, not {self.rcode}")
        if self.authoritative and not reply.flags & dns.flags.AA:
            return failed(Code.STATUS, "the answer is not authoritative")
        text = "\n".join(_data(reply))
        output = Output(text[:TEXT_LIMIT], cut=len(text) > TEXT_LIMIT)
        said = f"{rcode}: {one_line(text)}" if text else rcode
        return await self.judge(output, tools, expect=self.expect, text=said)


def _data(reply: dns.message.Message) -> Iterator[str]:
    """The data of every answer record, in the form of zone files."""
    for rrset in reply.answer:
        for rdata in rrset:
            yield rdata.to_text()


class _Datagrams(asyncio.DatagramProtocol):
    """The datagrams that arrive, or the error that says there will be none."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue(maxsize=64)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._put(data)

    def error_received(self, exc: Exception) -> None:
        self._put(exc)

    def _put(self, item: bytes | Exception) -> None:
        # Whoever sends more than this sends nonsense.
        if not self.arrived.full():
            self.arrived.put_nowait(item)


async def _over_udp(
    query: dns.message.QueryMessage, address: str, port: int
) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    transport, datagrams = await loop.create_datagram_endpoint(
        _Datagrams, remote_addr=(address, port)
    )
    wire = query.to_wire()
    try:
        transport.sendto(wire)
        while True:
            item = await datagrams.arrived.get()
            if isinstance(item, Exception):
                raise item
            # Another identifier: somebody guesses, or answers what was never asked.
            if item[:2] == wire[:2]:
                return await _parsed(item, query)
    finally:
        transport.abort()


async def _over_tcp(
    query: dns.message.QueryMessage, address: str, port: int
) -> dns.message.Message:
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(query.to_wire(prepend_length=True))
        await writer.drain()
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await _parsed(await reader.readexactly(length), query)
    finally:
        writer.transport.abort()


async def _parsed(wire: bytes, query: dns.message.QueryMessage) -> dns.message.Message:
    """Raises TargetError for what is no answer to the query."""
    try:
        if len(wire) > LARGE:
            reply = await asyncio.to_thread(_parse, wire)
        else:
            reply = _parse(wire)
    except (dns.exception.DNSException, ValueError) as error:
        raise TargetError(Code.NO_MATCH, f"no DNS message: {type(error).__name__}") from error
    if not query.is_response(reply):
        raise TargetError(Code.NO_MATCH, "the message does not answer the question")
    return reply


def _parse(wire: bytes) -> dns.message.Message:
    return dns.message.from_wire(wire, ignore_trailing=True)
