"""The demo of a fleet: three name servers that decide together, one of them cut off.

MariaDB passes their votes on. Cut off is a node whose requests the web servers do not answer: they
time out, as if its uplink were gone. The web servers know each node by the token of its checks,
which is a secret, and no part of what nodes ask in common.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from dnslb_backend.demo import DemoError
from dnslb_backend.demo.servers import START_LIMIT, NameServer, await_up, executable, nap, running
from dnslb_backend.demo.settings import (
    FLEET_HOSTS,
    FLEET_PACE,
    FLEET_TABLES,
    WEB_ADDRESSES,
    ZONE,
    Ports,
)
from dnslb_backend.demo.targets import WebServer, say

QUIET = 8.0
"""Seconds for which a node is cut off, with nothing else going on."""

FOLLOW_LIMIT = 10.0
"""Seconds after which an answer that has not followed counts as a failure."""

ADVICE = "`make demo ARGS=--fleet`, or install mariadb-server-core"

SMALL = ("--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-method=fsync")


def show_fleet(
    stack: ExitStack, ports: Ports, directory: Path, webs: dict[str, WebServer]
) -> Sequence[NameServer]:
    """Start three nodes, cut one off, and prove that no answer changes; returns the nodes."""
    tables = FLEET_TABLES.format(socket=_start_mariadb(stack, directory / "mariadb"))
    nodes = [
        NameServer(name, host, ports, directory / name, tables, FLEET_PACE)
        for name, host in FLEET_HOSTS.items()
    ]
    nodes[0].write()
    _apply_schema(nodes[0])
    for node in nodes:
        node.start(stack, quiet=True)
    for node in nodes:
        node.await_answer("www", set(WEB_ADDRESSES.values()), START_LIMIT)
        _await_voters(node, [other.name for other in nodes if other is not node])
    say(f"{', '.join(FLEET_HOSTS)} decide together:")
    nodes[0].show_answers()
    _prove(nodes, webs)
    return nodes


def _start_mariadb(stack: ExitStack, directory: Path) -> Path:
    """A server with an empty database, and its socket."""
    directory.mkdir()
    (directory / "init.sql").write_text("CREATE DATABASE dnslb;\n")
    path = directory / "socket"
    whom = ["--user=root"] if os.geteuid() == 0 else []
    common = ["--no-defaults", f"--datadir={directory / 'data'}", *SMALL, *whom]
    install = ["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]
    _run([executable("mariadb-install-db", ADVICE), *common, *install])
    serve = [f"--socket={path}", f"--tmpdir={directory}", f"--init-file={directory / 'init.sql'}"]
    server = [executable("mariadbd", ADVICE), *common, "--skip-networking", *serve]
    log = directory / "mariadbd.log"
    process = stack.enter_context(running(server, log))
    await_up("mariadbd", process, log, lambda: _accepts(path))
    return path


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def _apply_schema(node: NameServer) -> None:
    _run([sys.executable, "-m", "dnslb_backend", "schema", "apply", "-c", str(node.config)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _prove(nodes: Sequence[NameServer], webs: dict[str, WebServer]) -> None:
    """Cut the last node off, have a target fail and recover, and see that all answers are right."""
    everyone, first = set(WEB_ADDRESSES.values()), WEB_ADDRESSES["web1"]
    cut = nodes[-1]
    for web in webs.values():
        web.unheard = cut.name
    say(f"cut {cut.name} off: the web servers do not answer it")
    asked = _watch(nodes, everyone)
    lost = sum(web.unanswered for web in webs.values())
    say(f"{lost} checks of {cut.name} timed out in {QUIET:.0f} s, and {asked} answers of all nodes "
        "were right: it is outvoted")  # fmt: skip
    for what, wanted in (("stop", everyone - {first}), ("start", everyone)):
        getattr(webs["web1"], what)()
        say(f"{what} web1:")
        for node in nodes:
            took = node.await_answer("www", wanted, FOLLOW_LIMIT)
            say(f"  {node.name} follows after {took:.1f} s more")
    for web in webs.values():
        web.unheard = ""
    say(f"demo: no answer was wrong while {cut.name} was cut off")


def _watch(nodes: Sequence[NameServer], wanted: set[str]) -> int:
    """Ask every node for some seconds; returns how many answers came, which all were `wanted`."""
    ends, asked = time.monotonic() + QUIET, 0
    while time.monotonic() < ends:
        for node in nodes:
            found = node.ask("www")
            if found != wanted:
                raise DemoError(f"{node.name} answers {found} for www.{ZONE}")
            asked += 1
        nap()
    return asked


def _await_voters(node: NameServer, others: Sequence[str]) -> None:
    """Wait until the votes of the others count at a node."""
    ends = time.monotonic() + START_LIMIT
    while not node.logged(f"voters besides this node: {', '.join(others)}"):
        if time.monotonic() > ends:
            raise DemoError(f"{node.name} does not count the votes of {' and '.join(others)}")
        nap()
