"""Running the demo: it starts everything, and watches or proves that answers follow health."""

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode

from dnslb_backend.demo import DemoError
from dnslb_backend.demo.settings import (
    CONFIG,
    FIXED_PORTS,
    HOST,
    POWERDNS,
    WEB_ADDRESSES,
    WHAT_TO_TRY,
    ZONE,
    Ports,
    free_ports,
)
from dnslb_backend.demo.targets import WebServer, say, start_panel

START_LIMIT = 20.0
"""Seconds that a server of the demo may take to answer for the first time."""

FOLLOW_LIMIT = 5.0
"""Seconds after which an answer that has not followed counts as a failure."""


def run_demo(once: bool) -> int:
    """Run the demo until Ctrl-C, or, with `once`, prove a failover; returns the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            ports = free_ports() if once else FIXED_PORTS
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
            start_panel(stack, ports, webs)
            values = {**ports.by_name(), "host": HOST, "zone": ZONE, "token": token}
            programs = shlex.quote(sysconfig.get_path("scripts"))
            say(WHAT_TO_TRY.format(**values, config=shlex.quote(str(config)), programs=programs))
            _wait_for_an_end({"dnslb-backend": daemon, "pdns_server": powerdns})
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    except KeyboardInterrupt:
        say("\ndemo: ended")
    return 0


def _write_token(path: Path) -> str:
    """Let one operator change things, with a random token."""
    token = secrets.token_hex(8)
    path.touch(mode=0o600)
    path.write_text(f"operate {token} demo\n")
    return token


def _start_servers(
    stack: ExitStack, directory: Path, ports: Ports, *, quiet: bool
) -> tuple[Path, subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """The daemon, then pdns_server, which wants it there; both end with `stack`."""
    values = {**ports.by_name(), "host": HOST, "zone": ZONE, "directory": directory}
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
    _show_answers(ports, "three web servers are healthy")
    webs["web1"].stop()
    say("stopped web1")
    took = _await_answer(ports, "www", everyone - {first}, FOLLOW_LIMIT)
    _await_answer(ports, "db", {WEB_ADDRESSES["web2"]}, FOLLOW_LIMIT)
    _show_answers(ports, f"the answer followed after {took:.1f} s")
    webs["web1"].start()
    say("started web1")
    took = _await_answer(ports, "www", everyone, FOLLOW_LIMIT)
    _await_answer(ports, "db", {first}, FOLLOW_LIMIT)
    _show_answers(ports, f"it is back after {took:.1f} s")
    say("demo: answers follow health")
    return 0


def _show_answers(ports: Ports, what: str) -> None:
    say(f"{what}:")
    for name in ("www", "db"):
        say(f"  {name}.{ZONE}: {', '.join(sorted(_ask(ports, name) or ())) or 'no data'}")


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


def _nap() -> None:
    """A moment between two looks at a server: nothing here runs on an event loop."""
    threading.Event().wait(0.05)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
