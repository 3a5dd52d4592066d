"""A real Galera cluster of MariaDB servers, ready within seconds.

All members begin as copies of one data directory that has been a cluster of its own once, so
InnoDB knows its place in the history. What a member missed comes from the write sets that a donor
has cached (IST); a whole copy (SST) is never made: `wsrep_sst_twin` only passes the position on.
"""

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiomysql

from tests.rigs import mariadb
from tests.rigs.capture import capture
from tests.rigs.mariadb import MariaDB
from tests.rigs.ports import free_port
from tests.rigs.server import PATH, TAIL
from tests.rigs.waiting import until

LIBRARY = Path("/usr/lib/galera/libgalera_smm.so")
SCRIPTS = Path(__file__).parent
"""Where mariadbd finds wsrep_sst_twin."""

OPTIONS = [
    "--binlog-format=ROW",
    "--innodb-autoinc-lock-mode=2",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=32M",
    "--wsrep-on=ON",
    f"--wsrep-provider={LIBRARY}",
    "--wsrep-cluster-name=test",
    "--wsrep-sst-method=twin",
    # With it MariaDB 11 takes no wsrep_provider_options while it runs.
    "--loose-plugin-wsrep-provider=OFF",
]


class Member(MariaDB):
    """A member of a cluster, reached over its socket and at `host`:`port`.

    start() waits until it is a synced member of a primary component; launch() does not, for one
    that finds no majority. After kill() it finds its own position (`--wsrep-recover`).
    """

    name = "galera"
    start_limit = 90.0

    def __init__(
        self,
        template: Path,
        positions: Path,
        *,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        environment = {
            "PATH": os.pathsep.join([str(SCRIPTS), PATH]),
            "TWIN_POSITIONS": str(positions),
        }
        super().__init__(tcp=True, host=host, inside=inside, environment=environment)
        self._template = template
        self.peers: list[Member] = []
        self.address, self._transfers, self._increments = (
            f"{host}:{free_port() if inside else free_port(host)}" for _ in range(3)
        )
        self._role: list[str] = []
        self._at_start: list[str] = []

    def command(self) -> list[str]:
        provider = {
            "base_port": self.address.rpartition(":")[2],
            "gmcast.listen_addr": f"tcp://{self.address}",
            "ist.recv_addr": self._increments,
            "gcache.size": "32M",
            "gcs.fc_limit": "256",
        }
        return [
            *super().command(),
            *OPTIONS,
            f"--wsrep-cluster-address=gcomm://{','.join(peer.address for peer in self.peers)}",
            f"--wsrep-node-address={self.address}",
            f"--wsrep-sst-receive-address={self._transfers}",
            f"--wsrep-provider-options={';'.join(f'{k}={v}' for k, v in provider.items())}",
            *self._at_start,
        ]

    def template(self) -> Path:
        return self._template

    async def launch(self) -> None:
        crashed = self.process is not None and self.exit_code != 0
        position = [await self._position()] if crashed else []
        self._at_start = [*self._role, *position]
        await super().launch()

    async def bootstrap(self) -> None:
        """Start it as the first member of a new primary component."""
        state = self.directory / "data" / "grastate.dat"
        if state.exists():
            # It refuses where another member may have gone on for longer: a test knows better.
            text = state.read_text()
            state.write_text(text.replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        self._role = ["--wsrep-new-cluster"]
        try:
            await self.start()
        finally:
            self._role = []

    async def answers(self) -> bool:
        try:
            return await self.is_synced()
        except aiomysql.OperationalError:
            return False

    @property
    def log_tail(self) -> str:
        """Without the dozens of notes of every view."""
        lines = [line for line in self.log.splitlines() if "[ERROR]" in line or "[Warn" in line]
        return "\n".join(lines[-TAIL:])

    async def is_synced(self) -> bool:
        """Whether it is part of a primary component, and up to date."""
        return await self.status("local_state_comment") == "Synced"

    async def size(self) -> int:
        """The number of members that it sees, itself included; 0 outside a primary component."""
        is_primary = await self.status("cluster_status") == "Primary"
        return int(await self.status("cluster_size")) if is_primary else 0

    async def status(self, name: str) -> str:
        rows = await self.query(f"SHOW GLOBAL STATUS LIKE 'wsrep_{name}'")
        return str(rows[0]["Value"])

    async def isolate(self) -> None:
        """Cut its connections to the other members; clients still reach it."""
        await self.query("SET GLOBAL wsrep_provider_options='gmcast.isolate=1'")

    async def heal(self) -> None:
        """Undo isolate(); it is a member again some seconds later."""
        await self.query("SET GLOBAL wsrep_provider_options='gmcast.isolate=0'")

    async def _position(self) -> str:
        """The option that tells a crashed server its place in the history of the cluster."""
        _, output, _ = await capture(*self.inside, *self.command(), "--wsrep-recover", merge=True)
        found = re.search(r"Recovered position:\s*(\S+)", output.decode(errors="replace"))
        if found is None:
            raise RuntimeError(f"no position: {output.decode(errors='replace')}")
        return f"--wsrep-start-position={found[1]}"


LOOPBACK = [("127.0.0.1", ()), ("127.0.0.2", ()), ("127.0.0.3", ())]


class Galera:
    """A cluster of three on loopback, or of a member at each of `places`: host and inside.

    All of them listen on `port`.
    """

    def __init__(self, places: Sequence[tuple[str, Sequence[str]]] = LOOPBACK) -> None:
        self.port = free_port(*(host for host, inside in places if not inside))
        self._places = places
        self._positions = Path(tempfile.mkdtemp(prefix="galera-positions-"))
        self.members: list[Member] = []

    async def complete(self, count: int | None = None, *, within: float = 40.0) -> None:
        """Wait until `count` members (default: all) see each other, and are synced."""
        expected = count or len(self.members)

        async def is_complete() -> bool:
            running = [member for member in self.members if member.alive]
            try:
                return all([await m.size() == expected and await m.is_synced() for m in running])
            except aiomysql.Error:
                return False

        await until(is_complete, within=within, what=f"{expected} members")

    async def query(self, sql: str, *, database: str | None = None) -> None:
        """Run a statement over the first member."""
        await self.members[0].query(sql, database=database)

    async def __aenter__(self) -> Self:
        try:
            beginning = await template()
            self.members += [
                Member(beginning, self._positions, host=host, inside=inside)
                for host, inside in self._places
            ]
            for member in self.members:
                member.port = self.port
                member.peers = self.members
            first, *others = self.members
            await first.bootstrap()
            # One after the other: two that join at the same moment take 5 s to agree on a view.
            for member in others:
                await member.start()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        """Nobody needs their data any more: no member takes leave of the others."""
        for member in self.members:
            if member.process is not None:
                await member.kill()
            await member.__aexit__(None, None, None)
        shutil.rmtree(self._positions, ignore_errors=True)


_made: list[Path] = []


async def template() -> Path:
    """The data directory of a cluster of one that was stopped: made once a test process."""
    if not _made:
        founder = Member(mariadb.template(), Path())
        await founder.bootstrap()
        await founder.stop()
        (founder.directory / "data" / "gvwstate.dat").unlink(missing_ok=True)
        atexit.register(shutil.rmtree, founder.directory, ignore_errors=True)
        _made.append(founder.directory / "data")
    return _made[0]
