"""Queries to a name server over real sockets, as dig sends them."""

from collections.abc import Iterable
from dataclasses import dataclass

import dns.asyncquery
import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

ADDRESS_TYPES = {dns.rdatatype.A, dns.rdatatype.AAAA}


@dataclass(frozen=True, slots=True)
class Answer:
    """A name server's answer.

    `rcode` and `flags` are spelt as dig prints them, flags in lower case ("NOERROR", "aa").
    `contents` are the records of the type that was asked for, in the order they came in;
    `addresses` all of the answer section. `ttl` is the smallest there, None if it is empty.
    `has_soa` is about the authority section, `scope` is that of the client subnet that came back.
    """

    rcode: str
    contents: tuple[str, ...]
    addresses: frozenset[str]
    ttl: int | None
    has_soa: bool
    flags: frozenset[str]
    scope: int | None
    message: dns.message.Message

    @property
    def is_nodata(self) -> bool:
        """The name exists, without records of that type (RFC 2308)."""
        return self.rcode == "NOERROR" and not self.message.answer and self.has_soa


async def ask(
    server: tuple[str, int],
    name: str,
    type: str = "A",  # noqa: A002 - what DNS calls it
    *,
    edns: bool = True,
    ecs: str | None = None,
    wants_proof: bool = False,
    tcp: bool = False,
    timeout: float = 5.0,  # noqa: ASYNC109 - of one datagram, as dig has it
) -> Answer:
    """Query `server` once; TimeoutError if nothing comes back within `timeout` seconds.

    `ecs` is the client subnet to send along, such as "192.0.2.0/24". With `wants_proof`
    signatures are asked for as well (DO).
    """
    options = [dns.edns.ECSOption.from_text(ecs)] if ecs else []
    query = dns.message.make_query(
        name, type, use_edns=edns or bool(ecs), want_dnssec=wants_proof, options=options
    )
    exchange = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    host, port = server
    try:
        return read(await exchange(query, host, timeout=timeout, port=port))
    except dns.exception.Timeout:
        raise TimeoutError(f"{host}:{port} did not answer {name} {type} in {timeout} s") from None


def read(message: dns.message.Message) -> Answer:
    asked = message.question[0].rdtype
    ttls = [rrset.ttl for rrset in message.answer]
    return Answer(
        rcode=dns.rcode.to_text(message.rcode()),
        contents=tuple(_texts(message, {asked})),
        addresses=frozenset(_texts(message, ADDRESS_TYPES)),
        ttl=min(ttls, default=None),
        has_soa=any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority),
        flags=frozenset(dns.flags.to_text(message.flags).lower().split()),
        scope=next(
            (
                option.scopelen
                for option in message.options
                if isinstance(option, dns.edns.ECSOption)
            ),
            None,
        ),
        message=message,
    )


def _texts(message: dns.message.Message, types: set[dns.rdatatype.RdataType]) -> Iterable[str]:
    for rrset in message.answer:
        if rrset.rdtype in types:
            yield from (rdata.to_text() for rdata in rrset)
