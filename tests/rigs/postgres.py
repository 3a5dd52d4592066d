"""A real PostgreSQL server with its own data directory, and replicas of it."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import trustme

from tests.rigs.ports import free_port
from tests.rigs.server import Server

HBA = """
local all,replication all trust
host replication all 127.0.0.1/32 trust
host all plain 127.0.0.1/32 password
host all digest 127.0.0.1/32 md5
hostssl all secure 127.0.0.1/32 scram-sha-256
host all secure 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""

SMALL = ("shared_buffers=4MB", "fsync=off", "wal_level=replica", "max_wal_senders=4")


class Postgres(Server):
    """A cluster on a free port of 127.0.0.1 and behind a unix socket, where everyone is trusted.

    PostgreSQL refuses to run as root: then it runs as nobody.
    """

    name = "postgres"

    def __init__(self, *, primary: Self | None = None, tls: trustme.LeafCert | None = None) -> None:
        super().__init__(inside=_as_whom())
        self.port = free_port()
        self.options: list[str] = []
        self._primary = primary
        _hand_over(self.directory)
        if tls is not None:
            file = self.directory / "server.pem"
            file.touch(0o600)
            file.write_bytes(tls.private_key_and_cert_chain_pem.bytes())
            _hand_over(file)
            self.options = ["ssl=on", f"ssl_cert_file={file}", f"ssl_key_file={file}"]

    def command(self) -> list[str]:
        settings = (
            f"port={self.port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self.directory}",
            *SMALL,
            *self.options,
        )
        data = str(self.directory / "data")
        return [_program("postgres"), "-D", data, *(f"--{each}" for each in settings)]

    async def launch(self) -> None:
        if not (self.directory / "data").exists():
            await asyncio.to_thread(self._make_data)
        await super().launch()

    async def answers(self) -> bool:
        return await self._psql("SELECT 1") == (0, "1")

    async def stop(self) -> int:
        """Fast: sessions that are open are ended."""
        if self.alive:
            self.signal(signal.SIGINT)
        return await self.wait()

    async def query(self, statement: str) -> str:
        """The output of one statement, run by a superuser."""
        code, output = await self._psql(statement)
        assert code == 0, output
        return output

    async def _psql(self, statement: str) -> tuple[int, str]:
        words = ["-h", str(self.directory), "-p", str(self.port), "-U", "postgres", "-XAtq"]
        process = await asyncio.create_subprocess_exec(
            _program("psql"),
            *words,
            "-c",
            statement,
            "postgres",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.directory,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode().strip()

    def _make_data(self) -> None:
        data = self.directory / "data"
        if self._primary is not None:
            place = ["-h", str(self._primary.directory), "-p", str(self._primary.port)]
            self._run("pg_basebackup", *place, "-U", "postgres", "-D", str(data), "-R", "-cfast")
            return
        self._run(
            "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-N", "-EUTF8", "--locale=C"
        )
        (data / "pg_hba.conf").write_text(HBA)

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [*self.inside, _program(program), *words],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}:\n{done.stdout}\n{done.stderr}")


def _program(name: str) -> str:
    """Debian keeps them by version."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed: make setup-tests")
    return path


def _as_whom() -> list[str]:
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    # Another user no longer gets the signal that was asked for before.
    who = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    return ["setpriv", *who, "--pdeathsig", "KILL"]


def _hand_over(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
