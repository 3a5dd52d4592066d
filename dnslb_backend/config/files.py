"""Reading configuration files: the main one, and the drop-ins that it or -r names."""

import codecs
import errno
import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnslb_backend.config.toml import TomlError, read_tables
from dnslb_backend.errors import ConfigError, ConfigProblem
from dnslb_backend.files import read_file

LARGEST = 64 << 20
"""Bytes of one file, unless the environment says otherwise."""

LIMIT_VARIABLE = "DNSLB_CONFIG_LIMIT"


@dataclass(frozen=True, slots=True)
class ConfigPaths:
    """Where the configuration is read from; the switches -c, -C, -r and -m.

    `base` is the directory that load_records patterns and masks start from, None for that of
    the main file. `records` are extra record files, relative to the current directory; `exclude`
    are files that load_records must pass over.
    """

    main: Path
    base: Path | None = None
    records: tuple[Path, ...] = ()
    exclude: tuple[Path, ...] = ()

    @property
    def directory(self) -> Path:
        return self.base if self.base is not None else self.main.parent


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of one file. Raises ConfigError naming the file and, for bad TOML, the line."""
    limit = _limit()
    try:
        # Some editors begin a file with a byte order mark, which TOML does not know.
        return read_tables(read_file(path, limit).removeprefix(codecs.BOM_UTF8))
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        if error.errno == errno.EFBIG:
            message += f"; {LIMIT_VARIABLE} in the environment raises that limit"
        raise ConfigError([ConfigProblem(str(path), "", message)]) from error
    except TomlError as error:
        raise ConfigError([ConfigProblem(str(path), "", str(error))]) from error


def _limit() -> int:
    """Bytes that one file may have."""
    written = os.environ.get(LIMIT_VARIABLE, "")
    return int(written) if re.fullmatch("[0-9]{1,15}", written) else LARGEST


def record_files(sources: ConfigPaths, patterns: list[str]) -> list[Path]:
    """The drop-in files, in order: those the patterns match, sorted, then those of -r.

    A pattern may be absolute and may match nothing; a file of -r or -m must exist.
    """
    masked = {_real(_existing(sources.directory / mask, "-m")) for mask in sources.exclude}
    found: list[Path] = []
    for pattern in patterns:
        # Path.glob refuses absolute patterns, which the original allowed.
        matches = sorted(glob.glob(pattern, root_dir=sources.directory))  # noqa: PTH207
        found += [sources.directory / match for match in matches]
    named = [_existing(path, "-r") for path in sources.records]
    return [path for path in found if _real(path) not in masked] + named


def unmatched(sources: ConfigPaths, patterns: list[str]) -> list[str]:
    """The patterns that match no file, as absolute globs."""
    directory = sources.directory.absolute()
    return [
        str(directory / pattern)
        for pattern in patterns
        if not glob.glob(pattern, root_dir=directory)  # noqa: PTH207 -- as in record_files
    ]


def _real(path: Path) -> str:
    """The path behind symbolic links; of links that lead in a circle it is one of them."""
    return os.path.realpath(path)


def _existing(path: Path, switch: str) -> Path:
    if not path.exists():
        raise ConfigError([ConfigProblem(str(path), "", f"no such file (named by {switch})")])
    return path
