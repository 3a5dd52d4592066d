"""Logs: one line an event, whatever it holds."""

import json
import logging
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnslb_backend import logs

log = logging.getLogger("dnslb_backend.test")


class Reader:
    """The far end of a log: a pipe, and what has come through it."""

    def __init__(self) -> None:
        self.read_end, self.fd = os.pipe()

    def lines(self) -> list[str]:
        """Everything that was logged; nothing can be logged afterwards."""
        logs.close()
        os.close(self.fd)
        with os.fdopen(self.read_end, "rb") as pipe:
            return pipe.read().decode().splitlines()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.delenv(logs.FORMAT_VARIABLE, raising=False)
    root = logging.getLogger()
    level = root.level
    yield Reader()
    logs.close()
    root.setLevel(level)
    for name in ("asyncio", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_for_people(reader: Reader) -> None:
    logs.configure("info", fd=reader.fd)
    log.info("%s is %s", "10.0.0.1", "DOWN", extra=logs.fields(name="www", reason="timed out"))
    (line,) = reader.lines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info dnslb_backend\.test: "
        r'10\.0\.0\.1 is DOWN name=www reason="timed out"',
        line,
    )


def test_a_line_for_machines(reader: Reader) -> None:
    logs.configure("info", "json", fd=reader.fd)
    log.warning("odd", extra=logs.fields(zone="lb.example", address=None, n=1, message="no"))
    (line,) = reader.lines()
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-.*Z", found.pop("time"))
    assert found == {
        "level": "warning",
        "logger": "dnslb_backend.test",
        "message": "odd",
        "zone": "lb.example",
        "n": 1,
    }


def test_the_environment_chooses_where_the_caller_does_not(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(logs.FORMAT_VARIABLE, "json")
    logs.configure("info", fd=reader.fd)
    log.info("x", extra={"plain": 1})
    assert json.loads(reader.lines()[0])["plain"] == 1


@pytest.mark.parametrize("form", [logs.TextFormatter, logs.JsonFormatter])
def test_hostile_text_stays_on_its_line(
    reader: Reader, form: type[logs.TextFormatter | logs.JsonFormatter]
) -> None:
    evil = "a\n2026-01-01 forged\r\x1b[31m\x00\u2028\x85 \udcff\u202e\u2066\u200f"
    # Not through a logger: what pytest captures of this, its workers cannot send.
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "%s", (evil,), None)
    vars(record).update(logs.fields(qname=evil, k='"quoted" = \\'))
    handler = logs.LineHandler(reader.fd)
    handler.setFormatter(form(under_systemd=False))
    handler.emit(record)
    handler.close()
    lines = reader.lines()
    assert len(lines) == 1
    assert not set("\x1b\u202e\u2066\u200f") & set(lines[0])
    assert "\\n" in lines[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_stays_on_its_line(reader: Reader, form: logs.Format) -> None:
    logs.configure("info", form, fd=reader.fd)
    try:
        raise RuntimeError("inner\nsecond line")
    except RuntimeError:
        log.exception("failed")
    (line,) = reader.lines()
    assert "RuntimeError: inner | second line" in line
    assert "test_logs.py" in line


def test_a_level_hides_what_is_below_it(reader: Reader) -> None:
    logs.configure("warning", fd=reader.fd)
    log.info("quiet")
    log.warning("loud")
    logs.configure("debug", fd=reader.fd)
    log.debug("now")
    assert [line.rpartition(": ")[2] for line in reader.lines()] == ["loud", "now"]


def test_under_systemd_a_line_begins_with_its_priority(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.fstat(reader.fd)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    logs.configure("debug", "text", fd=reader.fd)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "x")
    assert [line[:3] for line in reader.lines()] == ["<7>", "<6>", "<4>", "<3>", "<2>"]


def test_the_journal_of_another_stream_is_not_ours(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    logs.configure("info", "text", fd=reader.fd)
    log.info("x")
    assert not reader.lines()[0].startswith("<")


def test_a_reader_that_is_stuck_stops_nobody(reader: Reader) -> None:
    """The pipe is full and nobody reads: lines are dropped and counted, the caller goes on."""
    logs.configure("info", fd=reader.fd)
    sent = logs.WAITING_LINES * 2
    for number in range(sent):
        log.info("line %d %s", number, "x" * 50)
    found: list[str] = []
    rest = threading.Thread(target=lambda: found.extend(drain(reader.read_end)))
    rest.start()
    (writer,) = [thread for thread in threading.enumerate() if thread.name == "logs"]
    logs.close()
    writer.join()
    os.close(reader.fd)
    rest.join()
    counted = [int(line.split()[0]) for line in found if "lines were dropped" in line]
    assert sum(counted) > 0
    assert len(found) - len(counted) + sum(counted) == sent


def drain(fd: int) -> list[str]:
    with os.fdopen(fd, "rb") as pipe:
        return pipe.read().decode().splitlines()


def test_a_reader_that_has_gone_stops_nobody(reader: Reader) -> None:
    os.close(reader.read_end)
    logs.configure("info", fd=reader.fd)
    for _ in range(3):
        log.info("nobody hears this")
    logs.close()
    os.close(reader.fd)


def test_a_log_call_that_is_wrong_breaks_nothing(reader: Reader) -> None:
    handler = logs.LineHandler(reader.fd)
    handler.setFormatter(logs.TextFormatter(under_systemd=False))
    for args in (("no number",), ("too", "many")):
        handler.emit(logging.LogRecord("x", logging.INFO, __file__, 7, "%d", args, None))
    handler.close()
    lines = reader.lines()
    assert len(lines) == 2
    assert all("x: invalid log call in line 7" in line for line in lines)


def test_nothing_is_left_unwritten_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        logs.configure("info", fd=file.fileno())
        for number in range(1000):
            log.info("%d", number)
        logs.close()
    assert len(path.read_text().splitlines()) == 1000
