"""`dnslb-backend pipe`: what PowerDNS starts for `remote-connection-string=pipe:` or `launch=pipe`.

It hands lines to the daemon's unix socket, and answers back; the daemon speaks both dialects.
PowerDNS starts one for every thread, and again whenever one breaks: so only the standard
library is imported.

    the daemon was restarted since the last request   connect again, and introduce PowerDNS anew
    it cannot be reached, or breaks off               FAIL to the pipe backend; else the end of
                                                      this process: PowerDNS says SERVFAIL
"""

import os
import socket
import sys
from collections.abc import Sequence

DEFAULT_SOCKET = "/run/dnslb/pdns.sock"
DEFAULT_CONFIG = "/etc/dnslb/dnslb.toml"

USAGE = """\
usage: dnslb-backend pipe [--socket PATH] [-c FILE]

Started by PowerDNS: answers on its standard output what comes on its standard input.

  --socket PATH  the daemon's unix socket (default: [server] unix of FILE,
                 else /run/dnslb/pdns.sock)
  -c FILE        the daemon's configuration (default: /etc/dnslb/dnslb.toml)
"""

PATIENCE = 10.0
"""Seconds that the daemon may take; PowerDNS gives up after 2."""

PIECE = 65536

FINE, FAILED, MISUSED = 0, 1, 2

HELLO = b"HELO\t"
FAIL = b"FAIL\n"


class DaemonGoneError(Exception):
    """The daemon cannot be reached, or broke off."""


class UsageError(Exception):
    """The command line makes no sense; the text says why."""


def main(arguments: Sequence[str]) -> int:
    """Run until PowerDNS closes our standard input; returns the exit code."""
    if "-h" in arguments or "--help" in arguments:
        sys.stdout.write(USAGE)
        return FINE
    try:
        path = find_socket(arguments)
    except UsageError as error:
        sys.stderr.write(f"dnslb-backend pipe: {error}\n{USAGE}")
        return MISUSED
    try:
        return pump(Daemon(path), 0, 1)
    except DaemonGoneError as error:
        sys.stderr.write(f"dnslb-backend pipe: {path}: {error}\n")
        return FAILED
    except BrokenPipeError:
        return FINE  # PowerDNS is gone


def find_socket(arguments: Sequence[str]) -> str:
    """The path of the daemon's socket, as the command line says it. Raises UsageError."""
    options = {"--socket": "", "-c": ""}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in options:
            raise UsageError(f"there is no {word}")
        options[name] = value if equals else next(words, "")
        if not options[name]:
            raise UsageError(f"{name} needs a value")
    return options["--socket"] or _configured(options["-c"]) or DEFAULT_SOCKET


def _configured(path: str) -> str:
    """[server] unix of a configuration; the default one need not exist."""
    import tomllib  # noqa: PLC0415 - with --socket it would cost its time for nothing

    try:
        with open(path or DEFAULT_CONFIG, "rb") as file:  # noqa: PTH123 - pathlib costs time too
            found = tomllib.load(file).get("server", {}).get("unix", "")
    except (OSError, tomllib.TOMLDecodeError, AttributeError) as error:
        if path:
            raise UsageError(f"{path}: {error}") from error
        return ""
    return found if isinstance(found, str) else ""


def pump(daemon: "Daemon", requests: int, answers: int) -> int:
    """Hand on what comes from the descriptor `requests`, until its end."""
    partial = b""
    while piece := os.read(requests, PIECE):
        *lines, partial = (partial + piece).split(b"\n")
        for line in lines:
            _write(answers, daemon.ask(line + b"\n"))
    return FINE


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


class Daemon:
    """The daemon behind its socket; `ask` connects when it has to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._sock: socket.socket | None = None
        self._hello = b""
        self._is_tabbed = False

    def ask(self, line: bytes) -> bytes:
        """The answer to one request. Raises DaemonGoneError where FAIL would not be understood."""
        if not self._hello:
            self._hello = line
            self._is_tabbed = line.startswith(HELLO)
        try:
            return self._ask(line)
        except DaemonGoneError:
            if self._is_tabbed:
                return FAIL
            raise

    def _ask(self, line: bytes) -> bytes:
        if self._sock is not None:
            # A connection that broke since the last request is none that failed in this one.
            answer = self._exchange(line)
            if answer is not None:
                return answer
        self._connect()
        if line != self._hello:
            self._exchange(self._hello)
        answer = self._exchange(line)
        if answer is None:
            raise DaemonGoneError("broke off without an answer")
        return answer

    def _connect(self) -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.settimeout(PATIENCE)
        try:
            self._sock.connect(self._path)
        except OSError as error:
            self._close()
            raise DaemonGoneError(error.strerror or str(error)) from error

    def _exchange(self, line: bytes) -> bytes | None:
        """Send `line` and return the answer to it; None if the connection was gone before it."""
        answer = b""
        try:
            if self._sock is not None:
                self._sock.sendall(line)
                while piece := self._sock.recv(PIECE):
                    answer += piece
                    if self._is_whole(answer, line):
                        return answer
        except TimeoutError:
            self._close()
            raise DaemonGoneError(f"no answer within {PATIENCE:g} s") from None
        except OSError:
            pass
        self._close()
        if answer:
            raise DaemonGoneError("broke off within an answer")
        return None

    def _is_whole(self, answer: bytes, line: bytes) -> bool:
        if not answer.endswith(b"\n"):
            return False
        if not self._is_tabbed or line.startswith(HELLO):
            return True
        last = answer[answer.rfind(b"\n", 0, -1) + 1 :]
        return last in (b"END\n", FAIL)

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None
