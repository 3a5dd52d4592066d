"""Resolves host names of destinations with c-ares: no threads that pile up, nothing cached."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import aiodns
import pycares
from aiodns import error as ares

from dnslb_backend.checkers.schedule.hosts_file import PATH, HostsFile
from dnslb_backend.core.health.resolutions import Resolution, Status, found, unresolved
from dnslb_backend.core.model.names import is_sinkhole
from dnslb_backend.tasks import BackgroundTasks

Family = Literal["A", "AAAA"]

TRY_LIMIT: Final = 0.5
"""Seconds for the first server to answer; c-ares adapts it to what it measures."""

TRIES: Final = 3

QUERY_LIMIT: Final = 10.0
"""Seconds after which a query is given up that c-ares itself has not given up."""

FLUSH_DELAY: Final = 0.02

LIMIT: Final = 1024
"""At most so many addresses of a name: more would keep the event loop from lookups."""

SHOWN: Final = 4
"""At most so many addresses that cannot be used are named in a message."""

_LOOPBACKS: Final = {"A": "127.0.0.1", "AAAA": "::1"}
_TYPES: Final = {"A": pycares.QUERY_TYPE_A, "AAAA": pycares.QUERY_TYPE_AAAA}


class Resolver:
    """Looks names up as getaddrinfo does: /etc/hosts, localhost, the search list, then DNS.

    `nameservers` ("192.0.2.53" or "127.0.0.1:5353") take the place of those in resolv.conf,
    whose changes are noticed otherwise. `hosts` is the file to look at first.
    """

    def __init__(self, nameservers: Sequence[str] = (), hosts: Path = PATH) -> None:
        self._hosts = HostsFile(hosts)
        self._nameservers = tuple(nameservers)
        self._ares: aiodns.DNSResolver | None = None
        self._queries: dict[tuple[str, Family], asyncio.Task[Resolution]] = {}
        self._tasks = BackgroundTasks("resolver")
        self._flush: asyncio.TimerHandle | None = None

    async def resolve(self, host: str, family: Family, limit: float) -> Resolution:
        """Addresses of one family, or why there are none, after at most `limit` seconds.

        Callers who ask for the same at the same time share one query, which goes on when they
        give up. An address literal is its own answer, and EMPTY in the other family.
        """
        literal = _literal(host)
        if literal is not None:
            return found((str(literal),) if (literal.version == 4) == (family == "A") else ())
        key = (host.lower(), family)
        query = self._queries.get(key)
        if query is None:
            query = self._queries[key] = self._tasks.share(self._ask(host, family))
            query.add_done_callback(lambda _: self._queries.pop(key, None))
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(query)
        except TimeoutError:
            return unresolved(f"no answer within {limit:g} s")

    async def close(self) -> None:
        """End all queries, which return FAILED to their callers, and close every socket."""
        if self._flush is not None:
            self._flush.cancel()
        if self._ares is not None:
            await self._ares.close()
        if self._queries:
            await asyncio.wait(self._queries.values())
        await self._tasks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _ask(self, host: str, family: Family) -> Resolution:
        try:
            async with asyncio.timeout(QUERY_LIMIT):
                if known := await self._hosts.addresses(host, family):
                    return usable(known)
                if _is_localhost(host):
                    return found((_LOOPBACKS[family],))
                answer = (await self._search(host, _TYPES[family])).answer
        except pycares.AresError as error:
            return _no_addresses(error)
        except TimeoutError:
            return unresolved("no answer in time")
        except (OSError, RuntimeError, UnicodeError) as error:
            return unresolved(f"cannot ask: {error}")
        finally:
            self._flush_soon()
        addresses = [
            each.data.addr
            for each in answer
            if each.type == _TYPES[family]
            and isinstance(each.data, pycares.ARecordData | pycares.AAAARecordData)
        ]
        if addresses:
            return usable(addresses)
        if _leads_in_circles(answer):
            return unresolved("its CNAME leads back to itself")
        return Resolution(Status.EMPTY)

    async def _search(self, host: str, query_type: int) -> pycares.DNSResult:
        """The answer for a name, found with the search list; AresError where there is none.

        Not by getaddrinfo, for which c-ares reads /etc/hosts in its own way unless `lookups` keeps
        it from that: pycares 5.2 passes `lookups` in memory that it has freed, and where something
        else was written there meanwhile, no name was ever resolved.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[pycares.DNSResult] = loop.create_future()

        def settle(result: pycares.DNSResult, error: int | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(result)
            else:
                answered.set_exception(pycares.AresError(error, pycares.errno.strerror(error)))

        def hand_over(result: pycares.DNSResult, error: int | None) -> None:
            """Called in the thread of c-ares."""
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        try:
            self._open()._channel.search(host, query_type, callback=hand_over)
        except pycares.AresError:
            # What is no name is reported in both ways.
            answered.cancel()
            raise
        return await answered

    def _open(self) -> aiodns.DNSResolver:
        if self._ares is None:
            self._ares = aiodns.DNSResolver(timeout=TRY_LIMIT, tries=TRIES)
            if self._nameservers:
                self._ares.nameservers = self._nameservers
        return self._ares

    def _flush_soon(self) -> None:
        """Have c-ares forget the answers that it keeps for their TTL, or up to an hour.

        Every check cycle sends a query: a name that was changed, and flushed from the resolver of
        this machine, must be followed at once. aiodns passes no option for it; reinit does it, and
        keeps what was learnt about the servers. It takes effect within a few milliseconds.
        """
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(FLUSH_DELAY, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if self._ares is not None:
            with contextlib.suppress(RuntimeError):
                self._ares._channel.reinit()


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_localhost(host: str) -> bool:
    """RFC 6761: never asked of a name server."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def usable(addresses: Iterable[str]) -> Resolution:
    """FOUND with those that a client could connect to; FAILED where there are only others.

    A resolver that blocks names answers 0.0.0.0 or :: for them. Beyond LIMIT
    addresses the highest are left out.
    """
    good: list[str] = []
    bad: list[str] = []
    for packed in sorted({_packed(address) for address in addresses})[:LIMIT]:
        address = str(ipaddress.ip_address(packed))
        (bad if is_sinkhole(address) else good).append(address)
    if bad and not good:
        return unresolved(f"answered with {', '.join(bad[:SHOWN])}, which is no server's address")
    return replace(found(tuple(good)), ignored=tuple(bad[:SHOWN]))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _bare(name: str) -> str:
    return name.lower().removesuffix(".")


def _leads_in_circles(answer: Iterable[pycares.DNSRecord]) -> bool:
    """Whether one of the names is an alias of itself."""
    aliases = {
        _bare(record.name): _bare(record.data.cname)
        for record in answer
        if isinstance(record.data, pycares.CNAMERecordData)
    }
    for first in aliases:
        name, seen = first, set[str]()
        while name in aliases and name not in seen:
            seen.add(name)
            name = aliases[name]
        if name in seen:
            return True
    return False


def _no_addresses(error: pycares.AresError) -> Resolution:
    code, text = error.args
    if code == ares.ARES_ENODATA:
        return Resolution(Status.EMPTY)
    if code in (ares.ARES_ENOTFOUND, ares.ARES_ENONAME):
        return Resolution(Status.NXDOMAIN)
    return unresolved(str(text))
