"""Logs: one line an event, for people or for machines, on stderr.

    2026-01-31T12:00:00.123Z info dnslb_backend.daemon: www.lb.example/A: 192.0.2.1 is DOWN \
zone=lb.example name=www.lb.example address=192.0.2.1

    {"time":"2026-01-31T12:00:00.123Z","level":"info","logger":"...","message":"...",
     "zone":"lb.example","name":"www.lb.example","address":"192.0.2.1"}      (on one line)

Whatever a message holds, it stays on its line: control characters are escaped, a traceback is
folded. Under systemd every line begins with its priority (sd-daemon(3)), and text lines leave
the time to the journal.

Lines are formatted where the event happens and written by a thread of their own, so that a
stuck reader of stderr stops no lookup. When too many wait, they are dropped and counted.
"""

import atexit
import contextlib
import json
import logging
import os
import queue
import select
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

Format = Literal["text", "json"]

FORMAT_VARIABLE = "DNSLB_LOG_FORMAT"
"""The environment variable that chooses `text` or `json` where the caller did not."""

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

WAITING_LINES = 10_000
"""Lines that may wait for a slow reader; further ones are dropped and counted."""

_FIELDS = "dnslb_fields"
_JSON_FIELDS = "dnslb_json_fields"
_RESERVED = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "level", "time"}
    | {_FIELDS, _JSON_FIELDS}
)
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
_CRITICAL = 2
BIDI_ESCAPES = {
    code: f"\\u{code:04x}"
    for code in (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
"""For `str.translate`: the characters that turn the direction of the text around them, and so what
a line seems to say. What they become is as good in JSON."""

_ESCAPES = (
    BIDI_ESCAPES
    | {
        code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
    }
    | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
)


def fields(**values: object) -> dict[str, object]:
    """The facts of an event, for `extra=`: `log.info("...", extra=fields(zone=z, name=n))`.

    Plain `extra={...}` works as well, but the logging library keeps `name` for itself.
    """
    return {_FIELDS: values}


def json_fields(**values: object) -> dict[str, object]:
    """As `fields`, for an event whose message says all of it: only JSON repeats it."""
    return {_JSON_FIELDS: values}


def configure(level: str, fmt: Format | None = None, *, fd: int = 2) -> None:
    """Send the logs of this process to stderr from now on; a second call replaces the first.

    `level` is one of LEVELS. Without `fmt` the environment decides (FORMAT_VARIABLE), else text.
    """
    chosen = fmt or os.environ.get(FORMAT_VARIABLE) or "text"
    under_systemd = _is_journal(fd)
    formatter = JsonFormatter(under_systemd) if chosen == "json" else TextFormatter(under_systemd)
    root = logging.getLogger()
    handler = next((h for h in root.handlers if isinstance(h, LineHandler) and h.fd == fd), None)
    if handler is None:
        close()
        handler = LineHandler(fd)
        root.addHandler(handler)
    handler.setFormatter(formatter)
    set_level(level)


def set_level(level: str) -> None:
    """Log from `level` on, which is one of LEVELS."""
    logging.getLogger().setLevel(LEVELS[level])
    # What these libraries say at info is no event of ours.
    for noisy in ("asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(LEVELS[level], logging.WARNING))


def close() -> None:
    """Write what still waits and let go of stderr; nothing happens where nothing was set up."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, LineHandler)]:
        root.removeHandler(handler)
        handler.close()


class LineHandler(logging.Handler):
    """Hands finished lines to a thread that writes them; never waits for it.

    The thread writes to the descriptor itself: one that is stuck inside sys.stderr would hold
    its lock, and so abort the interpreter when it ends.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.fd = fd
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self._lost = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._write, name="logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 -- a log call must not break what it reports on
            line = f"{record.name}: invalid log call in line {record.lineno}: {error!r}"
            line = line.translate(_ESCAPES)
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            with self._counting:
                self._lost += 1

    def close(self) -> None:
        """Give the reader of stderr a second to take what waits, then leave the rest."""
        super().close()
        try:
            self._lines.put(None, timeout=1.0)
        except queue.Full:
            return
        self._thread.join(timeout=1.0)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._write_all(line)
            if self._lost:
                self._write_loss()
        self._write_loss()

    def _write_loss(self) -> None:
        with self._counting:
            lost, self._lost = self._lost, 0
        if lost:
            self._write_all(f"{lost} log lines were dropped: stderr was not read in time")

    def _write_all(self, line: str) -> None:
        data = line.encode(errors="backslashreplace") + b"\n"
        # When stderr is gone, there is no other place to report it.
        with contextlib.suppress(OSError):
            while data:
                data = data[self._write_some(data) :]

    def _write_some(self, data: bytes) -> int:
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            select.select([], [self.fd], [])
            return 0


class TextFormatter(logging.Formatter):
    """One line for people: time, level, logger, message, then the fields as key=value."""

    def __init__(self, under_systemd: bool) -> None:
        super().__init__()
        self._under_systemd = under_systemd

    def format(self, record: logging.LogRecord) -> str:
        head = (
            _priority(record)
            if self._under_systemd
            else f"{_time(record)} {record.levelname.lower()} "
        )
        facts = {**_fields(record), **_failure(record)}
        parts = [f"{record.name}: {record.getMessage()}"]
        parts += [f"{key}={_quoted(value)}" for key, value in facts.items()]
        return head + " ".join(parts).translate(_ESCAPES)


class JsonFormatter(logging.Formatter):
    """One JSON object a line; a field named like a fixed key is left out."""

    def __init__(self, under_systemd: bool) -> None:
        super().__init__()
        self._under_systemd = under_systemd

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = {**_fields(record), **getattr(record, _JSON_FIELDS, {}), **_failure(record)}
        for key, value in given.items():
            facts.setdefault(key, value)
        line = json.dumps(facts, default=str, separators=(",", ":"))
        return (_priority(record) if self._under_systemd else "") + line


def _fields(record: logging.LogRecord) -> dict[str, object]:
    own = {key: value for key, value in vars(record).items() if key not in _RESERVED}
    given = getattr(record, _FIELDS, {})
    return {key: value for key, value in {**given, **own}.items() if value is not None}


def _failure(record: logging.LogRecord) -> dict[str, object]:
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    lines = "".join(traceback.format_exception(record.exc_info[1])).splitlines()
    return {"traceback": " | ".join(line.strip() for line in lines if line.strip("^~ "))}


def _quoted(value: object) -> str:
    text = str(value)
    plain = text and not any(c.isspace() or c in "\"'=" for c in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _priority(record: logging.LogRecord) -> str:
    return f"<{_PRIORITIES.get(record.levelno, _CRITICAL)}>"


def _is_journal(fd: int) -> bool:
    """Whether `fd` goes to the journal: JOURNAL_STREAM names its device and inode."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


atexit.register(close)
