"""Where the daemon is, and which token it wants, as a command finds out.

    --admin URL given       it, and nothing is read from the configuration
    else                    [admin] listen of the configuration file
    that file is absent     http://127.0.0.1:8054, unless -c named it
    --token-file given      it, else [admin] token_file where we may read it

Of the configuration only these two keys are read: a command that asks a running daemon for
its state must work while the file is being edited.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dnslb_backend.cli.config_file import DEFAULT_FILE
from dnslb_backend.errors import AdminClientError, ConfigError, ConfigProblem
from dnslb_backend.files import read_file

DEFAULT_LISTEN = "127.0.0.1:8054"


@dataclass(frozen=True, slots=True)
class DaemonAddress:
    """The base URL of a daemon, the token for it, and why there is no token."""

    url: str
    token: str | None = None
    why_no_token: str = ""


def find_daemon(config: Path | None, url: str | None, token_file: Path | None) -> DaemonAddress:
    """Apply the table above. Raises ConfigError, AdminClientError where the API is off."""
    if url is not None:
        if token_file is None:
            return DaemonAddress(url, why_no_token="no --token-file was given")
        return DaemonAddress(url, _read_token(token_file))
    path = config or DEFAULT_FILE
    admin = _admin_table(path, must_exist=config is not None)
    listen = admin.get("listen", DEFAULT_LISTEN)
    if not isinstance(listen, str):
        raise ConfigError([ConfigProblem(str(path), "admin.listen", "must be a string")])
    if not listen:
        raise AdminClientError(f"{path}: admin.listen is empty: this daemon has no API")
    base = f"http://{_reachable(listen)}"
    if token_file is not None:
        return DaemonAddress(base, _read_token(token_file))
    named = admin.get("token_file")
    if not isinstance(named, str):
        return DaemonAddress(base, why_no_token=f"{path} has no admin.token_file")
    try:
        return DaemonAddress(base, _read_token(Path(named)))
    except ConfigError as error:
        return DaemonAddress(base, why_no_token=str(error))


def _admin_table(path: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        text = read_file(path).decode("utf-8-sig")
        table = tomllib.loads(text).get("admin", {})
    except FileNotFoundError as error:
        if must_exist:
            raise ConfigError([ConfigProblem(str(path), "", "no such file")]) from error
        return {}
    except OSError as error:
        message = f"cannot be read: {error.strerror}; use --admin URL instead"
        raise ConfigError([ConfigProblem(str(path), "", message)]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([ConfigProblem(str(path), "", f"is not valid TOML: {error}")]) from error
    if not isinstance(table, dict):
        raise ConfigError([ConfigProblem(str(path), "admin", "must be a table")])
    return table


def _reachable(listen: str) -> str:
    """Where to connect to for an address to listen on: every address includes loopback."""
    host, _, port = listen.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"


def _read_token(path: Path) -> str:
    """The token with the most rights: `operate` before `read`."""
    try:
        lines = [line.split() for line in read_file(path).decode("utf-8-sig").splitlines()]
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise ConfigError([ConfigProblem(str(path), "", message)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([ConfigProblem(str(path), "", "is not text")]) from error
    found: dict[str, str] = {}
    for words in lines:
        if not words or words[0].startswith("#"):
            continue
        role, token = ("operate", words[0]) if len(words) == 1 else (words[0], words[1])
        found.setdefault(role, token)
    token = found.get("operate", found.get("read", ""))
    if not token or not token.isascii():
        raise ConfigError(
            [ConfigProblem(str(path), "", "has no token; a line is TOKEN or ROLE TOKEN [NAME]")]
        )
    return token
