"""`dnslb-backend pipe`: what PowerDNS starts for `remote-connection-string=pipe:` or `launch=pipe`.

It forwards requests to the daemon's unix socket, and answers back; the daemon handles both
dialects. PowerDNS starts one per thread, and another whenever it has killed one: so only the
standard library is imported.

PowerDNS replaces a coprocess that fails during a lookup. If one exits, or is late, while it is
being started, the remote backend reads every later answer one lookup too late, or none at all; the
pipe backend makes PowerDNS exit. So this runs as long as PowerDNS does, needs no daemon for the
handshake, and answers in time or never:

    HELO, initialize                     answered here, unless PowerDNS has timed out by now
    the connection broke since the last  reconnect, repeat the handshake, repeat the request
    request
    the daemon cannot be reached         FAIL to the pipe backend; else retry until PowerDNS's
                                         own timeout, when it answers SERVFAIL
    the daemon disconnects, as it does   FAIL to the pipe backend; else an answer without a
    when it has no answer                result: PowerDNS answers SERVFAIL at once
    PowerDNS sends the next request      it has given up on the last one: no answer to that
"""

import contextlib
import os
import select
import socket
import sys
import time
from collections.abc import Sequence

DEFAULT_SOCKET = "/run/dnslb/pdns.sock"
DEFAULT_CONFIG = "/etc/dnslb/dnslb.toml"

USAGE = """\
usage: dnslb-backend pipe [--socket PATH] [-c FILE]

Started by PowerDNS: reads requests on standard input, writes answers to standard output.

  --socket PATH  the daemon's unix socket (default: [server] unix of FILE,
                 else /run/dnslb/pdns.sock)
  -c FILE        the daemon's configuration (default: $DNSLB_CONFIG, else
                 /etc/dnslb/dnslb.toml)
"""

RETRY = 0.1
"""Seconds between two attempts to reach the daemon."""

LAST_WAIT = 10.0
"""Seconds that the daemon has for an answer after the end of standard input."""

POWERDNS_TIMEOUT = 2000
"""Milliseconds that PowerDNS waits for an answer without `timeout=`."""

IN_TIME = 0.9
"""The part of that after which an answer could come too late."""

READ_SIZE = 65536

FINE, MISUSED = 0, 2

HELLO = b"HELO\t"
KNOWN_HELLOS = tuple(HELLO + version + b"\n" for version in (b"1", b"2", b"3", b"4", b"5"))
BANNER = b"OK\tdnslb-backend\n"
FAIL = b"FAIL\n"
INITIALIZE = b'{"method":"initialize"'
INITIALIZED = b'{"result":true}\n'
NO_RESULT = b'{"result":null}\n'


class DaemonGoneError(Exception):
    """The daemon cannot be reached, or disconnected."""


class GivenUpError(Exception):
    """PowerDNS no longer waits for the answer to this request."""


class UsageError(Exception):
    """The command line is invalid; the text says why."""


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
    with contextlib.suppress(BrokenPipeError):  # PowerDNS is gone
        pump(Requests(0), path, 1)
    return FINE


def find_socket(arguments: Sequence[str]) -> str:
    """The path of the daemon's socket, from the command line. Raises UsageError."""
    options = {"--socket": "", "-c": ""}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in options:
            raise UsageError(f"unknown option {word}")
        options[name] = value if equals else next(words, "")
        if not options[name]:
            raise UsageError(f"{name} needs a value")
    config = options["-c"] or os.environ.get("DNSLB_CONFIG", "")
    return options["--socket"] or _configured(config) or DEFAULT_SOCKET


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


def pump(requests: "Requests", path: str, answers: int) -> None:
    """Write the daemon's answers to the descriptor `answers`, until the end of `requests`."""
    daemon = DaemonConnection(path, requests)
    while line := requests.next():
        _write(answers, daemon.ask(line))


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


class Requests:
    """PowerDNS's requests on one descriptor, one per line; it waits for each answer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = b""
        self.first = b""
        """The first line: PowerDNS's handshake."""
        self.has_ended = False

    def next(self) -> bytes:
        """The last request, which PowerDNS waits for now; b"" at the end of input."""
        while b"\n" not in self._unread and not self.has_ended:
            self._read()
        end = self._unread.rfind(b"\n") + 1
        lines, self._unread = self._unread[:end], self._unread[end:]
        self.first = self.first or lines[: lines.find(b"\n") + 1]
        return lines[lines.rfind(b"\n", 0, -1) + 1 :]

    def wait(self, seconds: float, answer: socket.socket | None = None) -> bool:
        """Whether `answer` can be read within `seconds`, or less. Raises GivenUpError."""
        poll = select.poll()
        if not self.has_ended:
            poll.register(self._descriptor, select.POLLIN)
        if answer is not None:
            poll.register(answer, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(seconds * 1000)]
        if self._descriptor in ready:
            self._read()
        if b"\n" in self._unread:
            raise GivenUpError
        return answer is not None and answer.fileno() in ready

    def _read(self) -> None:
        piece = os.read(self._descriptor, READ_SIZE)
        self._unread += piece
        self.has_ended = not piece


class DaemonConnection:
    """The daemon's socket; `ask` connects if necessary."""

    def __init__(self, path: str, requests: Requests) -> None:
        self._path = path
        self._requests = requests
        self._sock: socket.socket | None = None
        self._has_printed = False

    @property
    def _is_tabbed(self) -> bool:
        return self._requests.first.startswith(HELLO)

    def ask(self, line: bytes) -> bytes:
        """The answer to one request; b"" if PowerDNS must not get one."""
        if line in KNOWN_HELLOS:
            return BANNER
        if line.replace(b" ", b"").startswith(INITIALIZE):
            return INITIALIZED if is_in_time(line, age()) else b""
        try:
            return self._ask(line)
        except GivenUpError:
            self._close()  # its answer may still come there
            return b""
        except DaemonGoneError:
            self._close()
            return FAIL if self._is_tabbed else NO_RESULT

    def _ask(self, line: bytes) -> bytes:
        if self._sock is not None:
            # A connection that broke since the last request does not fail this one.
            answer = self._exchange(self._sock, line)
            if answer is not None:
                return answer
            self._close()
        self._sock = sock = self._connect()
        if line != self._requests.first:
            self._exchange(sock, self._requests.first)
        answer = self._exchange(sock, line)
        if answer is None:
            raise DaemonGoneError
        return answer

    def _connect(self) -> socket.socket:
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(LAST_WAIT)
            try:
                sock.connect(self._path)
            except OSError as error:
                sock.close()
                self._print_error(error)
            else:
                self._has_printed = False
                return sock
            if self._is_tabbed or self._requests.has_ended:
                raise DaemonGoneError
            self._requests.wait(RETRY)

    def _exchange(self, sock: socket.socket, line: bytes) -> bytes | None:
        """Send `line` and return its answer; None if the connection broke before it."""
        answer = bytearray()
        try:
            sock.sendall(line)
            while not self._is_whole(answer, line):
                is_last = self._requests.has_ended
                if self._requests.wait(LAST_WAIT, sock):
                    piece = sock.recv(READ_SIZE)
                    if not piece:
                        break
                    answer += piece
                elif is_last:
                    raise DaemonGoneError
            else:
                return bytes(answer)
        except OSError:
            pass
        if answer:
            raise DaemonGoneError
        return None

    def _is_whole(self, answer: bytearray, line: bytes) -> bool:
        if not answer.endswith(b"\n"):
            return False
        if not self._is_tabbed or line.startswith(HELLO):
            return True
        last = answer[answer.rfind(b"\n", 0, -1) + 1 :]
        return last in (b"END\n", FAIL)

    def _print_error(self, error: OSError) -> None:
        """On standard error, which is PowerDNS's log; once until the daemon is reached."""
        if not self._has_printed:
            self._has_printed = True
            sys.stderr.write(f"dnslb-backend pipe: {self._path}: {error.strerror}\n")

    def _close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def is_in_time(initialize: bytes, age: float) -> bool:
    """Whether PowerDNS still waits for the answer to `initialize` after `age` milliseconds.

    It is sent as soon as this process exists. No answer is always safe: it costs a SERVFAIL, and
    PowerDNS continues with its next lookup.
    """
    option = initialize.replace(b" ", b"").partition(b'"timeout":"')[2].partition(b'"')[0]
    timeout = int(option) if option.isdigit() else POWERDNS_TIMEOUT
    return timeout == 0 or age < timeout * IN_TIME


def age() -> float:
    """Age of this process in milliseconds (starttime of proc_pid_stat(5)); 0: unknown."""
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123 - pathlib is slow
            ticks = int(file.read().rpartition(b")")[2].split()[19])
    except OSError:  # chroot= of PowerDNS
        return 0.0
    born = ticks / os.sysconf("SC_CLK_TCK")
    return (time.clock_gettime(time.CLOCK_BOOTTIME) - born) * 1000
