"""Over HTTP, which cannot tell users apart, keys are shown and written only if allowed."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from dnslb_backend.core.answers.dnssec import Metadata, TsigKey, ZoneKey
from dnslb_backend.network import AddressPort
from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import listen_tcp
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.wire.rest import REST
from tests.pdns.methods.test_dnssec import CONTENT, Drawer
from tests.pdns.transports import LOOPBACK, http_settings, serve_http, serve_unix
from tests.pdns.world import LB, OTHER, World
from tests.rigs import dig
from tests.rigs.powerdns import PowerDNS

SECRET = "c2VjcmV0LW9mLXRoZS1rZXk"

ANY: dict[str, Any] = {
    "id": 7,
    "qname": f"www.{LB}.",
    "qtype": "ANY",
    "domain_id": -1,
    "zonename": f"{LB}.",
    "kind": "X-MINE",
    "value": ["2"],
    "key": {"flags": 257, "content": CONTENT.format(3)},
    "algorithm": "hmac-sha256.",
    "content": "bmV3",
    "serial": 1,
    "pattern": "*",
    "maxResults": 10,
    "query": f"STATUS {LB}",
}
"""Parameters that every method finds its own among."""

WRITES = {
    "adddomainkey",
    "removedomainkey",
    "activatedomainkey",
    "deactivatedomainkey",
    "publishdomainkey",
    "unpublishdomainkey",
    "setdomainmetadata",
    "settsigkey",
    "deletetsigkey",
}
READS = {"getdomainkeys", "gettsigkey", "gettsigkeys"}


@pytest.fixture
def drawer() -> Drawer:
    drawer = Drawer()
    for article in (
        ZoneKey(LB, 7, 257, True, True, CONTENT.format(SECRET)),
        TsigKey("peer", "hmac-sha256", SECRET),
        Metadata(LB, "X-MINE", ("1",)),
    ):
        drawer.articles[article.identity] = article
    return drawer


@pytest.fixture
def responder(drawer: Drawer) -> Responder:
    return Responder(World().current, key_store=drawer)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, port: int, method: str, **parameters: object
) -> tuple[int, str]:
    request = {"method": method, "parameters": parameters}
    async with session.post(f"http://127.0.0.1:{port}/dns", json=request) as reply:
        return reply.status, await reply.text()


async def test_of_all_methods_none_shows_a_key_or_writes(
    responder: Responder, drawer: Drawer, session: aiohttp.ClientSession
) -> None:
    before = dict(drawer.articles)
    async with serve_http(responder) as port:
        for method in REST:
            name = "peer." if "tsig" in method else f"{LB}."
            for spelt in (method, method.upper()):
                status, text = await ask(session, port, spelt, **ANY, name=name)
                assert SECRET not in text
                is_refused = method in WRITES | READS
                assert ("http_keys = true" in text) == is_refused, method
                assert status == 500 or not is_refused
                assert drawer.articles == before
        for verb, path in (
            ("GET", f"getDomainKeys/{LB}."),
            ("GET", "getTSIGKey/peer."),
            ("DELETE", f"removeDomainKey/7/{LB}."),
            ("PATCH", f"setDomainMetadata/{LB}./X-MINE"),
        ):
            async with session.request(verb, f"http://127.0.0.1:{port}/dns/{path}") as reply:
                assert reply.status == 500
                assert SECRET not in await reply.text()
        assert drawer.articles == before


async def test_a_zone_without_keys_has_none_over_http(
    responder: Responder, session: aiohttp.ClientSession
) -> None:
    async with serve_http(responder) as port:
        for method, name, result in (
            ("getDomainKeys", OTHER, []),
            ("getDomainKeys", "elsewhere.example", False),
            ("getTSIGKey", "unknown", False),
        ):
            status, text = await ask(session, port, method, name=f"{name}.")
            assert (status, json.loads(text)["result"]) == (200, result)
        status, _ = await ask(session, port, "setNotified", id=1, serial=2)
        assert status == 200


async def test_a_signed_zone_is_an_error_over_http_and_the_log_says_why(
    responder: Responder, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serve_http(responder) as port,
        PowerDNS({**http_settings(port), "remote-dnssec": "yes"}) as pdns,
    ):
        # As validating resolvers ask; without DO nothing is signed, and no key needed.
        signed = await dig.ask(pdns.address, f"v4.{LB}", wants_proof=True)
        unsigned = await dig.ask(pdns.address, OTHER, "SOA", wants_proof=True)
        assert (signed.rcode, unsigned.rcode) == ("SERVFAIL", "NOERROR")
        code, _ = await pdns.util("set-meta", LB, "X-MINE", "2")
        assert code != 0
    line = next(record for record in caplog.records if "getDomainKeys" in record.message)
    assert line.levelno == logging.ERROR
    for words in (LB, "[server] unix", "[server] http_keys = true"):
        assert words in line.message
    assert len([each for each in caplog.records if each.levelno >= logging.ERROR]) <= 2


async def test_a_reload_allows_and_forbids_keys(
    responder: Responder, session: aiohttp.ClientSession
) -> None:
    connector = HttpConnector(responder, LOOPBACK)
    listener = listen_tcp(AddressPort("127.0.0.1", 0))
    await connector.start([listener])
    port = listener.getsockname()[1]
    for allowed, status in ((False, 500), (True, 200), (False, 500)):
        connector.allow(LOOPBACK, serves_keys=allowed)
        assert (await ask(session, port, "getDomainKeys", name=f"{LB}."))[0] == status
    await connector.stop(grace=0)


async def test_every_write_is_logged_with_its_transport_and_peer(
    responder: Responder, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def written() -> list[dict[str, Any]]:
        found = [each for each in caplog.records if each.message.startswith("PowerDNS wrote")]
        return [vars(record)["dnslb_fields"] | {"said": record.message} for record in found]

    async with serve_http(responder, serves_keys=True) as port, serve_unix(responder) as path:
        await ask(session, port, "setTSIGKey", name="peer.", algorithm="a", content=SECRET)
        key = {"flags": 257, "content": CONTENT.format(SECRET)}
        await ask(session, port, "addDomainKey", name=f"{OTHER}.", key=key)
        reader, writer = await asyncio.open_unix_connection(path)
        parameters = {"name": f"{LB}.", "kind": "X-MINE", "value": [SECRET]}
        request = {"method": "setDomainMetadata", "parameters": parameters}
        writer.write(json.dumps(request).encode() + b"\n")
        await reader.readline()
        writer.close()
        await ask(session, port, "removeDomainKey", name=f"{OTHER}.", id=1)
    first, second, third, fourth = written()
    assert (first["transport"], first["peer"]) == ("http", "127.0.0.1")
    assert (first["name"], second["name"]) == ("peer.", f"{OTHER}.")
    assert third["transport"] == "unix"
    assert third["peer"] == f"pid {os.getpid()}, uid {os.getuid()}"
    assert (third["kind"], third["result"]) == ("X-MINE", "done")
    assert (fourth["said"], fourth["id"]) == ("PowerDNS wrote: removeDomainKey", "1")
    assert fourth["result"] == "nothing to change"
    assert SECRET not in str(written())
