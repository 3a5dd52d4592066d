"""A real MariaDB server with its own data directory."""

import asyncio
import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomysql
import pymysql
from pymysql.constants import ER

from tests.rigs.ports import free_port
from tests.rigs.server import PATH, Server, executable

# Small files and buffers: a server starts in a fifth of a second.
SMALL = ["--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M"]

UNSAFE = ["--debug-no-sync", "--innodb-flush-method=nosync"]
"""Data survives a crash of the server, but not a power cut: no test has to wait for the disk."""


class MariaDB(Server):
    """mariadbd behind a unix socket; with `tcp` also on a free port of `host`.

    Its root needs no password, and it has no database at first. The data outlive kill() and
    restart(), and end with the rig.
    """

    name = "mariadb"

    def __init__(
        self,
        *,
        tcp: bool = False,
        host: str = "127.0.0.1",
        options: Sequence[str] = (),
        inside: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(inside=inside, environment=environment)
        self.host = host
        self.port = free_port() if tcp else None
        self.options = list(options)

    @property
    def socket(self) -> Path:
        return self.directory / "socket"

    def command(self) -> list[str]:
        network = [f"--bind-address={self.host}", f"--port={self.port}"]
        return [
            executable("mariadbd"),
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            f"--socket={self.socket}",
            f"--pid-file={self.directory / 'pid'}",
            f"--tmpdir={self.directory}",
            *(network if self.port else ["--skip-networking"]),
            *SMALL,
            *UNSAFE,
            "--performance-schema=OFF",
            "--skip-name-resolve",
            *_as_whom(),
            *self.options,
        ]

    async def launch(self) -> None:
        data = self.directory / "data"
        if not data.exists():
            await asyncio.to_thread(shutil.copytree, self.template(), data)
        await super().launch()

    def template(self) -> Path:
        """The data directory that it begins with, as a copy."""
        return template()

    async def answers(self) -> bool:
        try:
            await self.query("select 1")
        except aiomysql.OperationalError:
            return False
        return True

    @asynccontextmanager
    async def connection(self, database: str | None = None) -> AsyncIterator[aiomysql.Connection]:
        """As root, and every statement is a transaction of its own."""
        async with aiomysql.connect(
            unix_socket=str(self.socket), user="root", db=database, autocommit=True
        ) as connection:
            yield connection

    async def query(
        self, sql: str, args: Sequence[object] = (), *, database: str | None = None
    ) -> list[dict[str, Any]]:
        """The rows of one statement, run as root over a new connection."""
        async with (
            self.connection(database) as connection,
            connection.cursor(aiomysql.DictCursor) as cursor,
        ):
            await cursor.execute(sql, args or None)
            return list(await cursor.fetchall())

    async def kill_connections(self, condition: str, *args: object) -> None:
        """End those of which the columns of information_schema.PROCESSLIST say so."""
        found = f"SELECT id FROM information_schema.PROCESSLIST WHERE {condition}"
        for row in await self.query(found, args):
            try:
                await self.query(f"KILL {row['id']}")
            except pymysql.err.OperationalError as error:
                # It may have ended by itself meanwhile.
                if error.args[0] != ER.NO_SUCH_THREAD:
                    raise


def _as_whom() -> list[str]:
    """It refuses to run as root without --user."""
    return ["--user=root"] if os.geteuid() == 0 else []


@functools.cache
def template() -> Path:
    """A data directory as the installer makes it, to be copied: made once a test process."""
    directory = Path(tempfile.mkdtemp(prefix="mariadb-template-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    made = subprocess.run(
        [
            executable("mariadb-install-db"),
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--force",  # else it needs the name of this machine in DNS
            "--skip-name-resolve",
            f"--datadir={directory / 'data'}",
            *SMALL,
            *UNSAFE,
            *_as_whom(),
        ],
        env={**os.environ, "PATH": PATH, "TMPDIR": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"mariadb-install-db:\n{made.stdout}\n{made.stderr}")
    return directory / "data"
