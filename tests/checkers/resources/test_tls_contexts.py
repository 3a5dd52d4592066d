"""The files of TLS settings: changed, missing, hanging; and what is offered to a server."""

import asyncio
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dnslb_backend.checkers.resources import tls_contexts
from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Outcome
from dnslb_backend.tls_client import TlsClientSettings, TlsVersion
from tests.checkers.conftest import Authority
from tests.checkers.probing import probe
from tests.checkers.scenes import HTTPS, NAME, TLS
from tests.checkers.servers import ScriptedServer, answering, hang

FINE = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def trusting(table: dict[str, Any], authority: Authority) -> dict[str, Any]:
    return {**table, "ca_file": authority.ca_file}


@pytest.fixture
async def held(tmp_path: Path, authority: Authority) -> AsyncIterator[Path]:
    """A CA file that can be looked at, and that whoever opens it hangs on until the test ends."""
    path = tmp_path / "held.pem"
    authority.ca.cert_pem.write_to_path(str(path))
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(path, os.O_RDWR)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    try:
        yield path
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("keys", [HTTPS, TLS], ids=lambda keys: keys["type"])
async def test_a_ca_file_that_hangs_is_our_fault_and_costs_only_its_own_checks(
    tools: CheckResources,
    authority: Authority,
    held: Path,
    keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tls_contexts, "FILES_LIMIT", 0.3)
    play = FINE if keys is HTTPS else hang
    async with ScriptedServer(play, tls=authority.server(NAME)) as server:
        hanging = [
            asyncio.create_task(probe(tools, {**keys, "ca_file": str(held)}, port=server.port))
            for _ in range(20)
        ]
        well = await probe(tools, trusting(keys, authority), port=server.port)
        assert well.outcome is Outcome.PASS
        for result in [*await asyncio.gather(*hanging), await hanging[0]]:
            assert result.outcome is Outcome.ERROR
            assert result.text == f"cannot use {held}: no answer within 0.3 s"
        again = await probe(tools, {**keys, "ca_file": str(held)}, port=server.port)
        assert again.outcome is Outcome.ERROR


async def test_the_last_good_authorities_are_used_while_their_file_hangs(
    tools: CheckResources, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "renewed.pem"
    authority.ca.cert_pem.write_to_path(str(path))
    table = {**TLS, "ca_file": str(path)}
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    async with ScriptedServer(hang, tls=authority.server(NAME)) as server:
        assert (await probe(tools, table, port=server.port)).outcome is Outcome.PASS
        monkeypatch.setattr(tls_contexts, "FILES_LIMIT", 0.3)
        os.utime(path, (1, 1))
        descriptor = os.open(path, os.O_RDWR)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        try:
            for _ in range(2):
                assert (await probe(tools, table, port=server.port)).outcome is Outcome.PASS
        finally:
            os.close(descriptor)
            signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
async def test_a_ca_file_that_is_none_is_our_fault(
    tools: CheckResources, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "ca"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    table = {**TLS, "ca_file": "/dev/zero" if kind == "device" else str(path)}
    async with ScriptedServer(hang) as server:
        result = await probe(tools, table, port=server.port, limit=1)
        assert server.connections == 0
    assert result.outcome is Outcome.ERROR
    assert str(table["ca_file"]) in result.text


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize("tls_min", ["1.2", "1.0"])
async def test_a_server_does_not_choose_how_much_we_reckon(
    tools: CheckResources, tls_min: TlsVersion
) -> None:
    """With Diffie-Hellman over finite fields it would name the numbers, of any size."""
    ciphers = (await tools.tls.context(TlsClientSettings(tls_min=tls_min))).get_ciphers()
    assert {cipher["kea"] for cipher in ciphers} == {"kx-any", "kx-ecdhe", "kx-rsa"}
