"""PowerDNS's caches as the demo, the package and the quick start set them up: on, and purged."""

import re
import socket
import tomllib
from contextlib import ExitStack
from pathlib import Path

from dnslb_backend.demo.servers import START_LIMIT, NameServer
from dnslb_backend.demo.settings import HOST, WEB_ADDRESSES, free_ports
from dnslb_backend.demo.targets import WebServer
from tests.pdns.shipped import settings, text
from tests.rigs.daemon import ROOT, Daemon, follows
from tests.rigs.powerdns import PowerDNS
from tests.rigs.targets import farm
from tests.rigs.waiting import until
from tests.system.writing import config, http, record, table, value

CONTROL_SOCKET = "/run/pdns/pdns.controlsocket"
DEBIAN = ROOT / "configs/debian/dnslb.toml"
QUICK_START = ROOT / "docs/quickstart.md"

COMPLAINT = "cannot purge PowerDNS's caches, retrying"

CACHED = 60
"""Seconds that an answer may be cached: far longer than a test waits for the next one."""


def control(path: Path, command: str) -> str:
    """The output of pdns_control."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(f"{command}\n".encode())
        return client.recv(4096).decode().strip()


async def test_with_the_package_and_pdns_unix_conf_cached_answers_follow_health() -> None:
    pdns = PowerDNS({})
    path = f"{pdns.directory}/dnslb.sock"
    pdns.conf = text("pdns-unix.conf", path=path)
    pdns.settings |= settings(pdns.conf)
    packaged = DEBIAN.read_text()
    assert CONTROL_SOCKET in packaged
    server = f'[server]\nunix = "{path}"\n'
    daemon = Daemon(packaged.replace(CONTROL_SOCKET, str(pdns.control_socket)) + server)
    async with farm(2) as targets:
        everybody = {target.host for target in targets}
        www = {"dest": [*everybody], "check": http(targets[0].port), "ttl": CACHED}
        (records := daemon.directory / "records.d").mkdir()
        pace = {"interval": 0.5, "timeout": 0.4, "dns_timeout": 0.1}
        (records / "www.toml").write_text(f'"www".A = {value(www | pace)}\n')
        async with daemon, pdns:
            await follows(pdns, "www.lb.example", everybody)
            # The daemon came first, so that its first purge found nobody: no reason to alarm.
            await until(lambda: _purged(daemon))
            assert COMPLAINT not in daemon.log
            hits = int(await pdns.control("show packetcache-hit"))
            for _ in range(10):
                assert (await pdns.ask("www.lb.example")).addresses == everybody
            assert int(await pdns.control("show packetcache-hit")) > hits
            await targets[0].stop()
            await follows(pdns, "www.lb.example", everybody - {targets[0].host})
            await targets[0].start()
            await follows(pdns, "www.lb.example", everybody)


async def _purged(daemon: Daemon) -> bool:
    _, ready = await daemon.get("/readyz")
    return "purge" not in ready.get("details", {})


async def test_an_answer_that_may_not_be_cached_costs_one_lookup_and_a_random_name_two() -> None:
    pdns = PowerDNS({})
    path = f"{pdns.directory}/dnslb.sock"
    pdns.conf = text("pdns-unix.conf", path=path)
    pdns.settings |= settings(pdns.conf)
    members = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    static = {"check": {"type": "static"}}
    viewed = [{"host": members[0], "views": ["near"]}, {"host": members[1], "views": ["far"]}]
    daemon = Daemon(
        config(
            record("all", dest=members, **static),
            record("weighted", dest=members, policy="weighted", **static),
            record("sticky", dest=members, policy="sticky", **static),
            record("viewed", dest=viewed, **static),
            table("views.near", networks=["127.0.0.0/8"]),
            table("views.far", networks=["10.0.0.0/8"]),
            table("server", unix=path),
            table("pdns", control_socket=str(pdns.control_socket)),
        )
    )
    async with daemon, pdns:
        for name, cost in (("all", 0), ("weighted", 1), ("sticky", 1), ("viewed", 1), ("{}", 2)):

            async def costs(name: str = name, cost: int = cost) -> bool:
                """Once the purges that follow the start are over."""
                before = await _lookups(daemon)
                for number in range(10):
                    answer = await pdns.ask(f"{name.format(f'{before:.0f}-{number}')}.lb.example")
                    assert answer.rcode == ("NXDOMAIN" if cost == 2 else "NOERROR")
                return await _lookups(daemon) == before + 10 * cost

            await until(costs, within=20, what=f"{cost} lookups for each answer of {name}")


async def _lookups(daemon: Daemon) -> float:
    _, shown = await daemon.get("/metrics")
    return sum(map(float, re.findall(r"^dnslb_lookups_total\{.*\} (\S+)$", shown, re.MULTILINE)))


def test_the_quick_start_names_the_control_socket_that_pdns_unix_conf_does() -> None:
    (block,) = re.findall(r"```toml\n(\[global\].*?)```", QUICK_START.read_text(), re.DOTALL)
    assert tomllib.loads(block)["pdns"] == {"control_socket": CONTROL_SOCKET}
    conf = (ROOT / "pdns/pdns-unix.conf").read_text()
    assert f'#      control_socket = "{CONTROL_SOCKET}"\n' in conf
    assert "\nsetgid=pdns\n" in conf
    assert set(settings(conf).values()) == {"60", "no"}


def test_the_demo_answers_from_caches_and_follows_before_they_expire(tmp_path: Path) -> None:
    everybody = set(WEB_ADDRESSES.values())
    ports = free_ports()
    server = NameServer("ns1", HOST, ports, tmp_path)
    path = tmp_path / "pdns.controlsocket"
    with ExitStack() as stack:
        webs = {name: WebServer(address, ports.web) for name, address in WEB_ADDRESSES.items()}
        for web in webs.values():
            stack.callback(web.stop)
            web.start()
        server.start(stack, quiet=True)
        server.await_answer("www", everybody, START_LIMIT)
        for change, wanted in (
            (webs["web1"].stop, everybody - {WEB_ADDRESSES["web1"]}),
            (webs["web1"].start, everybody),
        ):
            control(path, "purge")
            hits = int(control(path, "show packetcache-hit"))
            for _ in range(10):
                server.ask("www")
            assert int(control(path, "show packetcache-hit")) > hits
            change()
            # What was cached a moment ago would live for 5 s, its TTL.
            assert server.await_answer("www", wanted, 4.5) < 4.5
        assert COMPLAINT not in (tmp_path / "dnslb-backend.log").read_text()
