"""Bare environments, and programs in them as an ordinary user runs them."""

import functools
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NOBODY = "nobody"


@contextmanager
def public_folder(*, for_nobody: bool = False) -> Iterator[Path]:
    """A folder that an ordinary user can reach, and with `for_nobody` write to.

    It is none of pytest's: those are for their owner alone, and made so again by every other run.
    """
    with tempfile.TemporaryDirectory(prefix="dnslb-public-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if for_nobody and os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(NOBODY).pw_uid, -1)
        yield folder


def make_environment(directory: Path) -> Path:
    """A virtual environment with nothing in it; the folder of its programs."""
    command = [_python(), "-m", "venv", "--without-pip", str(directory)]
    subprocess.run(command, check=True, capture_output=True)
    return directory / "bin"


def install(programs: Path, *wanted: str) -> None:
    """What `pip install` does there; it is the pip of our own environment."""
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python")]
    done = subprocess.run(
        [*pip, "install", "--quiet", *wanted],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def run_unprivileged(
    command: list[str], directory: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command in `directory`, as nobody where we are root.

    Of the environment it has a PATH and a HOME, so that nothing leads it back to the checkout.
    """
    home = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"}
    return subprocess.run(
        command,
        cwd=directory,
        env=home | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
        **_as_nobody(),
    )


@functools.cache
def _python() -> str:
    """An interpreter that an ordinary user may run: our own may lie in somebody's home."""
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        probe = [candidate, "-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            done = subprocess.run(probe, check=False, capture_output=True, **_as_nobody())
        except OSError:
            continue
        if done.returncode == 0:
            return str(candidate)
    pytest.skip("no Python 3.11 here that an ordinary user may run")


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(NOBODY)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
