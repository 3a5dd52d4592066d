"""Events reach their receivers in order and within bounds, and no receiver delays anything."""

import asyncio
import json
import logging
import time
from pathlib import Path

import pytest
from aiohttp import web

from dnslb_backend.core.model.records import RecordKey
from tests.checkers.servers import ScriptedServer, hang
from tests.core.building import KEY, ZONE, at, record
from tests.notifications.hook import Hook
from tests.notifications.scenes import DOWN, A, B, commands, dispatching, webhooks
from tests.rigs.ports import free_port
from tests.rigs.processes import nap, running
from tests.rigs.waiting import until
from tests.test_metrics import value

ALL = ["decision", "up", "down", "unknown", "served", "unserved"]


def count(outcome: str, receiver: str = "webhook") -> float:
    return value("dnslb_notifications_total", receiver=receiver, outcome=outcome)


async def test_a_decision_that_changes_is_posted() -> None:
    async with Hook() as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        (delivery,) = await hook.delivered()
    (event,) = delivery.events
    assert delivery.path == "/hook"
    assert delivery.headers["Content-Type"] == "application/json"
    assert delivery.headers["Idempotency-Key"] == event["id"]
    assert "Dnslb-Signature" not in delivery.headers
    assert (delivery.document["node"], delivery.document["dropped"]) == ("ns1", 0)
    assert delivery.document["summary"] == (f"{KEY}: serving -> no answer (2 of 2 members DOWN)")
    assert {name: event[name] for name in event if name not in ("id", "at")} == {
        "event": "decision",
        "zone": KEY.zone,
        "name": KEY.name,
        "type": KEY.type,
        "severity": "error",
        "from": "serving",
        "to": "no answer",
        "served": 0,
        "total": 2,
        "up": 0,
        "reason": "2 of 2 members DOWN",
    }
    assert event["at"].endswith("Z")


async def test_chosen_transitions_are_posted_with_the_fields_of_the_event_stream() -> None:
    async with Hook() as hook:
        settings = webhooks(chat={"url": hook.url, "events": ["down"]})
        async with dispatching(settings) as scene:
            scene.fail()
            events = await hook.events(2)
    assert [(event["event"], event["content"]) for event in events] == [
        ("transition", A),
        ("transition", B),
    ]
    facts = {name: events[0][name] for name in ("from_health", "to_health", "to_served", "reason")}
    assert facts == {
        "from_health": "UP",
        "to_health": "DOWN",
        "to_served": False,
        "reason": "503 Service Unavailable",
    }


@pytest.mark.parametrize(
    ("glob", "is_sent"),
    [("*", True), ("*.lb.example", True), ("WWW.LB.Example.", True), ("api.*", False)],
)
async def test_a_receiver_chooses_records_by_name(glob: str, is_sent: bool) -> None:
    async with Hook() as hook:
        settings = webhooks(chat={"url": hook.url, "records": [glob]})
        async with dispatching(settings) as scene:
            scene.fail()
            assert scene.dispatcher.waiting("webhook") == is_sent


async def test_a_hanging_receiver_delays_no_other() -> None:
    async with ScriptedServer(hang) as stuck, Hook() as hook:
        settings = webhooks(stuck={"url": f"http://127.0.0.1:{stuck.port}"}, chat={"url": hook.url})
        async with dispatching(settings) as scene:
            scene.fail()
            await hook.delivered(within=5)
            scene.recover()
            assert [event["to"] for event in await hook.events(2, within=5)] == [
                "no answer",
                "serving",
            ]
            await until(lambda: scene.dispatcher.waiting("webhook") == 2)


async def test_the_same_events_are_retried_until_they_are_accepted() -> None:
    sent, failures = count("sent"), value("dnslb_notification_failures_total", receiver="webhook")
    async with Hook(500) as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        first, second = await hook.delivered(2)
        await until(lambda: scene.dispatcher.waiting("webhook") == 0)
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert count("sent") == sent + 1
    assert value("dnslb_notification_failures_total", receiver="webhook") == failures + 1


async def test_the_order_is_kept_while_deliveries_fail() -> None:
    async with Hook(500, 503) as hook:
        settings = webhooks(chat={"url": hook.url, "events": ["up", "down"], "max_events": 2})
        async with dispatching(settings) as scene:
            scene.flip(7)
            events = await hook.events(7)
    numbers = [int(event["id"].rpartition("-")[2]) for event in events]
    assert numbers == sorted(numbers)
    assert [event["to_health"] for event in events] == ["DOWN", "UP"] * 3 + ["DOWN"]


async def test_retry_after_is_respected() -> None:
    busy = web.Response(status=429, headers={"Retry-After": "2"})
    async with Hook(busy) as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        first, second = await hook.delivered(2)
    assert second.at - first.at >= 2


async def test_what_is_refused_is_logged_and_not_retried(caplog: pytest.LogCaptureFixture) -> None:
    refused = count("refused")
    async with Hook(404) as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        await until(lambda: scene.dispatcher.waiting("webhook") == 0)
        scene.recover()
        first, second = await hook.delivered(2)
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]
    assert count("refused") == refused + 1
    assert "1 notifications to webhook chat refused: HTTP 404 Not Found" in caplog.text


async def test_what_cannot_be_sent_expires(caplog: pytest.LogCaptureFixture) -> None:
    expired = count("expired")
    url = f"http://127.0.0.1:{free_port()}"
    async with dispatching(webhooks(chat={"url": url, "max_age": 0.1})) as scene:
        scene.fail()
        await until(lambda: scene.dispatcher.waiting("webhook") == 0)
    assert count("expired") == expired + 1
    assert "cannot notify webhook chat, retrying: Connection refused" in caplog.text
    assert "1 notifications to webhook chat expired: not accepted within 0.1 s" in caplog.text


async def test_a_full_queue_drops_the_oldest_and_says_how_many() -> None:
    dropped = count("dropped")
    async with Hook(hangs=True) as hook:
        settings = webhooks(chat={"url": hook.url, "events": ["up", "down"], "queue_size": 3})
        async with dispatching(settings) as scene:
            scene.flip(1)
            await hook.delivered()
            scene.flip(10)
            assert scene.dispatcher.waiting("webhook") == 4
            hook.release()
            events = await hook.events(4)
    numbers = [int(event["id"].rpartition("-")[2]) for event in events]
    assert numbers[0] == 1
    assert numbers[1:] == sorted(numbers)[1:]
    assert [delivery.document["dropped"] for delivery in hook.deliveries] == [0, 6]
    assert count("dropped") == dropped + 6


async def test_ten_thousand_decisions_at_once_are_few_requests() -> None:
    keys = [RecordKey(ZONE, f"n{number}.{ZONE}", "A") for number in range(10_000)]
    async with Hook() as hook:
        settings = webhooks(chat={"url": hook.url})
        async with dispatching(settings, *(record(A, B, key=key) for key in keys)) as scene:
            for address in (A, B):
                scene.health_map.record(
                    scene.health_map.observe(scene.target(address, keys[0]), DOWN, at(9))
                )
            began = time.process_time()
            changes = scene.health_map.take_changes()
            decided = time.process_time()
            scene.dispatcher.publish(changes)
            # A slow machine slows both.
            assert time.process_time() - decided < decided - began
            assert scene.dispatcher.waiting("webhook") == 10_000
            events = await hook.events(10_000)
    assert len(hook.deliveries) == 50
    assert {event["name"] for event in events} == {key.name for key in keys}
    assert max(len(delivery.body) for delivery in hook.deliveries) < 100_000


async def test_a_changed_receiver_takes_over_what_waits() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with Hook() as hook, dispatching(webhooks(chat={"url": url})) as scene:
        scene.fail()
        scene.recover()
        scene.dispatcher.reconfigure(webhooks(chat={"url": hook.url}))
        assert [event["to"] for event in await hook.events(2)] == ["no answer", "serving"]


async def test_an_unchanged_receiver_goes_on_undisturbed() -> None:
    async with Hook(hangs=True) as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        await hook.delivered()
        scene.dispatcher.reconfigure(webhooks(chat={"url": hook.url}, more={"url": hook.url}))
        hook.release()
        await until(lambda: scene.dispatcher.waiting("webhook") == 0)
    assert len(hook.deliveries) == 1


async def test_the_log_says_what_a_removed_receiver_loses(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Hook(hangs=True) as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        scene.dispatcher.reconfigure(webhooks())
        assert scene.dispatcher.waiting("webhook") == 0
    assert "1 notifications to webhook chat were not sent" in caplog.text


async def test_a_flush_sends_what_waits() -> None:
    async with Hook() as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        await scene.dispatcher.flush(10)
        assert len(hook.accepted) == 1


async def test_a_flush_ends_although_a_receiver_hangs(caplog: pytest.LogCaptureFixture) -> None:
    async with Hook(hangs=True) as hook, dispatching(webhooks(chat={"url": hook.url})) as scene:
        scene.fail()
        await hook.delivered()
        async with asyncio.timeout(5):
            await scene.dispatcher.flush(0.1)
    assert "1 notifications to webhook chat were not sent" in caplog.text


async def test_a_command_reads_the_events_and_their_summary(tmp_path: Path) -> None:
    script = 'cat > "$0.part"; env | grep ^DNSLB_ > "$0.env"; mv "$0.part" "$0"'
    out = tmp_path / "out"
    settings = commands(page={"argv": ["sh", "-c", script, str(out)], "events": ALL})
    async with dispatching(settings) as scene:
        scene.fail()
        await until(out.exists)
    document = json.loads(out.read_text())
    assert [event["event"] for event in document["events"]] == [
        *("transition" for _ in range(len(document["events"]) - 1)),
        "decision",
    ]
    environment = dict(
        line.split("=", 1) for line in (tmp_path / "out.env").read_text().splitlines()
    )
    assert environment["DNSLB_NODE"] == "ns1"
    assert environment["DNSLB_EVENTS"] == str(len(document["events"]))
    assert environment["DNSLB_ID"] == document["events"][0]["id"]
    assert environment["DNSLB_SUMMARY"] == document["summary"]


async def test_a_command_that_fails_is_retried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script = 'test -e "$0" && exit 0; touch "$0"; echo "no route to pager" >&2; exit 3'
    argv = ["sh", "-c", script, str(tmp_path / "seen")]
    with caplog.at_level(logging.INFO):
        async with dispatching(commands(page={"argv": argv})) as scene:
            scene.fail()
            await until(lambda: scene.dispatcher.waiting("command") == 0)
    assert "cannot notify command page, retrying: exit code 3: no route to pager" in caplog.text
    assert "notifications to command page are sent again" in caplog.text


async def test_a_command_that_hangs_is_ended_and_delays_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done, sleep = tmp_path / "done", nap()
    settings = commands(
        stuck={"argv": ["sleep", sleep], "timeout": 0.5},
        fine={"argv": ["sh", "-c", 'cat > "$0"', str(done)]},
    )
    async with dispatching(settings) as scene:
        scene.fail()
        await until(done.exists)
        await until(lambda: "'sleep' did not end within 0.5 s" in caplog.text)
        await until(lambda: not running(sleep))
        assert scene.dispatcher.waiting("command") == 1


async def test_a_command_that_is_not_there_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    async with dispatching(commands(page={"argv": ["/no/such/pager"]})) as scene:
        scene.fail()
        await until(lambda: "cannot run '/no/such/pager': No such file" in caplog.text)


async def test_a_command_takes_more_than_a_pipe_holds(tmp_path: Path) -> None:
    keys = [RecordKey(ZONE, f"n{number}.{ZONE}", "A") for number in range(1000)]
    out = tmp_path / "out"
    argv = ["sh", "-c", 'cat > "$0.part"; mv "$0.part" "$0"', str(out)]
    settings = commands(page={"argv": argv, "max_events": 1000})
    async with dispatching(settings, *(record(A, B, key=key) for key in keys)) as scene:
        for address in (A, B):
            scene.health_map.record(
                scene.health_map.observe(scene.target(address, keys[0]), DOWN, at(9))
            )
        scene.publish()
        await until(out.exists)
    assert len(json.loads(out.read_text())["events"]) == 1000
    assert out.stat().st_size > 128 * 1024
