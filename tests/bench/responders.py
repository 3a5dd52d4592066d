"""Responders that do next to nothing: `python -m tests.bench.responders --http PORT --unix PATH`.

They give each name the same three addresses, without parsing, looking up or checking anything:
no responder in Python on the same loop and server can be faster. With `--empty` no name exists on
the unix socket, but that of the zone.
"""

import argparse
import asyncio
import sys
from typing import cast

import uvloop
from aiohttp import web

ZONE_ID = 7
SOA = (
    b'{"qtype":"SOA","qname":"lb.example.","content":"ns1.lb.example. h.lb.example. 1 7200 3600 '
    b'1209600 5","ttl":60,"domain_id":7,"auth":1,"scopeMask":0}'
)
NS = (
    b'{"qtype":"NS","qname":"lb.example.","content":"ns1.lb.example.","ttl":60,"domain_id":7,'
    b'"auth":1,"scopeMask":0}'
)
APEX = b'{"result":[' + SOA + b"," + NS + b"]}"
DOMAINS = b'{"result":[{"id":7,"zone":"lb.example.","kind":"native","serial":1}]}'
EMPTY = b'{"result":[]}'
TRUE, FALSE = b'{"result":true}', b'{"result":false}'
_ROW = (
    b'{"qtype":"A","qname":"%%b","content":"10.1.0.%d","ttl":5,"domain_id":7,"auth":1,'
    b'"scopeMask":0}'
)
ANSWER = b'{"result":[' + b",".join(_ROW % last for last in (1, 2, 3)) + b"]}"


class UnixResponder(asyncio.Protocol):
    """PowerDNS asks one thing at a time, so that what comes in one piece is a request."""

    def __init__(self, *, empty: bool) -> None:
        self._empty = empty

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        start = data.find(b'"qname": "') + 10
        name = data[start : data.find(b'"', start)]
        if b'"initialize"' in data:
            answer = TRUE
        elif start == 9:
            answer = DOMAINS if b"getAllDomains" in data else FALSE
        elif name == b"lb.example.":
            answer = APEX
        else:
            answer = EMPTY if self._empty else ANSWER % (name, name, name)
        self._transport.write(answer + b"\n")


async def respond(request: web.BaseRequest) -> web.Response:
    """As a handler of aiohttp's low-level server."""
    method, _, rest = request.raw_path.removeprefix("/dns/").partition("/")
    name = rest.partition("/")[0].replace("%2e", ".").encode()
    if method != "lookup":
        body = DOMAINS if method.startswith("getAllDomains") else FALSE
    else:
        body = APEX if name == b"lb.example." else ANSWER % (name, name, name)
    return web.Response(body=body, content_type="application/json")


async def main(port: int, path: str, *, empty: bool) -> None:
    loop = asyncio.get_running_loop()
    server = web.Server(respond, access_log=None)
    listening = [
        await loop.create_unix_server(lambda: UnixResponder(empty=empty), path),
        await loop.create_server(server, "127.0.0.1", port),
    ]
    sys.stderr.write("serving\n")
    await asyncio.gather(*(each.serve_forever() for each in listening))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=int, required=True)
    parser.add_argument("--unix", required=True)
    parser.add_argument("--empty", action="store_true")
    given = parser.parse_args()
    uvloop.run(main(given.http, given.unix, empty=given.empty))
