"""Looks up the hosts of webhooks in threads that nothing waits for."""

import socket
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

from dnslb_backend.blocking import run_blocking


class NameResolver(AbstractResolver):
    """The system's resolver; the caller sets the time limit."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        ask = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=proto,
                flags=socket.AI_NUMERICHOST,
            )
            for found, _, proto, _, address in await run_blocking(ask, None)
        ]

    async def close(self) -> None:
        """Nothing is kept open."""
