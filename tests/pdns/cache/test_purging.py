"""PowerDNS with its caches on, and never wrong for it."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import pytest
import trustme
from aiohttp import web
from dns.rdatatype import NS

from dnslb_backend.core.answers.invalidation import PurgeItem, find_references, purge_after_reload
from dnslb_backend.core.model.plan import Plan
from dnslb_backend.core.model.zones import ResourceRecord, Soa, Zone
from dnslb_backend.pdns.cache import purger as purger_module
from dnslb_backend.pdns.cache.channels import (
    API_CONNECTIONS,
    ApiChannel,
    ChannelError,
    ControlChannel,
)
from dnslb_backend.pdns.cache.purge_queue import EVERYTHING
from dnslb_backend.pdns.cache.purger import Purger
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.settings import PdnsSettings
from tests.pdns.slow_proxy import slow_proxy
from tests.pdns.transports import http_settings, serve_http
from tests.pdns.world import LB, OTHER, World
from tests.rigs.ports import free_port
from tests.rigs.powerdns import PowerDNS, is_older_than
from tests.rigs.waiting import until

CACHES_ON = {"cache-ttl": 60, "query-cache-ttl": 60, "negquery-cache-ttl": 60}
KEY = "the key of the API"


class Stand(NamedTuple):
    """A world, a PowerDNS with caches that asks for it, and who keeps them coherent."""

    world: World
    pdns: PowerDNS
    purger: Purger

    async def warm(self, *names: str) -> None:
        """Let PowerDNS remember its answers; asked twice, they come from the packet cache."""
        for name in names:
            for qtype in ("A", "NS", "MX", "SRV", "SOA"):
                await self.pdns.ask(name, qtype)
                await self.pdns.ask(name, qtype)

    def change(self, name: str, *addresses: str) -> None:
        """What the daemon does with a change: first the new snapshot, then the purge."""
        changed = self.world.change(name, "A", *addresses)
        plan = Plan(self.world.zones, self.world.records)
        self.purger.purge(
            find_references(plan, self.world.snapshot.name_index).names_to_purge(changed)
        )

    def reload(self, edit: Callable[[World], object]) -> None:
        plan = Plan(dict(self.world.zones), dict(self.world.records))
        before = self.world.snapshot
        known = [find_references(plan, before.name_index)]
        edit(self.world)
        changed = self.world.rebuild()
        plan = Plan(self.world.zones, self.world.records)
        after = self.world.snapshot
        known.append(find_references(plan, after.name_index))
        self.purger.purge(purge_after_reload(before.name_index, after.name_index, changed, known))


@asynccontextmanager
async def purging(settings: PdnsSettings) -> AsyncIterator[Purger]:
    purger = Purger(settings)
    work = asyncio.create_task(purger.run(lambda: None))
    try:
        yield purger
    finally:
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


@asynccontextmanager
async def stand_with(channel: str, directory: Path) -> AsyncIterator[Stand]:
    world = World()
    world.serve("*.apps", "A", "10.3.0.1")
    world.snapshot = world.build()
    api = free_port()
    api_settings = {"api": "yes", "api-key": KEY, "webserver-port": api, "8bit-dns": "yes"}
    async with (
        serve_http(Responder(world.current)) as port,
        PowerDNS({**http_settings(port), **CACHES_ON, **api_settings}) as pdns,
    ):
        key_file = directory / "key"
        key_file.write_text(f"{KEY}\n")
        settings = {
            "control": {"control_socket": str(pdns.control_socket)},
            "api": {"api": f"http://127.0.0.1:{api}", "api_key_file": str(key_file)},
        }
        async with purging(PdnsSettings.model_validate(settings[channel])) as purger:
            yield Stand(world, pdns, purger)


@pytest.fixture(params=["control", "api"])
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    if request.param == "api" and is_older_than(4, 6):
        pytest.skip("this API purges nothing below a name")
    async with stand_with(request.param, tmp_path) as stand:
        yield stand


async def test_without_a_purge_answers_would_be_stale(stand: Stand) -> None:
    await stand.warm("www.lb.example")
    stand.world.change("www", "A", "10.9.9.9")
    assert (await stand.pdns.ask("www.lb.example")).addresses == {"10.0.0.1", "10.0.0.2"}


async def test_a_change_is_seen_at_once_wherever_it_shows(stand: Stand) -> None:
    shown = [
        "www.lb.example",
        "WWW.lb.example",
        "alias.lb.example",
        "far-alias.lb.example",
        "x.wildalias.lb.example",
        "a.b.wildalias.lb.example",
    ]
    await stand.warm(*shown, "mail.lb.example", "_sip._tcp.lb.example", "lb.example")
    before = (await stand.pdns.ask("lb.example", "SOA")).contents
    stand.change("www", "10.9.9.9")
    for name in shown:

        async def is_fresh(name: str = name) -> bool:
            return (await stand.pdns.ask(name)).addresses == {"10.9.9.9"}

        await until(is_fresh, within=1, what=name)
    for name, qtype in (("mail.lb.example", "MX"), ("_sip._tcp.lb.example", "SRV")):
        additional = (await stand.pdns.ask(name, qtype)).message.additional
        addresses = {rdata.to_text() for rrset in additional for rdata in rrset}
        assert "10.9.9.9" in addresses
        assert "10.0.0.1" not in addresses
    assert (await stand.pdns.ask("lb.example", "SOA")).contents != before


async def test_nothing_served_any_more_and_something_served_again(stand: Stand) -> None:
    await stand.warm("www.lb.example", "empty.lb.example")
    stand.change("www")
    await until(lambda: _is_nodata(stand, "www.lb.example"), within=1)
    stand.change("empty", "10.9.9.9")
    stand.change("www", "10.9.9.8")
    await until(lambda: _serves(stand, "empty.lb.example", "10.9.9.9"), within=1)
    await until(lambda: _serves(stand, "www.lb.example", "10.9.9.8"), within=1)


async def test_a_wildcard_that_changes_is_seen_below_it(stand: Stand) -> None:
    names = ("one.apps.lb.example", "two.apps.lb.example", "x.y.apps.lb.example")
    await stand.warm(*names)
    stand.change("*.apps", "10.3.0.2")
    for name in names:
        await until(lambda name=name: _serves(stand, name, "10.3.0.2"), within=1)  # type: ignore[misc]


async def test_names_that_come_and_go_with_a_reload(stand: Stand) -> None:
    await stand.warm("new.lb.example", "x.new.lb.example", "x.wild.lb.example", "v4.lb.example")

    def exchange(world: World) -> None:
        world.serve("new", "A", "10.4.0.1")
        world.forget("V4", "A")

    stand.reload(exchange)
    await until(lambda: _serves(stand, "new.lb.example", "10.4.0.1"), within=1)
    assert (await stand.pdns.ask("v4.lb.example")).rcode == "NXDOMAIN"
    # A name that exists now stands between these and the wildcard.
    stand.reload(lambda world: world.serve("in.x.wild", "A", "10.4.0.2"))
    await until(lambda: _is_nodata(stand, "x.wild.lb.example"), within=1)


async def test_a_delegation_that_comes_and_goes_with_a_reload(stand: Stand) -> None:
    """That a name has no NS is in PowerDNS's caches as well."""
    names = ("x.y.child.lb.example", "child.lb.example", "v4.lb.example")
    delegations = tuple(
        ResourceRecord(f"{name}.{LB}", "NS", "ns.elsewhere.example.", 60)
        for name in ("child", "v4")
    )
    before = stand.world.zones[LB]

    async def is_referred(name: str) -> bool:
        return any(rrset.rdtype == NS for rrset in (await stand.pdns.ask(name)).message.authority)

    def delegate(world: World) -> None:
        world.forget("V4", "A")
        world.zones[LB] = replace(before, static=(*before.static, *delegations))

    def take_back(world: World) -> None:
        world.serve("V4", "A", "10.0.0.4")
        world.zones[LB] = before

    await stand.warm(*names)
    stand.reload(delegate)
    for name in names:
        await until(lambda name=name: is_referred(name), within=1, what=name)  # type: ignore[misc]
    await stand.warm(*names)
    stand.reload(take_back)
    await until(lambda: _serves(stand, "v4.lb.example", "10.0.0.4"), within=1)
    assert (await stand.pdns.ask("child.lb.example")).rcode == "NXDOMAIN"


async def test_zones_that_come_and_go_with_a_reload(stand: Stand) -> None:
    await stand.warm("www.new.example", "api.other.example")
    assert (await stand.pdns.ask("www.new.example")).rcode == "REFUSED"
    zone = "new.example"
    www = ResourceRecord(f"www.{zone}", "A", "10.5.0.1", 60)
    new = Zone(zone, zone, Soa(f"ns1.{zone}", f"h.{zone}"), (f"ns1.{LB}",), (www,), 77)
    if stand.pdns.settings.get("zone-cache-refresh-interval") is None:
        stand.reload(lambda world: world.zones.update({zone: new}))
    if stand.purger.status()[0].name.startswith("http"):
        # The API makes a zone known; the zone cache is not to be refreshed for 300 s.
        await until(lambda: _serves(stand, "www.new.example", "10.5.0.1"), within=2)
    stand.reload(lambda world: world.drop_zone(OTHER))
    await until(lambda: _is_gone(stand, "api.other.example"), within=1)


async def test_names_with_odd_letters_are_purged_too(stand: Stand) -> None:
    for name in ("o\\032dd", "o\\.dd", "do$", "_x-y", "caf\\195\\169", "semi\\;colon"):
        stand.reload(lambda world, name=name: world.serve(name, "A", "10.6.0.1"))  # type: ignore[misc]
        await stand.warm(f"{name}.lb.example")
        stand.change(name, "10.6.0.2")
        await until(lambda name=name: _serves(stand, f"{name}.lb.example", "10.6.0.2"), within=1)  # type: ignore[misc]


async def _serves(stand: Stand, name: str, *addresses: str) -> bool:
    return (await stand.pdns.ask(name)).addresses == set(addresses)


async def _is_nodata(stand: Stand, name: str) -> bool:
    return (await stand.pdns.ask(name)).is_nodata


async def _is_gone(stand: Stand, name: str) -> bool:
    return (await stand.pdns.ask(name)).rcode != "NOERROR"


async def test_several_servers_are_all_told_and_one_that_is_away_delays_no_other(
    tmp_path: Path,
) -> None:
    world = World()
    async with (
        serve_http(Responder(world.current)) as port,
        PowerDNS({**http_settings(port), **CACHES_ON}) as one,
        PowerDNS({**http_settings(port), **CACHES_ON}) as two,
    ):
        nobody = tmp_path / "nobody.controlsocket"
        paths = [str(nobody), str(one.control_socket), str(two.control_socket)]
        settings = PdnsSettings.model_validate({"control_socket": paths})
        async with purging(settings) as purger:
            stands = [Stand(world, pdns, purger) for pdns in (one, two)]
            for stand in stands:
                await stand.warm("www.lb.example")
            stands[0].change("www", "10.9.9.9")
            for stand in stands:
                await until(lambda stand=stand: _serves(stand, "www.lb.example", "10.9.9.9"))  # type: ignore[misc]
            await until(lambda: all(one.purges and not one.backlog for one in purger.status()[1:]))
            away, *here = purger.status()
            assert [bool(figures.error) for figures in here] == [False, False]
            assert away.backlog
            assert away.failures
            assert str(nobody) in away.error


async def test_what_could_not_be_purged_is_purged_when_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand_with("control", tmp_path) as stand:
        hidden = tmp_path / "hidden"
        await stand.warm("v4.lb.example")
        stand.change("V4", "10.8.8.8")
        await until(lambda: _serves(stand, "v4.lb.example", "10.8.8.8"))
        assert stand.purger.detail() is None
        stand.pdns.control_socket.rename(hidden)
        stand.change("V4", "10.9.9.9")
        await until(stand.purger.detail)
        (detail,) = cast(list[dict[str, object]], stand.purger.detail())
        assert detail["unpurged"] == 2  # it, and the serial of its zone
        assert "cache-ttl" in str(detail["advice"])
        assert not await _serves(stand, "v4.lb.example", "10.9.9.9")
        hidden.rename(stand.pdns.control_socket)
        await until(lambda: _serves(stand, "v4.lb.example", "10.9.9.9"))
        await until(lambda: stand.purger.detail() is None)
    complaints = [record.levelname for record in caplog.records]
    assert complaints == ["ERROR", "WARNING"]


async def test_a_powerdns_that_starts_after_the_daemon_is_no_complaint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "dnslb_backend.pdns.cache")
    async with stand_with("control", tmp_path) as stand:
        hidden = tmp_path / "hidden"
        stand.pdns.control_socket.rename(hidden)
        stand.change("V4", "10.9.9.9")
        await until(stand.purger.detail)
        hidden.rename(stand.pdns.control_socket)
        await until(lambda: _serves(stand, "v4.lb.example", "10.9.9.9"))
        await until(lambda: stand.purger.detail() is None)
    (line,) = [record for record in caplog.records if "cannot purge" in record.getMessage()]
    assert line.levelname == "INFO"
    assert "it may be starting" in line.getMessage()
    assert not [record for record in caplog.records if record.levelname != "INFO"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"Unknown command 'purge'", "answered with"),
        (b"", "answered with"),
        (b"-1", "answered with"),
    ],
)
async def test_only_a_count_means_that_it_was_done(tmp_path: Path, answer: bytes, why: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    path = str(tmp_path / "socket")
    server = await asyncio.start_unix_server(serve, path)
    async with server:
        channel = ControlChannel(path)
        with pytest.raises(ChannelError, match=why):
            await channel.purge([PurgeItem("www.lb.example")])


async def test_a_wrong_key_is_told_and_a_new_one_is_read(tmp_path: Path) -> None:
    async with stand_with("api", tmp_path) as stand:
        key_file = tmp_path / "key"
        channel = ApiChannel(stand.purger.status()[0].name, str(key_file))
        key_file.write_text("wrong")
        with pytest.raises(ChannelError, match="401"):
            await channel.purge([PurgeItem("www.lb.example")])
        key_file.unlink()
        with pytest.raises(ChannelError, match="key"):
            await channel.purge([PurgeItem("www.lb.example")])
        key_file.write_text(KEY)
        await channel.purge([PurgeItem("www.lb.example"), EVERYTHING])


async def test_what_a_change_shows_in_is_purged_in_one_turn(tmp_path: Path) -> None:
    """The next change waits for it."""
    waiting, go = 0, asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        nonlocal waiting
        waiting += 1
        if waiting == API_CONNECTIONS:
            go.set()
        await go.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_put("/api/v1/servers/localhost/cache/flush", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    channel = ApiChannel(f"http://127.0.0.1:{port}", str(key_file))
    async with asyncio.timeout(5):
        await channel.purge(
            [PurgeItem(f"n{number}.lb.example") for number in range(API_CONNECTIONS)]
        )
    await runner.cleanup()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 5000, b"two\nlines", None])
async def test_a_key_that_cannot_be_used_is_told_and_not_shown(
    tmp_path: Path, content: bytes | None
) -> None:
    key_file = tmp_path / "key"
    if content is None:
        os.mkfifo(key_file)
    else:
        key_file.write_bytes(content)
    channel = ApiChannel("http://127.0.0.1:1", str(key_file))
    with pytest.raises(ChannelError, match=str(key_file)) as caught:
        await channel.purge([PurgeItem("www.lb.example")])
    assert "lines" not in str(caught.value)


async def test_a_server_that_does_not_answer_is_given_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purger_module, "PURGE_TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as deaf:
        path = str(tmp_path / "socket")
        deaf.bind(path)
        deaf.listen()
        async with purging(PdnsSettings.model_validate({"control_socket": path})) as purger:
            purger.purge([PurgeItem("www.lb.example")])
            await until(lambda: purger.status()[0].failures > 1)
            assert "no answer" in purger.status()[0].error


async def test_without_a_channel_it_says_what_powerdns_must_not_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with purging(PdnsSettings()) as purger:
        purger.purge([PurgeItem("www.lb.example")])
        await until(lambda: caplog.records)
        assert purger.status() == []
        assert "cache-ttl" in str(purger.detail())
    assert "must be 0" in caplog.text


async def test_an_answer_from_before_the_change_that_comes_late_does_not_stay() -> None:
    """It is cached after the first purge: that alone would leave it there for a minute."""
    world = World()
    loop = asyncio.get_running_loop()
    async with (
        serve_http(Responder(world.current)) as port,
        slow_proxy(port, delay=0.01) as (slow_port, answered),
        PowerDNS({**http_settings(slow_port), **CACHES_ON}) as pdns,
        purging(PdnsSettings(control_socket=(str(pdns.control_socket),))) as purger,
    ):
        stand = Stand(world, pdns, purger)
        for last in range(5, 15):
            await pdns.purge("")
            answered.clear()
            query = asyncio.create_task(pdns.ask("v4.lb.example"))
            await answered.wait()
            stand.change("V4", f"10.7.0.{last}")
            changed = loop.time()
            await query
            await until(lambda last=last: _serves(stand, "v4.lb.example", f"10.7.0.{last}"))  # type: ignore[misc]
            assert loop.time() - changed < 0.25
            await until(lambda since=changed: loop.time() > since + 0.1)  # type: ignore[misc]
            assert await _serves(stand, "v4.lb.example", f"10.7.0.{last}")


# -- what stands for a PowerDNS ---------------------------------------------------------

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def impostor(
    channel: str, directory: Path, answer: Answer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[PdnsSettings]:
    """Listens where PowerDNS would, and has `answer` see the first line of each request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await answer(await reader.readline(), writer)
        writer.transport.abort()

    (directory / "key").write_text(KEY)
    if channel == "control":
        path = str(directory / "socket")
        server = await asyncio.start_unix_server(serve, path)
        settings = {"control_socket": path}
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", ssl=tls)
        where = f"{'https' if tls else 'http'}://localhost:{server.sockets[0].getsockname()[1]}"
        settings = {"api": where, "api_key_file": str(directory / "key")}
    async with server:
        yield PdnsSettings.model_validate(settings)


DONE = {"control": b"1\n", "api": b"HTTP/1.1 200 OK\r\n\r\n"}


@pytest.mark.parametrize("channel", DONE)
async def test_a_first_purge_waits_for_none_that_follows_another(
    tmp_path: Path, channel: str
) -> None:
    known, held, go = set[bytes](), set[bytes](), asyncio.Event()

    async def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        names = set(re.findall(rb"n\d+", line))
        if names & known:
            held.update(names)
            await go.wait()
        known.update(names)
        writer.write(DONE[channel])
        await writer.drain()

    async with (
        impostor(channel, tmp_path, answer) as settings,
        purging(settings) as purger,
    ):
        purger.purge([PurgeItem(f"n{number}.lb.example") for number in range(20)])
        await until(lambda: len(held) >= API_CONNECTIONS)
        purger.purge([PurgeItem("n99.lb.example")])
        await until(lambda: purger.status()[0].purges == 21)
        (figures,) = purger.status()
        assert (figures.backlog, figures.error) == (0, "")
        assert b"n99" in known
        go.set()


@pytest.mark.parametrize(
    ("first", "endless", "why"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP 103"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "longer than 4096 bytes"),
        (b"", b"x", "longer than 4096 bytes"),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", b"no" * 1000, "HTTP 500 nono"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", b"", "HTTP 302"),
        (b"HTTP/1.1 200 OK\r\n", b"", "ended before the answer"),
        (b"", b"", "ended before the answer"),
        (b"220 ready\r\n\r\n", b"", "not HTTP"),
    ],
)
async def test_what_is_no_powerdns_cannot_hold_us(
    tmp_path: Path, first: bytes, endless: bytes, why: str
) -> None:
    sent = 0

    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(first)
        await writer.drain()
        while endless:
            writer.write(endless * 1000)
            await writer.drain()
            sent += 1000 * len(endless)

    async with impostor("api", tmp_path, answer) as settings, asyncio.timeout(10):
        channel = ApiChannel(settings.api[0], str(tmp_path / "key"))
        with pytest.raises(ChannelError, match=why):
            await channel.purge([PurgeItem("www.lb.example")])
        assert sent < 64 << 20  # what the system's buffers hold, and not all that it has


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 401 Unauthorized\r\n\r\nbad key %s", b"220 hello %s\r\n\r\n"]
)
async def test_no_error_shows_a_key_that_the_api_echoes(tmp_path: Path, answer: bytes) -> None:
    async def echo(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer % KEY.encode())
        await writer.drain()

    async with impostor("api", tmp_path, echo) as settings:
        channel = ApiChannel(settings.api[0], str(tmp_path / "key"))
        with pytest.raises(ChannelError, match=r"\*\*\*") as caught:
            await channel.purge([PurgeItem("www.lb.example")])
    assert KEY not in str(caught.value)


async def test_an_api_behind_tls_is_purged_if_its_certificate_is_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    lines: list[bytes] = []

    async def answer(line: bytes, writer: asyncio.StreamWriter) -> None:
        lines.append(line)
        writer.write(DONE["api"])
        await writer.drain()

    async with impostor("api", tmp_path, answer, tls) as settings:
        with pytest.raises(ChannelError, match="CERTIFICATE_VERIFY_FAILED"):
            await ApiChannel(settings.api[0], str(tmp_path / "key")).purge([EVERYTHING])
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        await ApiChannel(settings.api[0], str(tmp_path / "key")).purge([EVERYTHING])
    assert lines == [b"PUT /api/v1/servers/localhost/cache/flush?domain=. HTTP/1.0\r\n"]
