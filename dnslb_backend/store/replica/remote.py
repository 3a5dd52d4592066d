"""The replica in the database of [mysql], which a reload can add, move and remove."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.mirror.node import LocalNode, WritePolicy
from dnslb_backend.store.mirror.outbox import Outboxes
from dnslb_backend.store.replica.replica import Replica, within
from dnslb_backend.store.settings import MysqlSettings
from dnslb_backend.store.shared.replicated_table import ReplicatedTable

REFRESH = 5.0
FLEET_REFRESH = 300.0
"""Seconds after which unchanged rows are written again, alone and in a fleet: each of its nodes
writes into the same database, and a replicated one passes every row on.
"""

WRITE_GAP = 0.2
"""Seconds between two transactions: a database has other work."""

FILE_LIMIT = 5.0
"""Seconds in which the local file has to show what earlier runs could not send."""

CHECKPOINT_INTERVAL = 2.0
CHECKPOINT_LIMIT = 0.5
"""Seconds for the last checkpoints; without them some rows of history are sent twice."""

FLUSH_LIMIT = 1.0
"""Seconds in which the local file has to store the history that a new database is sent."""


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Where the database is, None without one; whether this node is one of a fleet, and only
    follows it: then the database is only read, and may be a replica.
    """

    mysql: MysqlSettings | None
    is_fleet: bool
    follows: bool

    def policy(self, mysql: MysqlSettings) -> WritePolicy:
        refresh = mysql.refresh or (FLEET_REFRESH if self.is_fleet else REFRESH)
        beat = min(refresh, REFRESH) if self.is_fleet else refresh
        kept = mysql.history_max_age, mysql.history_max_rows
        return WritePolicy(refresh, beat, WRITE_GAP, *kept, is_read_only=self.follows)


class RemoteReplica:
    """`replica` is None without a database. `local` has every change of this run, in `file`."""

    def __init__(
        self,
        config: RemoteConfig,
        node: LocalNode,
        tables: Sequence[ReplicatedTable[Any]],
        local: Replica,
        file: SqliteStore,
    ) -> None:
        self._config = config
        self._node = node
        self._tables = tables
        self._local = local
        self._file = file
        self._moved = asyncio.Event()
        self.replica = self._build(None)

    def reconfigure(self, config: RemoteConfig) -> None:
        """Let `run` follow a reload."""
        if config != self._config:
            self._config = config
            self._moved.set()

    async def run(self) -> None:
        """Run the replica until cancelled, and another one whenever the configuration changes."""
        while True:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self._serve(self.replica)) if self.replica else None
                await self._moved.wait()
                self._moved.clear()
                if running is not None:
                    running.cancel()
            await self._replace()

    async def save_checkpoints(self) -> None:
        """Note in the local file how far the database is."""
        if self.replica is not None and not self.replica.is_read_only:
            saved = self.replica.mirror.outboxes.save_checkpoints()
            await within(CHECKPOINT_LIMIT, saved, "checkpoint in the local file")

    async def _serve(self, replica: Replica) -> None:
        if replica.is_read_only:
            await replica.run()
            return
        outboxes = replica.mirror.outboxes
        opened = outboxes.open(self._node.clocks.now().mono)
        await within(FILE_LIMIT, opened, "history of earlier runs in the local file")
        async with asyncio.TaskGroup() as group:
            group.create_task(replica.run(), name="mariadb")
            group.create_task(self._save_checkpoints(outboxes), name="checkpoint")

    async def _replace(self) -> None:
        old = self.replica
        if old is not None:
            await self.save_checkpoints()
            await old.close()
        self.replica = self._build(old)
        if self.replica is not None and not self.replica.is_read_only:
            self.replica.mirror.apply_snapshot()
            # Changes from before are sent from the local file.
            await self._local.mirror.flush(FLUSH_LIMIT)

    def _build(self, old: Replica | None) -> Replica | None:
        settings = self._config.mysql
        if settings is None:
            return None
        # Without a database its library is not loaded before the first answer.
        from dnslb_backend.store.database.mariadb import MariaStore  # noqa: PLC0415 -- see above

        policy = self._config.policy(settings)
        # Both stores give the changes of this run the same numbers.
        outboxes = (
            old.mirror.outboxes
            if old and not old.is_read_only
            else Outboxes(
                self._node.identity, self._file, starts=self._local.mirror.outboxes.counts
            )
        )
        return Replica(
            MariaStore(settings), MariaStore(settings), self._node, policy, outboxes, self._tables
        )

    async def _save_checkpoints(self, outboxes: Outboxes) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT_INTERVAL)
            with contextlib.suppress(StoreError):
                await outboxes.save_checkpoints()
