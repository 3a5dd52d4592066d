"""A name server whose answers a test changes at will, and that can be silenced."""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self, cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class NameServer:
    """Answers A and AAAA over UDP and TCP at `host`, port 53 unless another is named.

    `addresses` holds what each name has: the addresses of both families, in a list that may be
    empty. An unknown name is NXDOMAIN. While `is_silent` it sends no answers.
    """

    def __init__(self, host: str, port: int = 53) -> None:
        self.host = host
        self.port = port
        self.addresses: dict[str, list[str]] = {}
        self.is_silent = False
        self.queries = 0
        self.last_found = 0.0
        """Monotonic time of the last answer with an address in it."""
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        address = (self.host, self.port)
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Questions(self), local_addr=address
        )
        self._server = await asyncio.start_server(self._converse, self.host, self.port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One query per connection (RFC 1035, 4.2.2)."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire = await reader.readexactly(size)
            self.queries += 1
            if not self.is_silent:
                reply = self.answer(dns.message.from_wire(wire)).to_wire(max_size=65535)
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
        writer.close()

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        question = query.question[0]
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        known = self.addresses.get(question.name.to_text(omit_final_dot=True).lower())
        if known is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
            return response
        is_wanted = {dns.rdatatype.A: "A", dns.rdatatype.AAAA: "AAAA"}.get(question.rdtype)
        found = [each for each in known if ("AAAA" if ":" in each else "A") == is_wanted]
        if found:
            self.last_found = time.monotonic()
            rrset = dns.rrset.from_text_list(question.name, 60, "IN", question.rdtype, found)
            response.answer.append(rrset)
        return response


class _Questions(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.queries += 1
        if not self._server.is_silent and self._transport is not None:
            response = self._server.answer(dns.message.from_wire(data))
            self._transport.sendto(_datagram(response), addr)


def _datagram(response: dns.message.Message) -> bytes:
    """The datagram for an answer; truncated (TC) if it does not fit."""
    try:
        return response.to_wire()
    except dns.exception.TooBig:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()
