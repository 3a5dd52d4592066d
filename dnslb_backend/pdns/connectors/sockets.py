"""Listening sockets, bound before anything else is started."""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnslb_backend.network import AddressPort
from dnslb_backend.sockets import bind_tcp

BACKLOG = 1024
"""Connections that may wait while the event loop is busy, or the daemon restarts."""


def listen_tcp(endpoint: AddressPort) -> socket.socket:
    """A socket that listens at `endpoint`; on `::` it serves IPv4 as well. Raises OSError."""
    listener = bind_tcp(endpoint.host, endpoint.port)
    try:
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def listen_unix(path: str, mode: int, group: str | None = None) -> socket.socket:
    """A socket that listens at `path` with these permissions. Blocks; raises OSError.

    No process can connect before they are set. What a dead process left at `path` is removed; where
    a process listens, or another kind of file is, EADDRINUSE is raised. BlockingIOError says that
    another process is about to listen there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone_at(path):
            _remove_stale(path)
            # Linux gives these to the file that bind() makes.
            os.fchmod(listener.fileno(), mode & stat.S_IRWXU)
            listener.bind(path)
            set_permissions(path, mode, group)
            listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def set_permissions(path: str, mode: int, group: str | None) -> None:
    """Who may connect to the socket at `path`; `group` None leaves that. Raises OSError."""
    if group is not None:
        os.chown(path, -1, _group_id(group))
    Path(path).chmod(mode)


def remove_unix(path: str) -> None:
    """Remove the file of a closed socket, unless another process is listening there. Blocks."""
    with contextlib.suppress(OSError), _alone_at(path):
        _remove_stale(path)


@contextmanager
def _alone_at(path: str) -> Iterator[None]:
    """Lock `path`: two processes at once would each take the other's new socket for a stale one.

    The lock is on a file beside the socket that others cannot open: any user may lock a directory
    that they can read. The file exists only meanwhile, so that none is left for another user's
    start. Raises BlockingIOError while another process has the lock, OSError if it cannot be taken.
    """
    lock = f"{path}.lock"
    descriptor = _open_lock(lock)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(descriptor, lock):
            raise BlockingIOError(errno.EAGAIN, "another process has just removed it", lock)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                Path(lock).unlink()
    finally:
        os.close(descriptor)


def _open_lock(lock: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(lock, flags, 0o600)
    except OSError as error:
        raise OSError(error.errno, f"cannot lock {lock}: {error.strerror}", lock) from error
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode):
        return descriptor
    # In a folder where everyone may create files, its owner could keep it locked.
    os.close(descriptor)
    raise OSError(errno.EPERM, f"cannot lock {lock}: it is not a file of this user", lock)


def _is_at(descriptor: int, path: str) -> bool:
    """Whether this is the file at `path` now, and not one that was removed meanwhile."""
    ours = os.fstat(descriptor)
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _remove_stale(path: str) -> None:
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EADDRINUSE, "there is a file that is not a socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: a process is there
    raise OSError(errno.EADDRINUSE, "another process is listening there", path)


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(errno.EINVAL, f"no group is named {name}") from None
