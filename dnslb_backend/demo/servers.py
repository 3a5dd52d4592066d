"""The servers of the demo: a name server is the daemon, and PowerDNS in front of it."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode

from dnslb_backend.demo import DemoError
from dnslb_backend.demo.settings import CONFIG, PACE, POWERDNS, ZONE, Ports
from dnslb_backend.demo.targets import say

START_LIMIT = 60.0
"""Seconds that a server of the demo may take to answer for the first time."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """A node on an address of its own; what it writes is in `directory`.

    `tables` are added to its configuration, `pace` says how it checks. With `token` an operator
    may change things.
    """

    name: str
    host: str
    ports: Ports
    directory: Path
    tables: str = ""
    pace: str = PACE
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.directory / "dnslb.toml"

    def write(self) -> None:
        """Write its configuration files."""
        values = {
            **self.ports.by_name(),
            "node": self.name,
            "host": self.host,
            "zone": ZONE,
            "directory": self.directory,
            "pace": self.pace.format(node=self.name, web=self.ports.web),
        }
        self.directory.mkdir(exist_ok=True)
        self.config.write_text(CONFIG.format(**values) + self.tables)
        (self.directory / "pdns.conf").write_text(POWERDNS.format(**values))
        tokens = self.directory / "admin.tokens"
        tokens.touch(mode=0o600)
        tokens.write_text(f"operate {self.token} demo\n")

    def start(self, stack: ExitStack, *, quiet: bool) -> None:
        """The daemon, then pdns_server, which wants it there; both end with `stack`."""
        self.write()
        advice = "`make setup`, or install pdns-server and pdns-backend-remote"
        powerdns = [executable("pdns_server", advice), f"--config-dir={self.directory}"]
        daemon = [sys.executable, "-m", "dnslb_backend", "serve", "-c", str(self.config)]
        self._start(stack, "dnslb-backend", daemon, self._is_ready, quiet=quiet)
        self._start(stack, "pdns_server", powerdns, lambda: self.ask("www") is not None)

    def ask(self, name: str) -> set[str] | None:
        """The addresses that pdns_server answers for a name; None for no answer or an error."""
        question = dns.message.make_query(f"{name}.{ZONE}.", "A")
        try:
            answer = dns.query.udp(question, self.host, port=self.ports.dns, timeout=1)
        except (dns.exception.DNSException, OSError):
            return None
        if answer.rcode() != dns.rcode.NOERROR:
            return None
        return {str(item) for rrset in answer.answer for item in rrset}

    def await_answer(self, name: str, wanted: set[str], limit: float) -> float:
        """Wait until DNS answers `wanted`; returns the seconds that took."""
        began = time.monotonic()
        while (found := self.ask(name)) != wanted:
            if time.monotonic() - began > limit:
                raise DemoError(f"{name}.{ZONE} should be {sorted(wanted)}, but is {found}")
            nap()
        return time.monotonic() - began

    def show_answers(self) -> None:
        for name in ("www", "db"):
            say(f"  {name}.{ZONE}: {', '.join(sorted(self.ask(name) or ())) or 'no data'}")

    def get(self, path: str) -> str | None:
        """What the daemon says to operators; None if it is not ready to."""
        try:
            url = f"http://{self.host}:{self.ports.admin}{path}"
            with urllib.request.urlopen(url, timeout=1) as response:
                return str(response.read(), "utf-8")
        except (urllib.error.URLError, OSError):
            return None

    def logged(self, text: str) -> bool:
        """Whether a quiet daemon has written this."""
        return text in (self.directory / "dnslb-backend.log").read_text(errors="replace")

    def _is_ready(self) -> bool:
        return self.get("/readyz") is not None

    def _start(
        self,
        stack: ExitStack,
        name: str,
        command: list[str],
        is_up: Callable[[], bool],
        *,
        quiet: bool = True,
    ) -> None:
        log = self.directory / f"{name}.log"
        process = stack.enter_context(running(command, log, quiet=quiet))
        await_up(f"{name} of {self.name}", process, log, is_up)
        self.processes[f"{name} of {self.name}"] = process


@contextmanager
def running(
    command: list[str], log: Path, *, quiet: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """A server for the length of the block; what a quiet one says goes into a file."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file if quiet else None,
            stderr=file if quiet else None,
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


def await_up(
    name: str, process: subprocess.Popen[bytes], log: Path, is_up: Callable[[], bool]
) -> None:
    """Wait until a server answers; DemoError with its log if it ends, or takes too long."""
    deadline = time.monotonic() + START_LIMIT
    while not is_up():
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            ended = f"ended with {code}" if code is not None else "does not answer"
            text = log.read_text(errors="replace").strip()
            raise DemoError(f"{name} {ended}" + (f":\n{text}" if text else ""))
        nap()


def await_an_end(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Until one of them ends, which is a DemoError."""
    while True:
        for name, process in processes.items():
            if process.poll() is not None:
                raise DemoError(f"{name} ended with {process.returncode}")
        nap()


def executable(name: str, advice: str) -> str:
    """The path of a server, which may be one that only administrators have on their PATH."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise DemoError(f"there is no {name}; {advice}")
    return found


def nap() -> None:
    """A moment between two looks at a server: nothing here runs on an event loop."""
    threading.Event().wait(0.05)
