"""The demo: real targets, the daemon and a real pdns_server on this machine, watched live.

dig  ->  pdns_server  ->  dnslb-backend  ->  three web servers on 127.0.0.11, .12 and .13
"""

import http.server
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rcode

HOST = "127.0.0.1"
ZONE = "lb.example"
WEB_ADDRESSES = {"web1": "127.0.0.11", "web2": "127.0.0.12", "web3": "127.0.0.13"}

START_LIMIT = 20.0
"""Seconds that a server of the demo may take to answer for the first time."""

FOLLOW_LIMIT = 5.0
"""Seconds after which an answer that has not followed counts as a failure."""

CONFIG = """\
[global]
domain_name = "{zone}"
node        = "ns1"

[server]
http = "{host}:{connector}"
unix = ""

[admin]
listen     = "{host}:{admin}"
token_file = "{directory}/admin.tokens"

[state]
path = "{directory}/state.sqlite"

[zones."{zone}"]
soa    = {{ mname = "ns1.{zone}.", rname = "hostmaster.{zone}." }}
ns     = ["ns1.{zone}."]
static = [{{ name = "ns1", type = "A", content = "{host}" }}]

[default]
ttl         = 1
interval    = 1
timeout     = 0.5
dns_timeout = 0.4
check       = {{ type = "http", url = "http://%(address)s:{web}/health" }}

[records."www".A]      # every healthy server
dest = ["127.0.0.11", "127.0.0.12", "127.0.0.13"]

[records."db".A]       # the first that is healthy, by priority
dest = ["127.0.0.11@3", "127.0.0.12@2", "127.0.0.13@1"]
"""

POWERDNS = """\
launch=remote
remote-connection-string=http:url=http://{host}:{connector}/dns,timeout=2000
local-address={host}
local-port={dns}
socket-dir={directory}
daemon=no
guardian=no
write-pid=no
disable-syslog=yes
loglevel=3
# Nothing is cached, so that every question shows the health of this moment.
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=5
consistent-backends=no
distributor-threads=3
max-queue-length=1000000
"""

WHAT_TO_TRY = """
It runs. In a browser:

  http://{host}:{admin}/                  every server, live
  token {token}            it asks for this when you drain one

In another terminal:

  dig @{host} -p {dns} www.{zone}         three web servers answer
  dig @{host} -p {dns} db.{zone}          one serves, two stand by

  curl -X POST http://{host}:{panel}/web1/stop       stop one, and dig again
  curl -X POST http://{host}:{panel}/web1/start      bring it back
  curl http://{host}:{panel}/                        which of them run

  {program} status -c {config}
  {program} drain 127.0.0.12 --for 1m -c {config}

Every change is told below. Ctrl-C ends everything.
"""


class DemoError(Exception):
    """The demo cannot go on; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens on HOST; the web servers share one port on their addresses."""

    dns: int
    connector: int
    admin: int
    panel: int
    web: int


FIXED_PORTS = Ports(dns=5300, connector=8053, admin=8054, panel=8055, web=8056)


def run_demo(once: bool) -> int:
    """Run the demo until Ctrl-C, or, with `once`, prove a failover; returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            ports = _free_ports() if once else FIXED_PORTS
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dnslb-demo-")))
            webs = {name: WebServer(a, ports.web) for name, a in WEB_ADDRESSES.items()}
            for web in webs.values():
                stack.callback(web.stop)
                web.start()
            token = _write_token(directory / "admin.tokens")
            config, daemon, powerdns = _start_servers(stack, directory, ports, quiet=once)
            _await_answer(ports, "www", set(WEB_ADDRESSES.values()), START_LIMIT)
            if once:
                return _prove(ports, webs)
            _start_panel(stack, ports, webs)
            values = {**vars_of(ports), "host": HOST, "zone": ZONE, "token": token}
            _say(WHAT_TO_TRY.format(**values, config=config, program=sys.argv[0]))
            _wait_for_an_end({"dnslb-backend": daemon, "pdns_server": powerdns})
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        _say("\ndemo: ended")
    return 0


class WebServer:
    """A target: answers 200 to everything while it runs, and is not there while it does not."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self._port = port
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def is_running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        if self._server is not None:
            return
        try:
            server = http.server.ThreadingHTTPServer((self.address, self._port), _Healthy)
        except OSError as error:
            raise DemoError(f"cannot listen on {self.address}:{self._port}: {error}") from error
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
        """The demo's own output is all that should be seen."""

    def reply(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Healthy(_Handler):
    def do_GET(self) -> None:
        self.reply(200, "healthy")


def _start_panel(stack: ExitStack, ports: Ports, webs: dict[str, WebServer]) -> None:
    """Serve the switch board with which people stop and start the web servers."""

    class Panel(_Handler):
        def do_GET(self) -> None:
            rows = (
                f"{name} {web.address} {'runs' if web.is_running else 'is stopped'}"
                for name, web in webs.items()
            )
            self.reply(200, "\n".join(rows))

        def do_POST(self) -> None:
            name, _, order = self.path.strip("/").partition("/")
            web = webs.get(name)
            if web is None or order not in ("start", "stop"):
                self.reply(404, "POST /web1/stop or /web1/start; also web2 and web3")
                return
            getattr(web, order)()
            _say(f"demo: {name} ({web.address}): {order}")
            self.do_GET()

    try:
        server = http.server.ThreadingHTTPServer((HOST, ports.panel), Panel)
    except OSError as error:
        raise DemoError(f"cannot listen on {HOST}:{ports.panel}: {error}") from error
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


def _write_token(path: Path) -> str:
    """Let one operator change things, with a token made by chance."""
    token = secrets.token_hex(8)
    path.touch(mode=0o600)
    path.write_text(f"operate {token} demo\n")
    return token


def _start_servers(
    stack: ExitStack, directory: Path, ports: Ports, *, quiet: bool
) -> tuple[Path, subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """The daemon, then pdns_server, which wants it there; both end with `stack`."""
    values = {**vars_of(ports), "host": HOST, "zone": ZONE, "directory": directory}
    config = directory / "dnslb.toml"
    config.write_text(CONFIG.format(**values))
    (directory / "pdns.conf").write_text(POWERDNS.format(**values))
    server = shutil.which("pdns_server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if server is None:
        raise DemoError("there is no pdns_server; `make setup`, or install pdns-server and "
                        "pdns-backend-remote")  # fmt: skip
    serve = [sys.executable, "-m", "dnslb_backend", "serve", "-c", str(config)]
    daemon = stack.enter_context(_process("dnslb-backend", serve, directory, quiet=quiet))
    _await(lambda: _is_ready(ports), "dnslb-backend", daemon, directory)
    command = [server, f"--config-dir={directory}"]
    powerdns = stack.enter_context(_process("pdns_server", command, directory, quiet=True))
    _await(lambda: _ask(ports, "www") is not None, "pdns_server", powerdns, directory)
    return config, daemon, powerdns


@contextmanager
def _process(
    name: str, command: list[str], directory: Path, *, quiet: bool
) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the length of the block; what a quiet one says goes into a file."""
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log if quiet else None,
            stderr=log if quiet else None,
            # Ctrl-C is ours: pdns_server must not lose its backend before it is stopped.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _prove(ports: Ports, webs: dict[str, WebServer]) -> int:
    """Stop one target and see the answers follow; start it and see them return."""
    everyone = set(WEB_ADDRESSES.values())
    first = WEB_ADDRESSES["web1"]
    _tell(ports, "three web servers are healthy")
    webs["web1"].stop()
    _say("stopped web1")
    took = _await_answer(ports, "www", everyone - {first}, FOLLOW_LIMIT)
    _await_answer(ports, "db", {WEB_ADDRESSES["web2"]}, FOLLOW_LIMIT)
    _tell(ports, f"the answer followed after {took:.1f} s")
    webs["web1"].start()
    _say("started web1")
    took = _await_answer(ports, "www", everyone, FOLLOW_LIMIT)
    _await_answer(ports, "db", {first}, FOLLOW_LIMIT)
    _tell(ports, f"it is back after {took:.1f} s")
    _say("demo: answers follow health")
    return 0


def _tell(ports: Ports, what: str) -> None:
    _say(f"{what}:")
    for name in ("www", "db"):
        _say(f"  {name}.{ZONE}: {', '.join(sorted(_ask(ports, name) or ())) or 'no data'}")


def _await_answer(ports: Ports, name: str, wanted: set[str], limit: float) -> float:
    """Wait until DNS answers `wanted`; returns the seconds that took."""
    began = time.monotonic()
    while (found := _ask(ports, name)) != wanted:
        if time.monotonic() - began > limit:
            raise DemoError(f"{name}.{ZONE} should be {sorted(wanted)}, but is {found}")
        _nap()
    return time.monotonic() - began


def _ask(ports: Ports, name: str) -> set[str] | None:
    """The addresses that pdns_server answers for a name; None for no answer or an error."""
    question = dns.message.make_query(f"{name}.{ZONE}.", "A")
    try:
        answer = dns.query.udp(question, HOST, port=ports.dns, timeout=1)
    except (dns.exception.DNSException, OSError):
        return None
    if answer.rcode() != dns.rcode.NOERROR:
        return None
    return {str(item) for rrset in answer.answer for item in rrset}


def _is_ready(ports: Ports) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{ports.admin}/readyz", timeout=1):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _await(
    is_up: Callable[[], bool], name: str, process: subprocess.Popen[bytes], directory: Path
) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not is_up():
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            ended = f"ended with {code}" if code is not None else "does not answer"
            log = (directory / f"{name}.log").read_text(errors="replace").strip()
            raise DemoError(f"{name} {ended}" + (f":\n{log}" if log else ""))
        _nap()


def _wait_for_an_end(processes: dict[str, subprocess.Popen[bytes]]) -> None:
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise DemoError(f"{name} ended with {process.returncode}")
        _nap()


def _free_ports() -> Ports:
    """Ports that nobody uses at this moment, for TCP and UDP."""
    with ExitStack() as stack:
        numbers: list[int] = []
        while len(numbers) < len(Ports.__slots__):
            tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            tcp.bind((HOST, 0))
            udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            numbers.append(tcp.getsockname()[1])
    return Ports(*numbers)


def vars_of(ports: Ports) -> dict[str, int]:
    return {name: getattr(ports, name) for name in Ports.__slots__}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _nap() -> None:
    """A moment between two looks at a server: nothing here runs on an event loop."""
    threading.Event().wait(0.05)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
