"""One running command, as the helper of commands sees it. Standard library only."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

OUTPUT_LIMIT = 64 * 1024
STDERR_LIMIT = 4 * 1024
"""Bytes that are kept of what a command prints."""

NOT_RUN = 127


class Stream:
    """One pipe from a command: the start of what it writes there."""

    __slots__ = ("cut", "data", "limit", "pipe")

    def __init__(self, pipe: int, limit: int) -> None:
        self.pipe = pipe
        """-1 once it has ended."""
        self.limit = limit
        self.data = bytearray()
        self.cut = False

    def read(self, size: int) -> bool:
        """Take up to `size` bytes; False at the end of the pipe."""
        try:
            data = os.read(self.pipe, size)
        except BlockingIOError:
            return True
        room = self.limit - len(self.data)
        self.data += data[:room]
        self.cut = self.cut or len(data) > room
        return bool(data)

    def text(self) -> str:
        return self.data.decode("utf-8", "ignore")


class Job:
    """A command that was forked. It has started once `starting` has ended without a word."""

    __slots__ = (
        "argv",
        "due",
        "environment",
        "id",
        "input",
        "killed_at",
        "limit",
        "pid",
        "silent",
        "starting",
        "streams",
    )

    def __init__(self, request: dict[str, Any]) -> None:
        self.id: int = request["id"]
        self.argv: list[str] = request["argv"]
        self.limit: float = request["limit"]
        self.input: str = request.get("input", "")
        """What it reads from standard input."""
        self.environment: dict[str, str] = request.get("environment", {})
        """Variables beside those that every command has."""
        self.pid = -1
        self.streams: tuple[Stream, Stream] = (Stream(-1, OUTPUT_LIMIT), Stream(-1, STDERR_LIMIT))
        self.starting = Stream(-1, STDERR_LIMIT)
        self.silent = False
        """The daemon knows its outcome, or does not want it."""
        self.due: float | None = None
        self.killed_at: float | None = None

    def fork(self, environment: dict[str, str]) -> None:
        """Raises OSError where this machine cannot: processes, memory, descriptors."""
        pipes: list[tuple[int, int]] = []
        streams = (*self.streams, self.starting)
        standard_input = _opened(self.input)
        try:
            for _ in streams:
                pipes.append(os.pipe2(os.O_CLOEXEC))  # noqa: PERF401 - closed below if one fails
            self.pid = os.fork()
            if self.pid == 0:
                self._become(
                    [standard_input, *(write for _, write in pipes)],
                    {**environment, **self.environment},
                )
        except BaseException:
            for read, _ in pipes:
                os.close(read)
            raise
        finally:
            os.close(standard_input)
            for _, write in pipes:
                os.close(write)
        for stream, (read, _) in zip(streams, pipes, strict=True):
            os.set_blocking(read, False)
            stream.pipe = read

    def _become(self, descriptors: list[int], environment: dict[str, str]) -> NoReturn:
        """In the child: run the program, or say on the last descriptor why not."""
        try:
            os.setsid()
            os.dup2(descriptors[0], 0)
            os.dup2(descriptors[1], 1)
            os.dup2(descriptors[2], 2)
            if "/" in self.argv[0]:
                os.execve(self.argv[0], self.argv, environment)
            os.execvpe(_program(self.argv[0], environment), self.argv, environment)
        except BaseException as error:  # noqa: BLE001 - no second helper may live on
            reason = getattr(error, "strerror", None) or str(error)
            with suppress(OSError):
                os.write(descriptors[3], reason.encode(errors="replace")[:STDERR_LIMIT])
        finally:
            os._exit(NOT_RUN)


def _opened(text: str) -> int:
    """A descriptor from which a command reads this text: a pipe may be too small for it."""
    if not text:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.memfd_create("standard input", os.MFD_CLOEXEC)
    try:
        data = memoryview(text.encode("utf-8", "replace"))
        while data:
            data = data[os.write(descriptor, data) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _program(name: str, environment: dict[str, str]) -> str:
    """The first program of this name in PATH, else the name: the system says what is wrong."""
    if "/" not in name:
        for directory in os.get_exec_path(environment):
            path = f"{directory}/{name}"
            if os.access(path, os.X_OK) and not Path(path).is_dir():
                return path
    return name
