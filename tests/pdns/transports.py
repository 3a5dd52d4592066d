"""The real connectors on sockets of their own, and what PowerDNS is told to reach them."""

import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.connectors.http import READ_TIMEOUT, HttpConnector
from dnslb_backend.pdns.connectors.sockets import listen_tcp, listen_unix
from dnslb_backend.pdns.connectors.unix import UnixConnector
from dnslb_backend.pdns.methods.responder import Responder

LOOPBACK = (ip_network("127.0.0.0/8"),)

Settings = dict[str, str | int]

Serve = Callable[[Responder], AbstractAsyncContextManager[Settings]]
"""Runs one connector, and says how PowerDNS reaches it."""


@asynccontextmanager
async def serve_http(
    responder: Responder, *, patience: float = READ_TIMEOUT, serves_keys: bool = False
) -> AsyncIterator[int]:
    """An HTTP connector for this host; yields its port."""
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    port = listener.getsockname()[1]
    connector = HttpConnector(responder, LOOPBACK, read_timeout=patience, serves_keys=serves_keys)
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
        async with serve_http(responder, serves_keys=True) as port:
            yield http_settings(port, options)

    return serve


@asynccontextmanager
async def serve_unix(responder: Responder) -> AsyncIterator[str]:
    """A unix connector; yields the path of its socket."""
    with tempfile.TemporaryDirectory(prefix="dnslb-") as directory:
        path = f"{directory}/pdns.sock"
        connector = UnixConnector(responder)
        await connector.start([listen_unix(path, 0o600)])
        try:
            yield path
        finally:
            for connection in await connector.stop(grace=0):
                connection.sock.close()


def unix(settings: Callable[[str], Settings]) -> Serve:
    @asynccontextmanager
    async def serve(responder: Responder) -> AsyncIterator[Settings]:
        async with serve_unix(responder) as path:
            yield settings(path)

    return serve


COPROCESS = f"{Path(sys.executable).parent}/dnslb-backend pipe --socket "


def unix_settings(path: str) -> Settings:
    return {"launch": "remote", "remote-connection-string": f"unix:path={path}"}


def pipe_settings(path: str) -> Settings:
    return {"launch": "remote", "remote-connection-string": f"pipe:command={COPROCESS}{path}"}


def abi_settings(command: str, version: int) -> Settings:
    """PowerDNS's pipe backend, which does not know which zones there are."""
    return {
        "launch": "pipe",
        "pipe-command": command,
        "pipe-abi-version": version,
        "zone-cache-refresh-interval": 0,
    }


TRANSPORTS: dict[str, Serve] = {
    "rest": http(""),
    "post": http(",post=1"),
    "post_json": http(",post=1,post_json=1"),
    "unix": unix(unix_settings),
    "pipe": unix(pipe_settings),
    "abi1": unix(lambda path: abi_settings(COPROCESS + path, 1)),
    "abi2": unix(lambda path: abi_settings(COPROCESS + path, 2)),
    "abi3": unix(lambda path: abi_settings(COPROCESS + path, 3)),
    "abi4": unix(lambda path: abi_settings(COPROCESS + path, 4)),
    "abi5": unix(lambda path: abi_settings(COPROCESS + path, 5)),
    "abi5 without a coprocess": unix(lambda path: abi_settings(path, 5)),
}
