"""Files named by a configuration are read within bounds, whatever they turn out to be."""

import os
from pathlib import Path

import pytest

from dnslb_backend.files import read_file


def test_a_regular_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    assert read_file(path, 100_000) == b"x" * 100_000


def test_a_larger_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_file(path, 100)


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        read_file(path)


@pytest.mark.parametrize("path", ["/dev/zero", "/tmp", "/dev/null"])
def test_devices_and_directories_are_refused(path: str) -> None:
    with pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        read_file(Path(path))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent")
