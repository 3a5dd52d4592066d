"""The daemon is restarted, and PowerDNS notices nothing."""

import asyncio
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest

from dnslb_backend.pdns.connectors.line_protocol import StoredConnection
from dnslb_backend.systemd import FIRST_FD, FdStore, take_activated
from tests.pdns.connectors.test_line_protocol import V4, peer, question
from tests.pdns.manager import ServiceManager
from tests.pdns.served import put_load, queries_seen
from tests.pdns.transports import (
    COPROCESS,
    Settings,
    abi_settings,
    http_settings,
    pipe_settings,
    unix_settings,
)
from tests.rigs.powerdns import PowerDNS
from tests.rigs.waiting import until

THREADS = 3

PATIENCE = 15
"""Seconds that PowerDNS waits for an answer."""


async def restart_under_load(
    manager: ServiceManager, settings: Mapping[str, str | int], *, rate: int, restarts: int = 1
) -> dict[str, int]:
    """What clients saw of several restarts in a stream of queries that no cache answers."""
    queue = {"max-queue-length": 1_000_000, "queue-limit": PATIENCE * 1000}
    async with PowerDNS({**settings, **queue}) as pdns:
        seconds = 1 + 2 * restarts
        load = asyncio.create_task(put_load(pdns.port, pdns.directory, seconds=seconds, rate=rate))
        for number in range(restarts):
            asked = rate * (1 + 4 * number) // 2

            async def is_under_load(asked: int = asked) -> bool:
                return await queries_seen(pdns) > asked

            await until(is_under_load)
            assert await manager.restart() == 0
        tally = await load
    assert tally.sent > rate * seconds * 0.9
    return {"LOST": tally.lost, **{c: n for c, n in tally.codes.items() if c != "NOERROR"}}


def reached_over(kind: str, manager: ServiceManager) -> Settings:
    """What PowerDNS is told to reach the service of `manager`.

    It is patient: how long the start of a process takes is a matter of the machine, and whether
    a query is lost over it is not.
    """
    settings: Settings = {
        "unix": unix_settings(manager.path),
        "http": {**http_settings(manager.port), "distributor-threads": 32},
        "pipe": pipe_settings(manager.path),
        "abi5": abi_settings(COPROCESS + manager.path, 5),
        "abi5 without a coprocess": abi_settings(manager.path, 5),
    }[kind]
    key = "remote-connection-string"
    if key in settings:
        return {**settings, key: f"{settings[key]},timeout={PATIENCE * 1000}"}
    return {**settings, "pipe-timeout": PATIENCE * 1000}


@pytest.mark.parametrize(
    ("kind", "rate", "restarts"),
    [
        ("unix", 1000, 1),
        ("http", 500, 1),
        ("pipe", 500, 1),
        ("abi5", 500, 1),
        ("abi5 without a coprocess", 500, 1),
        pytest.param("unix", 5000, 10, marks=pytest.mark.soak),
        pytest.param("http", 2000, 10, marks=pytest.mark.soak),
    ],
)
async def test_no_query_is_lost_over_a_restart(kind: str, rate: int, restarts: int) -> None:
    async with ServiceManager() as manager:
        settings = reached_over(kind, manager)
        troubles = await restart_under_load(manager, settings, rate=rate, restarts=restarts)
        assert troubles == {"LOST": 0}


async def test_where_nobody_keeps_connections_each_thread_fails_once_at_most() -> None:
    async with ServiceManager() as manager:
        manager.stores = False
        settings = {**reached_over("unix", manager), "distributor-threads": THREADS}
        troubles = await restart_under_load(manager, settings, rate=500)
        assert troubles.pop("LOST") == 0
        assert troubles.pop("SERVFAIL", 0) <= THREADS
        assert not troubles


async def test_connections_are_kept_with_their_dialects_and_given_back() -> None:
    async with (
        ServiceManager() as manager,
        peer(manager.path) as remote,
        peer(manager.path) as tabbed,
    ):
        assert await remote.say(V4)
        tabbed.writer.write(b"HELO\t2\n")
        await tabbed.line()
        assert await manager.stop() == 0
        assert sorted(name for name, _ in manager.store) == ["dnslb-abi2", "dnslb-json"]
        remote.writer.write(V4)
        tabbed.writer.write(question(2, "v4.lb.example"))
        await manager.start()
        assert await remote.hear()
        assert len(await tabbed.lines()) == 2
        # Nobody else holds them any more: when the service hangs up, its peer notices.
        await until(lambda: not manager.store)
        remote.writer.write(V4.replace(b"v4", b"pending"))
        assert await remote.is_left()


async def test_a_socket_of_the_service_manager_can_be_reached_after_a_restart() -> None:
    async with ServiceManager() as manager:
        assert await manager.restart() == 0
        async with peer(manager.path) as client:
            assert await client.say(V4)


async def test_a_daemon_that_is_killed_comes_back_to_its_sockets() -> None:
    async with ServiceManager() as manager:
        async with peer(manager.path) as client:
            assert await client.say(V4)
            manager.process.kill()  # type: ignore[union-attr]
            assert await client.is_left()
        async with peer(manager.path) as client:
            client.writer.write(V4)
            await manager.process.wait()  # type: ignore[union-attr]
            await manager.start()
            assert await client.hear()


def test_what_is_meant_for_another_process_is_not_taken() -> None:
    for pid in ("1", "", "x"):
        environment = {"LISTEN_FDS": "2", "LISTEN_PID": pid, "LISTEN_FDNAMES": "a:b", "X": "y"}
        inherited = take_activated(environment)
        assert [*inherited.http, *inherited.unix, *inherited.connections] == []
        assert environment == {"X": "y"}


def test_unusable_descriptors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    # Whatever the test process has there, it has not a thousand of them.
    count = 10_000
    environment = {"LISTEN_FDS": str(count), "LISTEN_PID": str(os.getpid())}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dnslb_backend.systemd.FIRST_FD", 1_000_000 + FIRST_FD)
        assert not take_activated({**environment, "LISTEN_FDS": "2"}).http
    assert len(caplog.records) == 2


async def test_without_a_keeper_connections_end(tmp_path: Path) -> None:
    for address in (None, "", str(tmp_path / "nobody")):
        ours, theirs = socket.socketpair()
        keeper = FdStore(address)
        keeper.release([StoredConnection(ours)])
        await keeper.keep([StoredConnection(ours)])
        assert ours.fileno() == -1
        assert theirs.recv(1) == b""
        theirs.close()
