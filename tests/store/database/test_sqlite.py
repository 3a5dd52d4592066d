"""The local file: whatever lies at its path, the daemon goes on."""

import asyncio
import os
import resource
import shutil
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dnslb_backend.errors import StoreError
from dnslb_backend.store.database.interface import Select, Upsert
from dnslb_backend.store.database.sqlite import SqliteStore
from dnslb_backend.store.database.state_file import APPLICATION_ID, content_stamp
from dnslb_backend.store.database.tables import KEY, OVERRIDE, STATIC, TRANSITION, TableRow
from dnslb_backend.store.mirror.outbox import save_checkpoint
from tests.rigs.waiting import until

WHOLE = Select(STATIC, STATIC.columns, order="row_key")


def static(key: str, content: str = "192.0.2.1") -> TableRow:
    return ("ns1", key, "s1", "lb.example", "a.lb.example", "A", content, 5, 1)


async def put(store: SqliteStore, *rows: TableRow) -> None:
    await store.write([Upsert(STATIC, rows)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "state.sqlite"


@pytest.fixture
async def used(path: Path) -> Path:
    """A file with one row in it, closed."""
    store = SqliteStore(path)
    await put(store, static("old"))
    await store.close()
    return path


async def test_the_folder_is_made_and_rows_outlive_the_daemon(used: Path) -> None:
    store = SqliteStore(used)
    assert await store.read(WHOLE) == [static("old")]
    await store.close()
    with closing(sqlite3.connect(used)) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_what_was_committed_is_there_without_a_farewell(path: Path) -> None:
    first, second = SqliteStore(path), SqliteStore(path)
    await put(first, static("a"))
    assert await second.read(WHOLE) == [static("a")]
    await first.close()
    await second.close()


def scribble(path: Path) -> None:
    path.write_bytes(b"this was never a database" * 400)


def tear(path: Path) -> None:
    """Keep the head of the file, lose what it leads to."""
    path.write_bytes(path.read_bytes()[:4096])


def age(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO lb_schema_version VALUES (99, '2030-01-01', NULL)")


def strip(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("DROP TABLE lb_state")


def rot(path: Path) -> None:
    """The first pages stay: it opens, and reads well for a while."""
    body = path.read_bytes()
    path.write_bytes(body[: 44 * 4096] + b"\xff" * (len(body) - 44 * 4096))


def read(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize("spoil", [scribble, tear, age, strip])
async def test_a_file_of_no_use_is_set_aside(
    used: Path, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(spoil)
    spoil(used)
    before = read(used)
    store = SqliteStore(used)
    assert await store.read(WHOLE) == []
    assert not store.is_in_memory
    await put(store, static("new"))
    await store.close()
    assert read(used.with_name("state.sqlite.aside"))[:1000] == before[:1000]
    assert "set aside as state.sqlite.aside" in caplog.text


async def test_one_file_is_kept_aside_not_many(used: Path) -> None:
    for _ in range(3):
        scribble(used)
        store = SqliteStore(used)
        await put(store, static("new"))
        await store.close()
    assert sorted(file.name for file in used.parent.iterdir()) == [
        "state.sqlite",
        "state.sqlite.aside",
    ]


async def test_damage_that_shows_later_is_set_aside_then(used: Path) -> None:
    store = SqliteStore(used)
    await put(store, *(static(f"{n:04}", "x" * 500) for n in range(400)))
    await store.close()
    rot(used)
    with pytest.raises(StoreError):
        await store.read(WHOLE)
    assert await store.read(WHOLE) == []
    assert store.losses == 1
    await put(store, static("new"))
    await store.close()
    assert used.with_name("state.sqlite.aside").exists()


async def test_the_database_of_another_program_is_not_touched(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE domains (id INTEGER)")
    before = read(path)
    store = SqliteStore(path)
    await put(store, static("a"))
    assert store.is_in_memory
    assert await store.read(WHOLE) == [static("a")]
    await store.close()
    assert read(path) == before
    assert "the database of another program" in caplog.text


@pytest.mark.parametrize("place", ["/proc/state.sqlite", "/dev/null/x/state.sqlite", "/sys"])
async def test_where_nothing_can_be_written_memory_serves(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(Path(place))
    await put(store, static("a"))
    assert await store.read(WHOLE) == [static("a")]
    assert store.is_in_memory
    assert "keeping the state in memory only" in caplog.text
    await store.close()


@pytest.fixture
def blocked(path: Path) -> Path:
    """A folder stands where the file should be."""
    path.mkdir(parents=True)
    return path


def unblock(path: Path) -> None:
    path.rmdir()


async def test_the_file_is_tried_again(blocked: Path) -> None:
    store = SqliteStore(blocked, memory_term=0.2)
    await put(store, static("a"))
    assert store.is_in_memory
    unblock(blocked)
    await until(lambda: refuses(store), what="the file to be tried again")
    await put(store, static("d"))
    assert not store.is_in_memory
    assert await store.read(WHOLE) == [static("d")]
    await store.close()


async def refuses(store: SqliteStore) -> bool:
    try:
        await put(store, static("c"))
    except StoreError as error:
        return "can be used again" in str(error)
    return False


async def test_a_folder_in_its_way_stays(blocked: Path) -> None:
    store = SqliteStore(blocked, memory_term=0.0)
    await put(store, static("a"))
    await put(store, static("b"))
    assert await store.read(WHOLE) == [static("a"), static("b")]
    assert store.is_in_memory
    await store.close()


async def test_a_lock_is_waited_for_and_then_told(used: Path) -> None:
    store = SqliteStore(used)
    await store.open()
    with closing(sqlite3.connect(used, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await put(store, static("a"))
        other.execute("ROLLBACK")
    await put(store, static("a"))
    assert await store.read(WHOLE) == [static("a"), static("old")]
    await store.close()


async def test_a_file_that_is_locked_when_it_is_opened_is_not_set_aside(used: Path) -> None:
    store = SqliteStore(used)
    with closing(sqlite3.connect(used, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            await store.open()
    assert await store.read(WHOLE) == [static("old")]
    await store.close()


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_with_room_again_it_goes_on(used: Path) -> None:
    store = SqliteStore(used)
    await store.open()
    with no_more_than(300_000), pytest.raises(StoreError):
        await put(store, *(static(f"{n}", "x" * 10_000) for n in range(100)))
    await put(store, static("a"))
    assert await store.read(WHOLE) == [static("a"), static("old")]
    assert not store.is_in_memory
    await store.close()


async def test_it_works_in_a_thread_that_ends_with_it(path: Path) -> None:
    others = set(threading.enumerate())
    store = SqliteStore(path)
    await put(store, static("a"))
    (thread,) = set(threading.enumerate()) - others
    assert thread.daemon
    await store.close()
    thread.join(5)
    assert not thread.is_alive()


async def test_it_is_closed_and_used_at_the_same_time(path: Path) -> None:
    """As when the mirror gives up a connection while somebody asks for history."""
    store = SqliteStore(path)
    await put(store, static("a"))
    async with asyncio.TaskGroup() as group:
        for number in range(60):
            group.create_task(store.close() if number % 3 == 0 else use(store))
    await store.close()


async def use(store: SqliteStore) -> None:
    assert await store.read(WHOLE) == [static("a")]


KEY_ROW: TableRow = ("k" * 32, "lb.example", 1, 257, 1, 1, "secret", 5, 0, 1)


@pytest.mark.parametrize("spoil", [age, strip])
async def test_keys_are_taken_over_from_a_file_that_is_set_aside(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    for _ in range(2):
        store = SqliteStore(path)
        await store.write_durably([Upsert(KEY, [KEY_ROW])])
        await store.close()
        spoil(path)
        store = SqliteStore(path)
        assert await store.read(Select(KEY, KEY.columns)) == [KEY_ROW]
        await store.close()
        assert path.with_name("state.sqlite.aside").exists()


async def test_keys_that_cannot_be_read_any_more_are_told_of(
    used: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scribble(used)
    store = SqliteStore(used)
    assert await store.read(Select(KEY, KEY.columns)) == []
    await store.close()
    assert "nothing more can be recovered: file is not a database" in caplog.text


# -- the path leads elsewhere while the file is in use ----------------------------------------


def remove(path: Path) -> None:
    path.unlink()


def remove_all_files(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def rename_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name(f"before-{path.stat().st_ino}"))


def remove_wal(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()
    path.with_name(f"{path.name}-shm").unlink()


def replace_by_nonsense(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"nonsense" * 1000)
    other.replace(path)


def replace_by_copy(path: Path) -> None:
    """With an order that this daemon has not, and a key that it has in another version."""
    other = path.with_name("other")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(other)) as copy:
        source.backup(copy)
        copy.execute("UPDATE lb_key SET content = 'older', version = 1")
        copy.execute(insertion(OVERRIDE.name, len(OVERRIDE.columns)), order("there"))
        copy.commit()
    other.replace(path)


def insertion(table: str, columns: int) -> str:
    return f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * columns)})"


def order(number: str) -> TableRow:
    texts = (number, "", "a", "", "", "drain", "", "ann", "2030-01-01 00:00:00")
    return (*texts, None, None, "", 1, None, None)


def reopened(path: Path, query: str) -> list[TableRow]:
    """What the next daemon would find; this one is as good as killed."""
    copy = path.with_name("copy")
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    with closing(sqlite3.connect(copy)) as database:
        return database.execute(query).fetchall()


LOSSES = [remove, remove_all_files, remove_folder, rename_folder]
LOSSES += [remove_wal, replace_by_nonsense, replace_by_copy]


@pytest.mark.parametrize("lose", LOSSES)
async def test_a_file_that_is_lost_while_in_use_is_written_again(
    used: Path, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(used)
    await store.write([Upsert(TRANSITION, [transition("e1")]), Upsert(OVERRIDE, [order("here")])])
    await store.write_durably([Upsert(KEY, [KEY_ROW])])
    await save_checkpoint(store, TRANSITION, 7)
    lose(used)
    await put(store, static("new"))
    assert not store.is_in_memory
    assert reopened(used, "SELECT row_key FROM lb_static") == [("new",), ("old",)]
    assert reopened(used, "SELECT event FROM lb_transition") == [("e1",)]
    assert reopened(used, "SELECT content FROM lb_key") == [("secret",)]
    assert ("here",) in reopened(used, "SELECT id FROM lb_override")
    if lose is replace_by_copy:
        assert ("there",) in reopened(used, "SELECT id FROM lb_override")
        assert used.with_name("state.sqlite.aside").exists()
    assert reopened(used, "SELECT * FROM lb_checkpoint") == [("lb_transition", 7)]
    assert reopened(used, "PRAGMA integrity_check") == [("ok",)]
    assert caplog.text.count(" while in use") == 1
    lose(used)
    await store.write_durably([Upsert(STATIC, [static("newer")])])
    assert len(reopened(used, "SELECT row_key FROM lb_static")) == 3
    await store.close()


def content(path: Path) -> bytes:
    return path.read_bytes()


def truncate(path: Path) -> None:
    path.write_bytes(b"")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:8192])


def overwrite_by_nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense" * 10_000)


def overwrite_by_backup(path: Path) -> None:
    shutil.copyfile(path.with_name("backup"), path)


def overwrite_by_another(path: Path) -> None:
    other = path.with_name("other")
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE domains (id INTEGER)")
    shutil.copyfile(other, path)


def touch(path: Path) -> None:
    os.utime(path)


OVERWRITTEN = [truncate, cut_short, overwrite_by_nonsense, overwrite_by_backup, touch]


@pytest.mark.parametrize("is_checkpointed", [True, False])
@pytest.mark.parametrize("overwrite", OVERWRITTEN)
async def test_a_file_overwritten_in_place_is_written_again_at_once(
    used: Path,
    overwrite: Callable[[Path], None],
    is_checkpointed: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copyfile(used, used.with_name("backup"))
    rows = [static(f"{n:03}", "x" * 500) for n in range(100)]
    store = SqliteStore(used)
    await put(store, *rows)
    if is_checkpointed:
        await store.close()
    await store.open()
    overwrite(used)
    await put(store, static("new"))
    assert store.losses == 1
    await put(store, *rows)
    assert not store.is_in_memory
    assert reopened(used, "SELECT COUNT(*) FROM lb_static WHERE row_key != 'old'") == [(101,)]
    assert reopened(used, "PRAGMA integrity_check") == [("ok",)]
    assert reopened(used, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert caplog.text.count("overwritten while in use") == 1
    if overwrite in (touch, overwrite_by_backup):
        assert not used.with_name("state.sqlite.aside").exists()
    await store.close()


async def test_the_database_of_another_program_stays_where_it_was_copied_over_ours(
    used: Path,
) -> None:
    store = SqliteStore(used)
    await store.read(WHOLE)
    overwrite_by_another(used)
    await store.read(WHOLE)
    assert store.is_in_memory
    assert content(used) == content(used.with_name("other"))
    await store.close()


async def test_a_key_is_kept_in_a_file_that_was_overwritten_before(used: Path) -> None:
    store = SqliteStore(used)
    await store.open()
    truncate(used)
    await store.write_durably([Upsert(KEY, [KEY_ROW])])
    assert reopened(used, "SELECT content FROM lb_key") == [("secret",)]
    await store.close()


async def test_reading_notices_that_the_file_was_overwritten(used: Path) -> None:
    store = SqliteStore(used)
    await put(store, *(static(f"{n:03}", "x" * 500) for n in range(100)))
    await store.close()
    await store.open()
    cut_short(used)
    assert await store.read(WHOLE) == []
    assert store.losses == 1
    await store.close()


async def test_own_writes_are_no_reason_for_alarm(
    used: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Enough of them for many checkpoints, which write into the file."""
    store = SqliteStore(used)
    before = content_stamp(used)
    for round_ in range(4):
        await put(store, *(static(f"{n:04}", f"{round_}" * 500) for n in range(3000)))
        await save_checkpoint(store, TRANSITION, round_)
        await store.write_durably([Upsert(KEY, [KEY_ROW])])
    assert content_stamp(used) != before
    await store.close()
    assert store.losses == 0
    assert "while in use" not in caplog.text


def transition(event: str) -> TableRow:
    return (
        event,
        "2030-01-01 00:00:00",
        "ns1",
        *["x"] * 5,
        "UP",
        "DOWN",
        1,
        0,
        None,
        None,
        "",
        "{}",
    )


async def test_what_cannot_be_written_again_is_kept_until_it_can(
    used: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SqliteStore(used, memory_term=0.2)
    await put(store, static("a"))
    shutil.rmtree(used.parent)
    used.parent.touch()
    with pytest.raises(StoreError, match="memory does not outlive a restart"):
        await store.write_durably([Upsert(KEY, [KEY_ROW])])
    assert store.is_in_memory
    await put(store, static("b"))
    assert [row[1] for row in await store.read(WHOLE)] == ["a", "b", "old"]
    used.parent.unlink()
    await until(lambda: is_kept(store), what="the file to be tried again")
    assert len(reopened(used, "SELECT row_key FROM lb_static")) == 3
    assert caplog.text.count("keeping the state in memory only") == 1
    await store.close()


async def is_kept(store: SqliteStore) -> bool:
    await put(store, static("b"))
    return not store.is_in_memory


def put_foreign_database(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE domains (id INTEGER)")


def put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def put_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("put_there", [put_foreign_database, put_folder, put_fifo])
async def test_what_belongs_to_others_stays_at_the_path(
    used: Path, put_there: Callable[[Path], None]
) -> None:
    store = SqliteStore(used)
    await store.open()
    put_there(used)
    before = identity(used)
    await put(store, static("a"))
    assert store.is_in_memory
    assert len(await store.read(WHOLE)) == 2
    await store.close()
    assert identity(used) == before


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    """As /dev/zero: endless, and not to be renamed."""
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make a device")


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo, make_device, make_loop])
async def test_a_path_that_is_no_file_is_left_alone(
    tmp_path: Path, make: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state.sqlite"
    make(path)
    store = SqliteStore(path, memory_term=0.0)
    for key in "ab":
        await put(store, static(key))
    assert store.is_in_memory
    with pytest.raises(StoreError, match="memory does not outlive a restart"):
        await store.write_durably([Upsert(KEY, [KEY_ROW])])
    await store.close()
    assert names(tmp_path) == ["state.sqlite"]
    assert len(caplog.messages) == 1


async def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to(tmp_path / "real" / "state.sqlite")
    (tmp_path / "real").mkdir()
    store = SqliteStore(path)
    await put(store, static("a"))
    (tmp_path / "real" / "state.sqlite").unlink()
    await put(store, static("b"))
    assert not store.is_in_memory
    await store.close()
    with closing(sqlite3.connect(tmp_path / "real" / "state.sqlite")) as database:
        assert database.execute("SELECT COUNT(*) FROM lb_static").fetchone() == (2,)


async def test_a_folder_that_is_made_for_it_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        store = SqliteStore(tmp_path / "a" / "b" / "state.sqlite")
        await put(store, static("a"))
        await store.close()
    made = [line for line in caplog.messages if line.startswith("created the folder")]
    assert made == [
        f"created the folder {tmp_path}/a for [state] path",
        f"created the folder {tmp_path}/a/b for [state] path",
    ]


async def test_whatever_the_umask_nobody_else_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "a" / "b" / "state.sqlite")
        await put(store, static("a"))
        made = [tmp_path / "a", tmp_path / "a" / "b", *(tmp_path / "a" / "b").iterdir()]
        assert [oct(path.stat().st_mode & 0o777) for path in made] == ["0o700"] * 2 + ["0o600"] * 3
        await store.close()
    finally:
        os.umask(before)
