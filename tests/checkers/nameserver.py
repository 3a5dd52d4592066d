"""A small name server for tests, over UDP and TCP, whose answers a test changes as it likes."""

import asyncio
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.rigs.ports import free_port

UDP_LIMIT = 1232


class NanoNameServer:
    """Knows what `put` told it; everything else does not exist.

    `queries` counts (name, type, transport). A name in `silent` is not answered, one in `held` not
    until it is released, one in `garbage` with nonsense, one in `foreign` as if something else had
    been asked, one in `codes` with that response code, one in `circles` with CNAMEs from each to
    the next and from the last to the first, unless that is "".
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = 0
        self.queries: Counter[tuple[str, str, str]] = Counter()
        self.silent: set[str] = set()
        self.foreign: set[str] = set()
        self.held: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.circles: dict[str, list[str]] = {}
        self.garbage: dict[str, bytes] = {}
        self.codes: dict[str, dns.rcode.Rcode] = {}
        self.authoritative = True
        self._held: dict[str, Callable[[], None]] = {}
        self._records: dict[str, dict[str, list[str]]] = {}
        self._asked = asyncio.Condition()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def put(self, name: str, rdtype: str, *data: str) -> None:
        """The records of one name and type; none at all make it an empty answer."""
        self._records.setdefault(name, {})[rdtype] = list(data)

    def hold(self, query: dns.message.Message, send: Callable[[bytes], None]) -> None:
        """Keep the question, if its name is held, for `release` to answer."""
        name, rdtype = _question(query)
        if name in self.held:
            self._held[name] = lambda: send(self._reply(query, name, rdtype, "udp"))

    def release(self, name: str) -> None:
        """Answer the last question for a held name, and all further ones."""
        self.held.remove(name)
        self._held.pop(name)()

    async def asked(self, name: str, times: int = 1) -> None:
        """Wait until the name was asked for so often, over all types and transports."""
        async with self._asked:
            await self._asked.wait_for(lambda: self.times(name) >= times)

    def times(self, name: str) -> int:
        return sum(count for key, count in self.queries.items() if key[0] == name)

    def answer(self, query: dns.message.Message, transport: str) -> bytes | None:
        """The answer on the wire; None is silence."""
        name, rdtype = _question(query)
        self.queries[name, rdtype, transport] += 1
        asyncio.get_running_loop().create_task(self._notify())
        if name in self.silent | self.held:
            return None
        if name in self.garbage:
            return query.to_wire()[:2] + self.garbage[name]
        wire = self._reply(query, name, rdtype, transport)
        return bytes([wire[0] ^ 0xFF]) + wire[1:] if name in self.foreign else wire

    async def _notify(self) -> None:
        async with self._asked:
            self._asked.notify_all()

    def _reply(self, query: dns.message.Message, name: str, rdtype: str, transport: str) -> bytes:
        reply = dns.message.make_response(query, recursion_available=True)
        if self.authoritative:
            reply.flags |= dns.flags.AA
        if name in self.codes:
            reply.set_rcode(self.codes[name])
        elif circle := self.circles.get(name):
            for owner, target in zip(circle, [*circle[1:], circle[0]], strict=True):
                if owner and target:
                    reply.answer.append(_rrset(owner, "CNAME", [f"{target}."]))
        elif name in self.aliases:
            target = self.aliases[name]
            reply.answer.append(_rrset(name, "CNAME", [f"{target}."]))
            reply.answer.append(_rrset(target, rdtype, self._records[target][rdtype]))
        elif name not in self._records:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            soa = "ns.example. hostmaster.example. 1 3600 3600 3600 3600"
            reply.authority.append(_rrset("example", "SOA", [soa]))
        elif data := self._records[name].get(rdtype):
            reply.answer.append(_rrset(name, rdtype, data))
        wire = reply.to_wire(max_size=65535)
        if transport == "udp" and len(wire) > UDP_LIMIT:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            wire = reply.to_wire()
        return wire

    async def __aenter__(self) -> Self:
        # A port that the system picks for TCP may be in use for UDP.
        self.port = free_port(self.host)
        self._tcp = await asyncio.start_server(self._serve, self.host, self.port)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Udp(self), local_addr=(self.host, self.port)
        )
        self._udp = transport
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._tcp is not None
        assert self._udp is not None
        self._udp.abort()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                query = dns.message.from_wire(await reader.readexactly(length))
                if (wire := self.answer(query, "tcp")) is not None:
                    writer.write(len(wire).to_bytes(2, "big") + wire)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def _question(query: dns.message.Message) -> tuple[str, str]:
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    return name, dns.rdatatype.to_text(question.rdtype)


def _rrset(owner: str, rdtype: str, data: list[str]) -> dns.rrset.RRset:
    """With a TTL of an hour: whoever keeps answers is found out."""
    return dns.rrset.from_text_list(f"{owner}.", 3600, "IN", rdtype, data)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NanoNameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        wire = self._server.answer(query, "udp")
        if wire is not None:
            self._transport.sendto(wire, addr)
        else:
            self._server.hold(query, lambda wire: self._transport.sendto(wire, addr))
