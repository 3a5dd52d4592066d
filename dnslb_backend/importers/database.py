"""The MariaDB server that an import reads from, as a URL names it."""

import asyncio
import os
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dnslb_backend.errors import DnslbError, SourceError
from dnslb_backend.files import read_file
from dnslb_backend.importers.powergslb_tables import TABLES
from dnslb_backend.importers.sources import LARGEST
from dnslb_backend.importers.sql_dump import MOST_ROWS, Tables
from dnslb_backend.mariadb_protocol import Limits, Login, MariadbSession

PASSWORD_VARIABLE = "DNSLB_IMPORT_PASSWORD"

CONNECT_TIMEOUT = 5.0
"""Seconds, with the login."""

LIMITS = Limits(bytes=LARGEST, packets=MOST_ROWS)


def login_of(url: str, password_file: Path | None) -> Login:
    """The login for mysql://USER@HOST[:PORT]/DATABASE; `?unix_socket=PATH` in place of a host.

    The password is the first line of the file, else in the environment. Raises SourceError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError as error:
        raise SourceError(f"the URL of the database is none: {error}") from error
    options = dict(parse_qsl(parts.query))
    if parts.password is not None:
        raise SourceError(
            "the URL has a password, which others can read: use --password-file FILE, or "
            f"{PASSWORD_VARIABLE} in the environment"
        )
    if set(options) - {"unix_socket"}:
        unknown = ", ".join(sorted(set(options) - {"unix_socket"}))
        raise SourceError(f"the URL of the database has {unknown}; allowed: unix_socket")
    return _login(parts, port, options.get("unix_socket"), _password(password_file))


def _login(parts: SplitResult, port: int, unix_socket: str | None, password: str) -> Login:
    database = unquote(parts.path.strip("/"))
    if not database or "/" in database:
        raise SourceError("the URL of the database is mysql://USER@HOST[:PORT]/DATABASE")
    return Login(
        host=parts.hostname or "localhost",
        port=port,
        unix_socket=unix_socket,
        user=unquote(parts.username or "powergslb"),
        password=password,
        database=database,
    )


def _password(path: Path | None) -> str:
    if path is None:
        return os.environ.get(PASSWORD_VARIABLE, "")
    try:
        return read_file(path).decode().partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: is no UTF-8") from error


async def read_database(login: Login) -> Tables:
    """The tables of PowerGSLB that are there. Raises SourceError."""
    session = MariadbSession(login, LIMITS)
    where = login.unix_socket or f"{login.host}:{login.port}"
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            await session.open()
        rows = await session.named_rows("SHOW TABLES")
        present = {str(value) for row in rows for value in row.values()}
        return {
            table: await session.named_rows(f"SELECT * FROM `{table}`")
            for table in sorted(present & TABLES)
        }
    except TimeoutError as error:
        raise SourceError(f"the database at {where} does not answer") from error
    except (OSError, DnslbError) as error:
        text = str(error) or type(error).__name__
        raise SourceError(f"the database at {where} cannot be read: {text}") from error
    finally:
        await session.close()
