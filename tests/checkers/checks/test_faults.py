"""Whatever a target does is its own failure; what this machine lacks is an error of ours."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.conftest import Authority
from tests.checkers.hostile import GARBAGE, MISBEHAVIOURS
from tests.checkers.nameserver import NanoNameServer
from tests.checkers.probing import probe
from tests.checkers.scenes import (
    AGENT,
    GRPC,
    HTTP,
    HTTPS,
    MARIADB,
    NAME,
    POSTGRES,
    SECURE,
    TCP,
    TLS,
)
from tests.checkers.servers import ScriptedServer, hang
from tests.checkers.steps import STEPS, Step
from tests.rigs.processes import descriptors

SHORT = 0.4


def trusting(table: dict[str, Any], authority: Authority) -> dict[str, Any]:
    return {**table, "ca_file": authority.ca_file} if table["type"] in SECURE else table


@pytest.mark.parametrize("name", MISBEHAVIOURS)
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
async def test_what_a_target_does_is_its_own_failure(
    tools: CheckResources,
    authority: Authority,
    step: Step,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    play = step.play(MISBEHAVIOURS[name](step.half), authority)
    async with ScriptedServer(play) as server:
        result = await probe(tools, trusting(step.table, authority), port=server.port, limit=SHORT)
    assert (result.outcome, result.priority, result.weight) == (Outcome.FAIL, None, None)
    assert result.code not in (Code.PASS, Code.INTERNAL_ERROR)
    assert result.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_error_of_tls_after_the_handshake_is_one_of_tls(
    tools: CheckResources, authority: Authority
) -> None:
    step = STEPS["https: after the handshake"]
    async with ScriptedServer(step.play(MISBEHAVIOURS["says garbage"](b""), authority)) as server:
        result = await probe(tools, trusting(HTTPS, authority), port=server.port)
    assert result.code == Code.TLS
    assert result.text.startswith("TLS: ")


@pytest.mark.parametrize("garbage", [GARBAGE, b"", b"\x81", b"\x81\x80" + b"\0\1" * 4])
async def test_datagrams_that_are_no_answer(tools: CheckResources, garbage: bytes) -> None:
    async with NanoNameServer() as server:
        server.garbage[NAME] = garbage
        table = {"type": "dns", "name": NAME}
        result = await probe(tools, table, port=server.port)
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.NO_MATCH)


# What is ours.


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, descriptors())) + 1, hard))
    taken = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


LAX = {**HTTPS, "verify": False}
LAX_TLS = {**TLS, "verify": False}


@pytest.mark.parametrize(
    "table",
    [
        AGENT,
        GRPC,
        HTTP,
        TCP,
        {"type": "tcp"},
        {"type": "dns", "name": NAME},
        {"type": "icmp"},
        MARIADB,
        POSTGRES,
        LAX,
        LAX_TLS,
    ],
    ids=lambda table: table["type"],
)
async def test_without_descriptors_it_is_our_fault(
    tools: CheckResources, table: dict[str, Any]
) -> None:
    await probe(tools, table, port=1)  # modules and contexts are there then
    async with ScriptedServer(hang) as server:
        with no_descriptors():
            result = await probe(tools, table, port=server.port, limit=1)
    assert result.outcome is Outcome.ERROR
    assert "open files" in result.text
