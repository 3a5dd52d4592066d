"""Handshakes, chains, names, and days of validity."""

import ssl
import time
from typing import Any

import pytest

from dnslb_backend.checkers.checks.base import ProbeEndpoint
from dnslb_backend.checkers.checks.kinds.tls import DAY
from dnslb_backend.checkers.checks.registry import parse_check
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.conftest import Authority
from tests.checkers.hostile import shaking_hands
from tests.checkers.probing import HERE, probe
from tests.checkers.servers import ScriptedServer, hang, saying

NAME = "db.lb.example"


def tls(server: ScriptedServer, authority: Authority, **keys: Any) -> dict[str, Any]:
    table = {"type": "tls", "port": server.port, "sni": NAME, "ca_file": authority.ca_file, **keys}
    return {key: value for key, value in table.items() if value is not None}


async def test_a_good_certificate(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(hang, tls=authority.server(NAME)) as server:
        result = await probe(tools, tls(server, authority))
    assert result.outcome is Outcome.PASS
    assert result.text.startswith("TLSv1.3, certificate valid for 30.0 days")
    assert result.certificate_expires == pytest.approx(time.time() + 30 * DAY, abs=60)


async def test_what_is_not_verified_has_no_known_end(
    tools: CheckResources, authority: Authority
) -> None:
    async with ScriptedServer(hang, tls=authority.server(NAME)) as server:
        result = await probe(tools, tls(server, authority, verify=False, ca_file=None))
    assert (result.outcome, result.certificate_expires) == (Outcome.PASS, None)


@pytest.mark.parametrize(
    ("keys", "code", "text"),
    [
        ({"sni": "other.example"}, -5, "other.example"),
        ({"sni": None}, -5, "127.0.0.1"),
        ({"ca_file": None}, -5, "local issuer"),
        ({"ca_file": None, "verify": False}, 0, "not verified"),
        ({"sni": f"{NAME}."}, 0, "valid for 30.0 days"),
        ({"min_days": 29}, 0, "valid for 30.0 days"),
        ({"min_days": 31.5}, -5, "less than 31.5"),
    ],
)
async def test_what_is_wrong_with_a_certificate(
    tools: CheckResources, authority: Authority, keys: dict[str, Any], code: int, text: str
) -> None:
    async with ScriptedServer(hang, tls=authority.server(NAME)) as server:
        result = await probe(tools, tls(server, authority, **keys))
    assert result.code == code
    assert text in result.text


@pytest.mark.parametrize(("min_days", "code"), [(2, 0), (30, -5)])
async def test_the_first_certificate_of_the_chain_to_expire_counts(
    tools: CheckResources, authority: Authority, min_days: int, code: int
) -> None:
    async with ScriptedServer(hang, tls=authority.server_below(NAME, days=3)) as server:
        result = await probe(tools, tls(server, authority, min_days=min_days))
    assert result.code == code
    assert "CA certificate 'Intermediate' valid for 3.0 days" in result.text
    assert result.certificate_expires == pytest.approx(time.time() + 3 * DAY, abs=60)


async def test_an_expired_certificate(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(hang, tls=authority.server(NAME, days=-1)) as server:
        result = await probe(tools, tls(server, authority))
    assert (result.code, result.text) == (Code.TLS, "TLS: certificate has expired")


async def test_a_certificate_for_the_address(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(hang, tls=authority.server(HERE)) as server:
        assert (await probe(tools, tls(server, authority, sni=None))).outcome is Outcome.PASS


async def test_a_server_that_does_not_speak_tls(
    tools: CheckResources, authority: Authority
) -> None:
    async with ScriptedServer(saying(b"220 no TLS here\r\n")) as server:
        result = await probe(tools, tls(server, authority))
    assert result.code == Code.TLS


async def test_a_handshake_that_hangs(tools: CheckResources, authority: Authority) -> None:
    async with ScriptedServer(hang) as server:
        result = await probe(tools, tls(server, authority), limit=0.3)
    assert (result.code, result.text) == (Code.TIMEOUT, "no answer within 0.3 s")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "tls_min", "outcome"),
    [
        (ssl.TLSVersion.TLSv1, None, Outcome.FAIL),
        (ssl.TLSVersion.TLSv1, "1.0", Outcome.PASS),
        (ssl.TLSVersion.TLSv1, "1.1", Outcome.FAIL),
        (ssl.TLSVersion.TLSv1_1, "1.1", Outcome.PASS),
        (ssl.TLSVersion.TLSv1_2, None, Outcome.PASS),
        (ssl.TLSVersion.TLSv1_2, "1.0", Outcome.PASS),
        (ssl.TLSVersion.TLSv1_2, "1.3", Outcome.FAIL),
        (ssl.TLSVersion.TLSv1_3, "1.3", Outcome.PASS),
    ],
)
async def test_the_lowest_version_to_speak(
    tools: CheckResources,
    authority: Authority,
    version: ssl.TLSVersion,
    tls_min: str | None,
    outcome: Outcome,
) -> None:
    context = authority.server(NAME)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    async with ScriptedServer(hang, tls=context) as server:
        result = await probe(tools, tls(server, authority, tls_min=tls_min))
    assert result.outcome is outcome


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_demanded(
    tools: CheckResources, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.server(NAME, clients=True)
    context.minimum_version = context.maximum_version = version
    async with ScriptedServer(shaking_hands(context, hang)) as server:
        without = await probe(tools, tls(server, authority))
        known = tls(server, authority, client_cert=authority.client_file())
        assert (await probe(tools, known)).outcome is Outcome.PASS
    assert without.code == Code.TLS


async def test_a_server_that_says_nothing_to_a_goodbye_passes(
    tools: CheckResources, authority: Authority
) -> None:
    play = shaking_hands(authority.server(NAME), hang)
    async with ScriptedServer(play) as server:
        result = await probe(tools, tls(server, authority), limit=0.5)
    assert result.outcome is Outcome.PASS


def test_description() -> None:
    table = {"type": "tls", "port": 443}
    assert parse_check(table).describe(ProbeEndpoint("::1")) == "TLS [::1]:443"
    named = parse_check({**table, "sni": NAME})
    assert named.describe(ProbeEndpoint(HERE, 8443)) == f"TLS {HERE}:8443 as {NAME}"
