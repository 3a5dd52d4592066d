"""Files and programs that a configuration names, and that are not on this host.

They are warnings: a configuration may be checked on another host than the one it is for.
"""

import shutil
from pathlib import Path

from dnslb_backend.checkers.checks.base import Check
from dnslb_backend.checkers.checks.kinds.exec import ExecCheck
from dnslb_backend.config.problems import Cursor

CHECK_FILES = ("password_file", "token_file", "ca_file", "client_cert", "client_key")

MYSQL_FILES = ("password_file", "read_default_file", "ssl_ca", "ssl_cert", "ssl_key")


def warn_of_missing_file(path: Path | str | None, where: Cursor) -> None:
    """Relative paths start from where the daemon runs, which is not known here."""
    if path and Path(path).is_absolute() and _is_missing(Path(path)):
        where.warn(f"{path} does not exist")


def warn_of_missing_files(check: Check, where: Cursor) -> None:
    """Warn of the files and of the program that a check needs; `where` is the check."""
    for key in CHECK_FILES:
        warn_of_missing_file(getattr(check, key, None), where.at(key))
    if isinstance(check, ExecCheck) and "%" not in check.argv[0]:
        _warn_of_program(check.argv[0], where)


def _warn_of_program(program: str, where: Cursor) -> None:
    if "/" not in program:
        if shutil.which(program) is None:
            where.warn(f"there is no program {program!r} in PATH")
        return
    path = Path(program)
    if not path.is_absolute():
        return
    if _is_missing(path):
        where.warn(f"the program {program} does not exist")
    elif path.is_dir():
        where.warn(f"{program} is a directory, not a program")


def _is_missing(path: Path) -> bool:
    """Whether it is certain that there is no such file: a folder may be closed to this user."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
