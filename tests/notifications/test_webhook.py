"""Webhooks: requests are signed as documented, and no peer holds a delivery up or learns more."""

import asyncio
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from dnslb_backend.core.health.decision import DecisionKind
from dnslb_backend.core.health.decision_changes import DecisionChange
from dnslb_backend.core.health.service import ServiceStatus
from dnslb_backend.notifications.events import Event
from dnslb_backend.notifications.payload import render
from dnslb_backend.notifications.receiver import Failure
from dnslb_backend.notifications.settings import WebhookSettings
from dnslb_backend.notifications.webhook import Webhook, retry_after
from tests.checkers.conftest import Authority
from tests.checkers.hostile import MISBEHAVIOURS, reset
from tests.checkers.servers import Play, ScriptedServer, answering, for_ever, hang
from tests.core.building import KEY
from tests.notifications.hook import Hook

SECRET = "webhook-s3cret-0123456789"
DOCUMENT = Path(__file__).parents[2] / "docs" / "notifications.md"

PAYLOAD = render(
    [
        Event(
            "run-1",
            DecisionChange(
                1.0,
                KEY,
                ServiceStatus(DecisionKind.SERVE, 2, 2, 2),
                ServiceStatus(DecisionKind.NODATA, 0, 2, 0),
                "2 of 2 members DOWN",
            ),
            0.0,
        )
    ],
    "ns1",
    0,
)


async def post(url: str, **settings: object) -> Failure | None:
    given = {"url": url, "timeout": 1.0, **settings}
    return await Webhook(WebhookSettings.model_validate(given), time.time).send(PAYLOAD)


async def post_to(play: Play, **settings: object) -> Failure:
    """What comes of a post to a server that plays this, in at most 5 s."""
    async with ScriptedServer(play) as server, asyncio.timeout(5):
        failure = await post(f"http://127.0.0.1:{server.port}/{SECRET}", **settings)
    assert failure is not None
    return failure


def documented_verify() -> Callable[..., bool]:
    """The function that the document shows."""
    (source,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    found: dict[str, Callable[..., bool]] = {}
    exec(source, found)
    return found["verify"]


async def test_the_documented_function_verifies_the_signature() -> None:
    verify = documented_verify()
    async with Hook() as hook:
        assert await post(hook.url, secret=SECRET) is None
    (delivery,) = hook.deliveries
    header = delivery.headers["Dnslb-Signature"]
    assert verify(SECRET, header, delivery.body)
    assert not verify("another secret, as long", header, delivery.body)
    assert not verify(SECRET, header, delivery.body + b" ")
    assert not verify(SECRET, header, delivery.body, tolerance=-1)
    assert not verify(SECRET, f"t=1,{header.partition(',')[2]}", delivery.body, tolerance=1e12)


async def test_a_redirect_is_not_followed() -> None:
    async with Hook() as other:
        moved = web.Response(status=307, headers={"Location": other.url})
        async with Hook(moved) as hook:
            failure = await post(hook.url, secret=SECRET)
    assert failure == Failure("HTTP 307 Temporary Redirect", is_final=True)
    assert other.deliveries == []


@pytest.mark.parametrize(
    ("status", "is_final"),
    [
        *((status, True) for status in (301, 400, 401, 404, 410)),
        *((status, False) for status in (408, 429, 500, 502, 503)),
    ],
)
async def test_only_what_may_succeed_later_is_retried(status: int, is_final: bool) -> None:
    async with Hook(status) as hook:
        failure = await post(hook.url)
    assert failure is not None
    assert failure.is_final == is_final


async def test_a_certificate_of_the_given_authority_is_accepted(authority: Authority) -> None:
    async with Hook(tls=authority.server("127.0.0.1")) as hook:
        assert await post(hook.url, tls={"ca_file": authority.ca_file}) is None


@pytest.mark.parametrize(
    ("name", "days", "why"),
    [
        ("evil.example", 30, "IP address mismatch"),
        ("127.0.0.1", -1, "certificate has expired"),
    ],
)
async def test_a_hostile_certificate_gets_nothing(
    authority: Authority, name: str, days: float, why: str
) -> None:
    async with Hook(tls=authority.server(name, days=days)) as hook:
        failure = await post(hook.url, secret=SECRET, tls={"ca_file": authority.ca_file})
    assert failure is not None
    assert "certificate" in failure.reason
    assert why in failure.reason
    assert not failure.is_final
    assert hook.deliveries == []


async def test_an_unknown_authority_gets_nothing(authority: Authority) -> None:
    async with Hook(tls=authority.server("127.0.0.1")) as hook:
        failure = await post(hook.url)
    assert failure is not None
    assert failure.reason.startswith("certificate: ")
    assert hook.deliveries == []


async def test_a_client_certificate_is_shown(authority: Authority) -> None:
    async with Hook(tls=authority.server("127.0.0.1", clients=True)) as hook:
        tls = {"ca_file": authority.ca_file, "client_cert": authority.client_file()}
        assert await post(hook.url, tls=tls) is None


async def test_a_server_that_hangs_costs_the_timeout() -> None:
    assert await post_to(hang, timeout=0.3) == Failure("no answer within 0.3 s")


async def test_a_name_that_does_not_exist_is_retried() -> None:
    failure = await post("http://no-such-host.invalid/")
    assert failure is not None
    assert not failure.is_final


@pytest.mark.parametrize("half", MISBEHAVIOURS)
async def test_what_is_no_response_is_retried(half: str) -> None:
    failure = await post_to(MISBEHAVIOURS[half](b"HTTP/1.1 20"), timeout=0.5, secret=SECRET)
    assert failure.reason
    assert not failure.is_final
    assert SECRET not in failure.reason


async def test_a_server_that_resets_is_retried() -> None:
    assert not (await post_to(reset)).is_final


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999999999\r\n\r\n",
    ],
)
async def test_a_body_without_end_is_not_read(head: bytes) -> None:
    async with ScriptedServer(for_ever(head, b"400\r\n" + b"x" * 1024 + b"\r\n")) as server:
        async with asyncio.timeout(5):
            assert await post(f"http://127.0.0.1:{server.port}/") is None


async def test_headers_without_end_are_a_failure() -> None:
    endless = for_ever(b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 50)
    failure = await post_to(endless, timeout=2.0)
    assert not failure.is_final


async def test_interim_responses_without_end_are_a_failure() -> None:
    failure = await post_to(for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), timeout=0.5)
    assert not failure.is_final


async def test_what_a_server_echoes_is_redacted() -> None:
    failure = await post_to(
        answering(f"HTTP/1.1 500 {SECRET} /{SECRET}\r\n\r\n".encode()), secret=SECRET
    )
    assert failure.reason == "HTTP 500 *** ***"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0),
        ("7", 7),
        ("-7", 0),
        ("soon", 0),
        ("9" * 400, 999999999),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("Thu, 01 Jan 99999 00:00:01 GMT", 0),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float) -> None:
    assert retry_after(value, 10.0) == seconds
