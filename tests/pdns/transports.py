"""The real connectors on sockets of their own, and what PowerDNS is told to reach them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_network

from dnslb_backend.pdns.http import HttpConnector
from dnslb_backend.pdns.listeners import listen_tcp
from dnslb_backend.pdns.responder import Responder
from dnslb_backend.pdns.settings import Endpoint

LOOPBACK = (ip_network("127.0.0.0/8"),)

Settings = dict[str, str | int]

Serve = Callable[[Responder], AbstractAsyncContextManager[Settings]]
"""Runs one connector, and says how PowerDNS reaches it."""


@asynccontextmanager
async def serve_http(responder: Responder) -> AsyncIterator[int]:
    """An HTTP connector for this host; yields its port."""
    listener = listen_tcp(Endpoint("127.0.0.1", 0))
    port = listener.getsockname()[1]
    connector = HttpConnector(responder, LOOPBACK)
    await connector.start([listener])
    try:
        yield port
    finally:
        await connector.stop(grace=0)


def http_settings(port: int, options: str = "") -> Settings:
    return {
        "launch": "remote",
        "remote-connection-string": f"http:url=http://127.0.0.1:{port}/dns{options}",
    }


def http(options: str) -> Serve:
    @asynccontextmanager
    async def serve(responder: Responder) -> AsyncIterator[Settings]:
        async with serve_http(responder) as port:
            yield http_settings(port, options)

    return serve


TRANSPORTS: dict[str, Serve] = {
    "rest": http(""),
    "post": http(",post=1"),
    "post_json": http(",post=1,post_json=1"),
}
