"""A real gRPC server of the reference implementation, and servers that break HTTP/2 or gRPC."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import trustme

from dnslb_backend.checkers.resources.resources import CheckResources
from dnslb_backend.core.health.results import Code, Outcome
from tests.checkers.grpc_script import GRPC_HEAD, SERVING, calling, http2
from tests.checkers.hostile import after
from tests.checkers.probing import probe
from tests.checkers.servers import Play, ScriptedServer, answering, for_ever, hang
from tests.rigs.grpc import GrpcServer

NAME = "www.lb.example"
GRPC = {"type": "grpc"}


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
async def target(ca: trustme.CA) -> AsyncIterator[GrpcServer]:
    async with GrpcServer(ca, NAME) as target:
        yield target


@pytest.mark.parametrize(
    ("service", "code", "text"),
    [
        ("", Code.PASS, "SERVING"),
        ("up", Code.PASS, "SERVING"),
        ("down", Code.STATUS, "NOT_SERVING"),
        ("new", Code.STATUS, "UNKNOWN"),
        ("odd", Code.STATUS, "SERVICE_UNKNOWN"),
        ("x" * 127, Code.STATUS, "NOT_FOUND"),
    ],
)
async def test_the_status_of_a_service_decides(
    tools: CheckResources, target: GrpcServer, service: str, code: Code, text: str
) -> None:
    result = await probe(tools, {**GRPC, "service": service}, port=target.plain)
    assert (result.code, result.text) == (code, text)


async def test_a_server_without_the_health_service_fails(
    tools: CheckResources, target: GrpcServer
) -> None:
    result = await probe(tools, GRPC, port=target.bare)
    assert (result.outcome, result.code) == (Outcome.FAIL, Code.STATUS)
    assert result.text.startswith("UNIMPLEMENTED: ")


async def test_tls(tools: CheckResources, target: GrpcServer) -> None:
    trusting = {"tls": True, "ca_file": str(target.directory / "authority.pem")}
    check = {**GRPC, **trusting, "sni": NAME}
    assert (await probe(tools, check, port=target.secure)).text == "SERVING"
    assert (await probe(tools, {**check, "sni": "other.example"}, port=target.secure)).code == -5
    assert (await probe(tools, {**check, "sni": ""}, port=target.secure)).code == Code.TLS
    unknown = {**GRPC, "tls": True, "sni": NAME}
    assert (await probe(tools, unknown, port=target.secure)).code == Code.TLS
    lax = {**GRPC, "tls": True, "verify": False}
    assert (await probe(tools, lax, port=target.secure)).text == "SERVING"
    assert (await probe(tools, check, port=target.plain)).outcome is Outcome.FAIL
    assert (await probe(tools, GRPC, port=target.secure)).outcome is Outcome.FAIL


async def test_a_client_certificate(
    tools: CheckResources, target: GrpcServer, ca: trustme.CA
) -> None:
    check = {
        **GRPC,
        "tls": True,
        "sni": NAME,
        "ca_file": str(target.directory / "authority.pem"),
    }
    without = await probe(tools, check, port=target.mutual)
    # This server closes the connection without an alert of TLS.
    assert (without.outcome, without.code) == (Outcome.FAIL, Code.REFUSED)
    file = target.directory / "client.pem"
    ca.issue_cert("probe@lb.example").private_key_and_cert_chain_pem.write_to_path(str(file))
    own = {**check, "client_cert": str(file)}
    assert (await probe(tools, own, port=target.mutual)).text == "SERVING"


def status(number: object, message: str = "") -> Play:
    """An answer without a message."""
    return http2((*GRPC_HEAD, ("grpc-status", str(number)), ("grpc-message", message)), ends=True)


@pytest.mark.parametrize(
    ("play", "code", "text"),
    [
        (calling(b"\0\0\0\0\0"), Code.STATUS, "UNKNOWN"),
        (calling(b"\0\0\0\0\2\x08\x07"), Code.STATUS, "status 7"),
        (calling(b"\0\0\0\0\4\x12\0\x08\1"), Code.PASS, "SERVING"),
        (calling(b"\0\0\0\0\x10\x11" + b"x" * 8 + b"\x1d" + b"x" * 4 + b"\x08\1"), 0, "SERVING"),
        (calling(b"\0\0\0\0\4\x08\1\x08\2"), Code.STATUS, "NOT_SERVING"),
        (calling(b"\0\0\0\0\2\x08\x81"), Code.STATUS, "the message ends within a field"),
        (calling(b"\0\0\0\0\2\x12\x09"), Code.STATUS, "the message ends within a field"),
        (calling(b"\0\0\0\0\2\x0b\0"), Code.STATUS, "the message ends within a field"),
        (calling(b"\1\0\0\0\2\x08\1"), Code.STATUS, "the answer is not one uncompressed message"),
        (calling(SERVING * 2), Code.STATUS, "the answer is not one uncompressed message"),
        (calling(b"\0\0"), Code.STATUS, "the answer is not one uncompressed message"),
        (calling(b"x" * 5000), Code.STATUS, "the answer has more than 4096 bytes"),
        (calling(end=(("x", "y"),)), Code.STATUS, "grpc-status is ''"),
        (calling(end=(("grpc-status", "99"),)), Code.STATUS, "grpc-status is '99'"),
        (status(14, "shutting%20down%0a"), Code.STATUS, "UNAVAILABLE: shutting down"),
        (status(8), Code.STATUS, "RESOURCE_EXHAUSTED"),
        (status(4), Code.TIMEOUT, "DEADLINE_EXCEEDED"),
        (status(7), Code.INTERNAL_ERROR, "PERMISSION_DENIED"),
        (status(16, "who%20are%20you"), Code.INTERNAL_ERROR, "UNAUTHENTICATED: who are you"),
        (http2(((":status", "503"),), ends=True), Code.STATUS, "HTTP status 503"),
        (
            http2(((":status", "200"), ("content-type", "text/html")), b"<html>", ends=True),
            Code.STATUS,
            "the answer is not gRPC, but 'text/html'",
        ),
        (
            answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Code.STATUS,
            "the answer is HTTP/1, not HTTP/2",
        ),
    ],
)
async def test_what_a_server_answers(
    tools: CheckResources, play: Play, code: int, text: str
) -> None:
    async with ScriptedServer(play) as server:
        result = await probe(tools, GRPC, port=server.port)
    assert (result.code, result.text) == (code, text)
    if code == Code.INTERNAL_ERROR:
        assert result.outcome is Outcome.ERROR


def then(data: bytes) -> Play:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await hang(reader, writer)

    return play


RESET = b"\0\0\4\3\0\0\0\0\1\0\0\0\7"
GOAWAY = b"\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0"


@pytest.mark.parametrize(
    ("frame", "text"),
    [(RESET, "broke off the call: REFUSED_STREAM"), (GOAWAY, "broke off the call: NO_ERROR")],
)
async def test_a_call_that_the_server_breaks_off(
    tools: CheckResources, frame: bytes, text: str
) -> None:
    async with ScriptedServer(after(http2(GRPC_HEAD), then(frame))) as server:
        result = await probe(tools, GRPC, port=server.port)
    assert (result.outcome, result.code, result.text) == (Outcome.FAIL, Code.REFUSED, text)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"\0\0\x08\6\0\0\0\0\0pingping", "sent more than 100 events of HTTP/2"),
        (b"\0\0\0\4\0\0\0\0\0", "sent more than 100 events of HTTP/2"),
        (b"\0\0\1\0\0\0\0\0\1x", "sent more than 100 events of HTTP/2"),
        (b"\0\0\0\x09\0\0\0\0\1", "the answer is not HTTP/2 (ProtocolError)"),
    ],
    ids=["pings", "settings", "crumbs", "continuations"],
)
async def test_frames_without_end_are_not_read_to_their_end(
    tools: CheckResources, frame: bytes, text: str
) -> None:
    play = after(http2(GRPC_HEAD), for_ever(b"", frame * 100))
    async with ScriptedServer(play) as server:
        result = await probe(tools, GRPC, port=server.port)
    assert (result.outcome, result.code, result.text) == (Outcome.FAIL, Code.STATUS, text)
