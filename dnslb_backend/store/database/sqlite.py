"""The local file: the same tables in SQLite, in a thread of their own.

at the path                          what happens
nothing                              a new file is created
a file of this program               it is used; an older schema is migrated
the same, of a newer schema          it is used if its min_version allows that; otherwise set aside
                                     as PATH.aside, and a new file gets the same rows
a damaged file, or no database       the same, with the rows that can still be read
the database of another program      it is not touched; memory is used until the path is free
a file that cannot be written        set aside where that is possible; else memory, as above
a file locked by another program     StoreError; it is retried

The path can change while the file is in use: the file was removed or replaced, or its folder is
gone. The open file, which has no name any more, is then copied to the path, and what was put there
is set aside. While that is impossible, the open file is as volatile as memory.

The file itself can be overwritten in place (`cp backup PATH`, `> PATH`). In the WAL mode of SQLite
its mtime changes with a checkpoint only, and those of this program happen in its own commits: after
any other change the file is reopened, checked as a whole, and set aside if damaged. Either way
`losses` rises.
"""

import contextlib
import logging
import sqlite3
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from dnslb_backend.errors import BadRowError, StoreError
from dnslb_backend.store.database.interface import Select, WriteOp
from dnslb_backend.store.database.salvage import BAD_ROW, salvage
from dnslb_backend.store.database.sqlite_connection import (
    DamagedError,
    check_integrity,
    execute,
    is_damage,
    newer_schema,
    prepare,
    translate_open_error,
)
from dnslb_backend.store.database.state_file import (
    PRIVATE,
    ForeignError,
    Identities,
    aside_of,
    beside,
    content_stamp,
    create,
    identities,
    make_folder,
    make_way,
    refuse_special,
    set_aside,
)
from dnslb_backend.store.database.statements import SQLITE, select
from dnslb_backend.store.database.tables import TableRow, Value
from dnslb_backend.store.database.thread import DatabaseThread

log = logging.getLogger(__name__)

LOCK_WAIT = 1.0
"""Seconds to wait for another program that reads or writes the file."""

MEMORY_TERM = 60.0
"""Seconds in memory after which the file is tried again."""


_UNUSABLE = (OSError, sqlite3.Error, DamagedError, ForeignError)


class SqliteStore:
    """Rows in the file at `path`, or in memory while that cannot be used."""

    def __init__(self, path: Path, *, memory_term: float = MEMORY_TERM) -> None:
        self._path = path
        self._memory_term = memory_term
        self._database_thread = DatabaseThread("state")
        self._database: sqlite3.Connection | None = None
        self._in_memory_since: float | None = None
        self._is_damaged = False
        self._files: Identities = ()
        """Which files are open, those of SUFFIXES; none for a database in memory."""
        self._content: tuple[int, int] | None = None
        """The stamp of the file as this program left it."""
        self._is_suspect = False
        self._losses = 0
        self._newer_schema: int | None = None

    @property
    def name(self) -> str:
        return "local"

    @property
    def is_in_memory(self) -> bool:
        """Whether what is written now is lost when the process ends."""
        return self._in_memory_since is not None

    @property
    def losses(self) -> int:
        return self._losses

    @property
    def newer_schema(self) -> int | None:
        return self._newer_schema

    async def open(self) -> None:
        await self._database_thread.run(self._open)

    async def close(self) -> None:
        await self._database_thread.run(self._close)
        self._database_thread.stop()

    async def write(self, works: Sequence[WriteOp]) -> None:
        await self._database_thread.run(lambda: self._write(works))

    async def write_durably(self, works: Sequence[WriteOp]) -> None:
        """As write, but on return it outlives a power failure.

        Raises StoreError also where it would not outlive this process.
        """
        await self._database_thread.run(lambda: self._write(works, is_durable=True))

    async def read(self, query: Select) -> list[TableRow]:
        return await self._database_thread.run(lambda: self._read(query))

    # -- in the thread -------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._database is not None and not self.is_in_memory:
            self._follow_path()
        if self._database is None:
            try:
                self._database = self._open_file()
                self._in_memory_since = None
            except _UNUSABLE as error:
                log.error("%s: %s; keeping the state in memory only", self._path, error)
                memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                self._database = prepare(memory)
                self._in_memory_since = time.monotonic()
        return self._database

    def _open_file(self) -> sqlite3.Connection:
        make_folder(beside(self._path)[0].parent)
        refuse_special(self._path)
        try:
            if self._is_damaged:
                raise DamagedError("damaged")
            return self._try_file()
        except DamagedError as damage:
            self._is_damaged = self._is_suspect = False
            aside = aside_of(self._path)
            log.error("%s: %s; set aside as %s", self._path, damage, aside.name)
            set_aside(self._path, aside)
            database = self._try_file()
            salvage(aside, database)
            return database

    def _follow_path(self) -> None:
        """Check that the open file is the one at the path, and copy it there if it is not."""
        there = identities(self._path)
        if there == self._files:
            if content_stamp(self._path) != self._content:
                log.error("%s: overwritten while in use; writing all of it again", self._path)
                self._is_suspect = True
                self._losses += 1
                self._close()
            return
        if there[0] == self._files[0]:
            # Closing writes into the file what was in the other two.
            log.error("%s: its -wal or -shm file was removed while in use; reopening", self._path)
            self._close()
            return
        what = "replaced" if there[0] else "removed"
        log.error("%s: %s while in use; writing all of it again", self._path, what)
        try:
            self._return_open_file()
        except _UNUSABLE as error:
            log.error("%s: %s; keeping the state in memory only", self._path, error)
            self._in_memory_since = time.monotonic()

    def _return_open_file(self) -> None:
        """Copy the open file to the path. Raises one of _UNUSABLE, and then it stays open."""
        database = self._database
        assert database is not None
        aside = aside_of(self._path)
        make_folder(beside(self._path)[0].parent)
        is_replaced = make_way(self._path, aside, self._files)
        # There is never half a file at the path, not even after a crash.
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.unlink(missing_ok=True)
        create(draft)
        try:
            with contextlib.closing(sqlite3.connect(draft, timeout=LOCK_WAIT)) as copy:
                database.backup(copy)
            draft.replace(beside(self._path)[0])
        except sqlite3.Error as error:
            draft.unlink(missing_ok=True)
            if not is_damage(error):
                raise
            self._losses += 1
            self._close()
            raise StoreError(f"{self._path}: the open file is damaged: {error}") from error
        # Before the new file has a -wal file: closing the old one removes that by its name.
        self._close()
        self._database = self._try_file()
        self._in_memory_since = None
        if is_replaced:
            log.error("%s: set the file that had replaced it aside as %s", self._path, aside.name)
            salvage(aside, self._database)

    def _try_file(self) -> sqlite3.Connection:
        with contextlib.suppress(FileExistsError):
            create(self._path)
        # Only one thread uses it at a time, but after a `close` that is another thread.
        database = sqlite3.connect(
            self._path, timeout=LOCK_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            prepared = prepare(database)
            if self._is_suspect:
                check_integrity(database)
                self._is_suspect = False
            self._newer_schema = newer_schema(database)
            self._keep_private()
            self._files = identities(self._path)
            self._content = content_stamp(self._path)
            return prepared
        except sqlite3.DatabaseError as error:
            database.close()
            raise translate_open_error(error, self._path) from error
        except BaseException:
            database.close()
            raise

    def _keep_private(self) -> None:
        """There may be keys in it, and earlier versions created files that others can read."""
        for path in beside(self._path):
            with contextlib.suppress(FileNotFoundError):
                if stat.S_IMODE(path.stat().st_mode) != PRIVATE:
                    path.chmod(PRIVATE)

    def _close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()
        self._files = ()

    def _write(self, works: Sequence[WriteOp], *, is_durable: bool = False) -> None:
        self._return_to_the_file()
        database = self._open()
        losses = self._losses
        if is_durable:
            self._refuse_memory()
        try:
            if is_durable:
                database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN IMMEDIATE")
            try:
                for work in works:
                    execute(database, work)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
            self._content = content_stamp(self._path)
            if is_durable:
                database.execute("PRAGMA synchronous = NORMAL")
                self._open()
        except (sqlite3.Error, *BAD_ROW) as error:
            raise self._translated(error) from error
        if is_durable:
            self._refuse_memory()
            if losses != self._losses:
                raise StoreError(f"{self._path}: overwritten during a write")

    def _refuse_memory(self) -> None:
        if self.is_in_memory:
            raise StoreError(f"{self._path}: cannot be used, and memory does not outlive a restart")

    def _read(self, query: Select) -> list[TableRow]:
        values: list[Value] = []

        def bind(value: Value) -> str:
            values.append(value)
            return "?"

        statement = select(query, SQLITE, bind)
        database = self._open()
        try:
            return database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _return_to_the_file(self) -> None:
        """Try the file again in time. Raises StoreError when it is in use again: then the mirror
        starts a new session, and writes everything.
        """
        since = self._in_memory_since
        if since is None or time.monotonic() - since < self._memory_term:
            return
        self._in_memory_since = time.monotonic()
        try:
            if self._files:
                self._return_open_file()
                return
            database = self._open_file()
        except (*_UNUSABLE, StoreError):
            return
        files = self._files
        self._close()
        self._database, self._files, self._in_memory_since = database, files, None
        raise StoreError(f"{self._path} can be used again")

    def _translated(self, error: Exception) -> StoreError:
        if isinstance(error, BAD_ROW):
            return BadRowError(f"{self._path}: {error}")
        self._is_damaged = is_damage(error)
        self._losses += self._is_damaged
        self._close()
        return StoreError(f"{self._path}: {error}")
