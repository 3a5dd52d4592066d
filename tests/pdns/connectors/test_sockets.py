import asyncio
import fcntl
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from dnslb_backend.pdns.connectors.http import HttpConnector
from dnslb_backend.pdns.connectors.sockets import BACKLOG, listen_tcp, listen_unix, remove_unix
from dnslb_backend.pdns.methods.responder import Responder
from dnslb_backend.pdns.settings import ListenAddress
from tests.pdns.transports import LOOPBACK
from tests.pdns.world import World
from tests.rigs.server import executable


@pytest.mark.parametrize(
    ("endpoint", "peers"),
    [
        (ListenAddress("127.0.0.1", 0), ["127.0.0.1"]),
        (ListenAddress("::1", 0), ["::1"]),
        (ListenAddress("::", 0), ["127.0.0.1", "::1"]),
    ],
)
def test_tcp_listens_where_it_was_told(endpoint: ListenAddress, peers: list[str]) -> None:
    with listen_tcp(endpoint) as listener:
        for peer in peers:
            socket.create_connection((peer, listener.getsockname()[1]), timeout=5).close()


def test_two_cannot_listen_at_one_port() -> None:
    with (
        listen_tcp(ListenAddress("127.0.0.1", 0)) as listener,
        pytest.raises(OSError, match="in use"),
    ):
        listen_tcp(ListenAddress("127.0.0.1", listener.getsockname()[1]))


async def test_as_many_may_wait_as_was_asked_for() -> None:
    """While the daemon accepts nobody, as when it restarts, they wait in the kernel."""
    connector = HttpConnector(Responder(World().current), LOOPBACK)
    with listen_tcp(ListenAddress("127.0.0.1", 0)) as listener:
        await connector.start([listener])
        assert queue_of(listener) == BACKLOG
        await connector.stop(0)


def queue_of(listener: socket.socket) -> int:
    """How many may wait there."""
    place = f"sport = :{listener.getsockname()[1]}"
    shown = subprocess.run([executable("ss"), "-Hltn", place], capture_output=True, check=True)
    return int(shown.stdout.split()[2])


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_unix_socket_has_its_permissions_whatever_the_umask(
    tmp_path: Path, mode: int, umask: int
) -> None:
    path = tmp_path / "socket"
    before = os.umask(umask)
    try:
        with listen_unix(str(path), mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_a_unix_socket_is_its_owners_alone_until_its_group_is_right(tmp_path: Path) -> None:
    """Whoever watches the directory never sees it more open than it is to be in the end."""
    path = tmp_path / "socket"
    before = os.umask(0)
    try:
        with pytest.raises(OSError, match="no group"):
            listen_unix(str(path), 0o666, "there is no such group")
    finally:
        os.umask(before)
    if path.exists():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_unix_socket_is_given_to_a_group(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    group = "adm"
    with listen_unix(str(path), 0o660, group):
        assert path.group() == group


def test_what_a_dead_process_left_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listen_unix(path, 0o600).close()
    assert Path(path).exists()
    with listen_unix(path, 0o600), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_process_that_listens_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listen_unix(path, 0o600):
        with pytest.raises(OSError, match="another process"):
            listen_unix(path, 0o600)
        remove_unix(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_process_whose_queue_is_full_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(path)
        busy.listen(0)
        client.connect(path)
        with pytest.raises(OSError, match="another process"):
            listen_unix(path, 0o600)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    with pytest.raises(OSError, match="no socket"):
        listen_unix(str(path), 0o600)
    assert os.path.lexists(path)


def test_our_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    listen_unix(str(path), 0o600).close()
    remove_unix(str(path))
    assert not path.exists()
    remove_unix(str(path))
    remove_unix(str(tmp_path / "nowhere" / "socket"))


async def test_of_several_that_start_at_once_one_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listen_unix(path, 0o600).close()

    def start() -> socket.socket | None:
        try:
            return listen_unix(path, 0o600)
        except OSError:
            return None

    for _ in range(20):
        tried = await asyncio.gather(*(asyncio.to_thread(start) for _ in range(4)))
        (listener,) = [found for found in tried if found is not None]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        listener.close()


def test_a_lock_on_the_folder_holds_up_nothing(tmp_path: Path) -> None:
    """Any local user may lock a folder that they can read."""
    path = tmp_path / "socket"
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        listen_unix(str(path), 0o600).close()
        remove_unix(str(path))
    finally:
        os.close(folder)
    assert list(tmp_path.iterdir()) == []


def test_who_is_not_alone_is_told_so_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            listen_unix(path, 0o600)
        remove_unix(path)
    # A lock file that a killed process left is none.
    listen_unix(path, 0o600).close()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "socket"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "another user's"])
def test_no_lock_is_taken_from_others(tmp_path: Path, kind: str) -> None:
    lock, victim = tmp_path / "socket.lock", tmp_path / "victim"
    if kind == "link":
        lock.symlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(lock)
    elif kind == "folder":
        lock.mkdir()
    else:
        lock.touch(0o666)
        os.chown(lock, 65534, 65534)
    with pytest.raises(OSError, match=r"cannot lock .*socket\.lock"):
        listen_unix(str(tmp_path / "socket"), 0o600)
    assert os.path.lexists(lock)
    assert not victim.exists()
