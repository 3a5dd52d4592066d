"""The versions of PowerDNS: told by each channel, followed when they change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from dnslb_backend.core.answers.invalidation import PurgeItem
from dnslb_backend.pdns.cache import versions as versions_module
from dnslb_backend.pdns.cache.channels import ApiChannel, Channel, ChannelError, ControlChannel
from dnslb_backend.pdns.cache.versions import Versions
from dnslb_backend.pdns.settings import parse_version
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS, installed_version
from tests.rigs.waiting import until

Kind = Callable[[Path, "Impostor"], AbstractAsyncContextManager[Channel]]


class Impostor:
    """Tells `version` as PowerDNS does on its control socket and in its API."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.flushed: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        if line == "version\n":
            writer.write(self.version.encode())
        elif line.startswith("GET /api/v1/servers/localhost "):
            writer.write(
                f'HTTP/1.1 200 OK\r\n\r\n{{"id": 1, "version": "{self.version}"}}'.encode()
            )
        elif line.startswith("PUT "):
            self.flushed.append(line.split()[1].rpartition("=")[2])
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n{}")
        await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def control(folder: Path, impostor: Impostor) -> AsyncIterator[Channel]:
    path = str(folder / "control")
    async with await asyncio.start_unix_server(impostor.serve, path):
        yield ControlChannel(path)


@asynccontextmanager
async def api(folder: Path, impostor: Impostor) -> AsyncIterator[Channel]:
    (folder / "key").write_text("secret")
    async with await asyncio.start_server(impostor.serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        yield ApiChannel(f"http://127.0.0.1:{port}", str(folder / "key"))


async def test_a_real_one_tells_its_version(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "named.conf").touch()
    (tmp_path / "key").write_text("secret")
    settings = {
        "launch": "bind",
        "bind-config": str(tmp_path / "named.conf"),
        "api": "yes",
        "api-key": "secret",
        "webserver-port": port,
    }
    async with PowerDNS(settings) as pdns:
        for channel in (
            ControlChannel(str(pdns.control_socket)),
            ApiChannel(f"http://127.0.0.1:{port}", str(tmp_path / "key")),
        ):
            assert (await channel.ask_version()).startswith(installed_version())


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("4.7.3", (4, 7)),
        ("5.1.0-rc1", (5, 1)),
        ("PowerDNS Authoritative Server 4.9.18", (4, 9)),
        ("0.0.2219.0.master.gd1b2", None),
        ("", None),
        ("none", None),
    ],
)
def test_the_version_in_a_text(told: str, version: tuple[int, int] | None) -> None:
    assert parse_version(told) == version


@pytest.mark.parametrize("kind", [control, api])
@pytest.mark.parametrize("told", ["", "Unknown command", "4", "[" * 3000])
async def test_what_is_no_version_is_not_taken_for_one(
    tmp_path: Path, kind: Kind, told: str
) -> None:
    async with kind(tmp_path, Impostor(told)) as channel:
        with pytest.raises(ChannelError, match=r"reports no version|is no API"):
            await channel.ask_version()
        assert channel.reported_version == ""


async def test_a_powerdns_that_is_upgraded_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(versions_module, "INTERVAL", 0.02)
    caplog.set_level("INFO")
    impostor, changes = Impostor("4.9.18"), 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    async with control(tmp_path, impostor) as channel:
        versions = Versions([channel], configured=None)
        assert versions.oldest == (4, 7)
        await versions.ask()
        assert versions.oldest == (4, 9)
        following = asyncio.create_task(versions.follow(changed))
        impostor.version = "5.1.5"
        await until(lambda: versions.oldest == (5, 1))
        assert changes == 1
        following.cancel()
        await asyncio.wait([following])
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert levels == [
        ("INFO", f"PowerDNS at {channel.name} has version 4.9.18"),
        ("WARNING", f"PowerDNS at {channel.name} has version 5.1.5 now, it had 4.9.18"),
    ]


async def test_of_several_the_oldest_counts_and_a_warning_names_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    async with (
        control(tmp_path, Impostor("5.1.5")) as new,
        control(tmp_path / "a", Impostor("4.9.18")) as old,
    ):
        gone = ControlChannel(str(tmp_path / "gone"))
        versions = Versions([new, old, gone], configured=(5, 1))
        assert versions.oldest == (5, 1)
        await versions.ask()
        assert versions.oldest == (4, 9)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "contents are written for 4.9" in warning
    assert f"4.9.18 at {old.name}" in warning
    assert f"5.1.5 at {new.name}" in warning


@pytest.mark.parametrize(("version", "forgets"), [("4.5.5", False), ("4.6.0", True)])
async def test_the_api_of_before_4_6_forgets_nothing_below_a_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str, *, forgets: bool
) -> None:
    impostor = Impostor(version)
    async with api(tmp_path, impostor) as channel:
        await Versions([channel], configured=None).ask()
        await channel.purge([PurgeItem("www.lb.example")])
        if forgets:
            await channel.purge([PurgeItem("lb.example", below=True)])
        else:
            with pytest.raises(ChannelError, match=r"PowerDNS 4\.5\.5 forgets no name below"):
                await channel.purge([PurgeItem("lb.example", below=True)])
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == (0 if forgets else 1)
    assert impostor.flushed == ["www.lb.example.", "lb.example."]
