"""A wall clock that a test sets while a program reads it; its monotonic clock goes on undisturbed.

With `monotonic` that one steps as well, as if the program had been left alone for so long.

libfaketime stands between the program and the C library. Debian's package of that name has it.
"""

from pathlib import Path

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


class WallClock:
    """The clock of the programs that are given its `environment`."""

    def __init__(self, folder: Path, *, monotonic: bool = False) -> None:
        self._file = folder / "clock"
        self._keeps_monotonic = "0" if monotonic else "1"
        self.step(0)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": _library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            # Read the file at every look at the clock.
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": self._keeps_monotonic,
            "DONT_FAKE_MONOTONIC": self._keeps_monotonic,
        }

    def step(self, seconds: float) -> None:
        """From now on it is so much ahead of the true time, or behind."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{seconds:+f}\n")
        draft.replace(self._file)


def _library() -> str:
    for pattern in LIBRARIES:
        for path in Path("/").glob(pattern.removeprefix("/")):
            return str(path)
    raise FileNotFoundError("libfaketime is not installed: make setup-tests")
