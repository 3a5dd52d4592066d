"""The daemon's life as a service: it says how far it is, and ends when it is told to."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from dnslb_backend.daemon.watchdog import LONGEST_SWEEP, feed_watchdog
from dnslb_backend.systemd import Notifier
from tests.rigs.daemon import Daemon, follows
from tests.rigs.hung_storage import hung
from tests.rigs.powerdns import PowerDNS
from tests.rigs.processes import signals
from tests.rigs.targets import HttpTarget
from tests.rigs.waiting import passes, until
from tests.system.service_manager import ServiceManager
from tests.system.writing import FINE, config, http, record

WWW = record("www", dest=["192.0.2.1"], check=FINE)

PROMPT = 5.0
"""Seconds within which it has ended."""


async def test_the_service_manager_hears_of_every_step(tmp_path: Path) -> None:
    async with ServiceManager(tmp_path) as manager, HttpTarget() as target:
        target.hang()
        www = record("www", dest=[target.host], check=http(target.port), timeout=30, interval=60)
        daemon = Daemon(config(www, WWW.replace("www", "early")), ready=False)
        daemon.environment |= manager.environment
        async with daemon:
            # A round is under way: more time is asked for, and it is not ready.
            [first, *_] = await manager.hears("EXTEND_TIMEOUT_USEC")
            assert int(first["EXTEND_TIMEOUT_USEC"]) >= 1_000_000
            await manager.hears("STATUS", "1 first check cycles to go")
            assert not any("READY" in message for message in manager.messages)
            target.heal()
            [ready] = await manager.hears("READY", "1")
            assert ready["MAINPID"] == str(daemon.pid)
            assert ready["STATUS"] == "Running"
            assert await daemon.health("/readyz")

            for number, words in ((1, "Running, reloaded"), (2, "Reload failed")):
                if number == 2:
                    daemon.config_file.write_text("[global")
                asked = time.monotonic_ns() // 1000
                daemon.reload()
                *_, reloading = await manager.hears("RELOADING", "1", times=number)
                assert asked <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
                *_, ready = await manager.hears("READY", "1", times=1 + number)
                assert ready["STATUS"].startswith(words)

            daemon.signal(signal.SIGTERM)
            await manager.hears("STOPPING", "1")
            assert await daemon.wait(PROMPT) == 0
            kinds = [
                key
                for message in manager.messages
                for key in ("RELOADING", "READY", "STOPPING")
                if key in message
            ]
            assert kinds == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]


async def test_the_watchdog_is_fed_while_the_daemon_goes_on(tmp_path: Path) -> None:
    async with ServiceManager(tmp_path) as manager:
        environment = {**manager.environment, "WATCHDOG_USEC": "200000"}
        async with Daemon(config(WWW), environment=environment) as daemon:
            await manager.hears("WATCHDOG", "1", times=3)
            daemon.pause()
            heard = len(manager.messages)
            await passes(0.5)
            assert len(manager.messages) <= heard + 1
            daemon.resume()
            await manager.hears("WATCHDOG", "1", times=5)


async def test_no_keep_alive_is_sent_while_the_check_scheduler_is_stuck(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    idle = 0.0
    async with ServiceManager(tmp_path) as manager:
        notifier = Notifier(manager.environment["NOTIFY_SOCKET"], "20000")
        feeding = asyncio.create_task(feed_watchdog(notifier, lambda: idle))
        await manager.hears("WATCHDOG", "1", times=2)
        idle = LONGEST_SWEEP
        await until(lambda: "check scheduler is stuck" in caplog.text)
        heard = len(manager.messages)
        caplog.clear()
        await until(lambda: "check scheduler is stuck" in caplog.text)
        assert len(manager.messages) <= heard + 1
        idle = 0.0
        await manager.hears("WATCHDOG", "1", times=heard + 2)
        feeding.cancel()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
async def test_a_reload_during_the_start_is_not_the_end_of_it(number: signal.Signals) -> None:
    daemon = Daemon(config(WWW))
    daemon.is_fresh = True
    await daemon.launch()
    await until(lambda: number in signals(daemon.pid, "SigIgn"))
    daemon.signal(number)
    await daemon.up()
    assert await daemon.stop() == 0


async def test_a_stop_during_the_start_is_a_clean_end() -> None:
    records = [WWW.replace("www", f"n{number}") for number in range(1000)]
    daemon = Daemon(config(*records))
    await daemon.launch()
    await until(lambda: signal.SIGTERM in signals(daemon.pid, "SigCgt"))
    daemon.signal(signal.SIGTERM)
    assert await daemon.wait() == 0


async def test_a_stop_ends_a_start_that_waits_for_storage_that_hangs(tmp_path: Path) -> None:
    drop_in = tmp_path / "more.toml"
    drop_in.write_text("")
    daemon = Daemon(config(WWW, load_records=[str(drop_in)]))
    with hung(drop_in) as is_held:
        await daemon.launch()
        await until(is_held)
        daemon.signal(signal.SIGTERM)
        assert await daemon.wait(PROMPT) == 0


async def test_a_signal_without_a_meaning_is_ignored() -> None:
    daemon = Daemon(config(WWW))
    daemon.is_fresh = True
    async with daemon:
        daemon.signal(signal.SIGUSR2)
        assert await daemon.answers()


class Closed(Daemon):
    """Started without some of the standard streams."""

    closed = ""

    def command(self) -> list[str]:
        return ["sh", "-c", f'exec "$@" {self.closed}', "sh", *super().command()]


@pytest.mark.parametrize("closed", ["<&-", "<&- >&- 2>&-"])
async def test_it_may_be_started_without_standard_streams(closed: str) -> None:
    """No socket gets the number of one; a command that it runs may write to all of them."""
    check = {"type": "exec", "argv": ["sh", "-c", "cat; echo up; echo x >&2"], "expect": "^up"}
    daemon = Closed(config(record("www", dest=["192.0.2.1"], check=check)))
    daemon.closed, daemon.is_fresh = closed, True
    async with daemon:
        assert '"result_text":"up"' in (await daemon.get("/api/v1/status/lines"))[1]
        daemon.signal(signal.SIGTERM)
        assert await daemon.wait(PROMPT) == 0


@pytest.mark.parametrize(
    ("level", "logged"), [("info", "UP -> DOWN, no longer served"), ("error", "")]
)
async def test_the_log_level_holds_for_members_and_an_outage_is_an_error(
    level: str, logged: str
) -> None:
    async with HttpTarget() as target:
        www = record("www", dest=[target.host], check=http(target.port))
        async with Daemon(config(www), arguments=["-l", level]) as daemon:
            await target.stop()
            await daemon.logged(
                "error dnslb_backend.health: www.lb.example A: serving -> no answer "
                "(1 of 1 members DOWN)"
            )
            assert ("info dnslb_backend.health: " in daemon.log) == bool(logged)
            assert logged in daemon.log


async def test_a_start_logs_one_line_for_all_members() -> None:
    static = {"type": "static"}
    records = [record(f"www{n}", dest=["192.0.2.1", "192.0.2.2"], check=static) for n in range(9)]
    async with Daemon(config(*records)) as daemon:
        await daemon.logged("ready: 9 records (9 serving), 18 of 18 members UP")
        assert "dnslb_backend.health: www" not in daemon.log


@pytest.mark.parametrize("socket", ["", "/nosuch/socket", "@nobody-listens-here", "relative"])
async def test_without_a_service_manager_it_serves_all_the_same(socket: str) -> None:
    async with Daemon(config(WWW), environment={"NOTIFY_SOCKET": socket}) as daemon:
        daemon.reload()
        await daemon.logged("reloaded: 1 records")
        assert await daemon.stop() == 0
        assert "Traceback" not in daemon.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_cleanly_and_soon(number: signal.Signals) -> None:
    async with Daemon(config(WWW)) as daemon, daemon.powerdns() as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        # PowerDNS keeps its connections open, and has nothing to say.
        daemon.signal(number)
        assert await daemon.wait(PROMPT) == 0
        assert "stopped" in daemon.log.splitlines()[-1]
        assert pdns.alive


async def test_it_ends_in_the_middle_of_its_first_round() -> None:
    async with HttpTarget() as target:
        target.hang()
        www = record("www", dest=[target.host], check=http(target.port), timeout=30, interval=60)
        deaf = record("deaf", dest=["192.0.2.1"], check=["sleep", "300"], timeout=30, interval=60)
        async with Daemon(config(www, deaf), ready=False) as daemon:
            await until(lambda: target.hits)
            daemon.signal(signal.SIGTERM)
            daemon.signal(signal.SIGTERM)
            assert await daemon.wait(PROMPT) == 0
            assert "Traceback" not in daemon.log


async def ask_on(pdns: PowerDNS, answers: list[str], ended: asyncio.Event) -> None:
    """Ask one question after the other until the event."""
    while not ended.is_set():
        answers.append((await pdns.ask("www.lb.example")).rcode)


async def test_it_ends_cleanly_under_load_and_every_question_is_answered() -> None:
    async with Daemon(config(WWW)) as daemon, daemon.powerdns(distributor_threads=8) as pdns:
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
        answers: list[str] = []
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(ask_on(pdns, answers, ended))
            await until(lambda: len(answers) > 200)
            told = len(answers)
            daemon.signal(signal.SIGTERM)
            assert await daemon.wait(PROMPT) == 0
            gone = len(answers)
            await until(lambda: len(answers) > gone + 20)
            ended.set()
        # Afterwards PowerDNS says that nobody is there; it never says that the name is not.
        assert set(answers[:told]) == {"NOERROR"}
        assert set(answers[told:]) <= {"NOERROR", "SERVFAIL"}
        assert set(answers[gone + 20 :]) == {"SERVFAIL"}
        assert "Traceback" not in daemon.log
        await daemon.start()
        await follows(pdns, "www.lb.example", {"192.0.2.1"})
