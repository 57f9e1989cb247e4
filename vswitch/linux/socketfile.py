"""Unix sockets as files: bound with an owner and a mode, taken over from the dead, removed.

A socket's file outlives its process. Who finds one asks whether anybody answers there; if not, he
takes the place. Two who find the same dead one are kept apart by a lock on the folder, which
nobody waits for longer than a second.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vswitch.errors import PortError, SocketInUseError

PATH_MAX_BYTES = 107  # sun_path of unix(7), without the terminating NUL
BACKLOG = 128  # who may knock at once
MODE = 0o660  # for the user and his group
LOCK_TRIES, LOCK_PAUSE_S = 100, 0.01  # it is held for as long as a few system calls take


class SocketFile:
    """A bound unix socket and its file; the file goes with `close`, if it is still ours.

    Args:
        path: Where.
        kind: ``socket.SOCK_STREAM``, which listens, or ``SOCK_DGRAM``.
        mode: Permissions, None for MODE; who may write may connect (unix(7)).
        owner: User id, -1: as it is.
        group: Group id, -1: as it is.

    Raises:
        SocketInUseError: somebody answers there.
        PortError: it is no socket, or the kernel refused.
    """

    def __init__(
        self, path: Path, kind: int, *, mode: int | None = None, owner: int = -1, group: int = -1
    ) -> None:
        if len(os.fsencode(path)) > PATH_MAX_BYTES:
            raise PortError(f"the path of a socket has at most {PATH_MAX_BYTES} bytes: {path}")
        self.path = path
        self._mine: os.stat_result | None = None
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.socket.setblocking(False)
        try:
            with _locked(path.parent):
                _clear(path, kind)
                mask = os.umask(0o177)  # born closed: no moment in which others could connect
                try:
                    self.socket.bind(os.fspath(path))
                finally:
                    os.umask(mask)
                if kind == socket.SOCK_STREAM:  # or who looks before we do takes us for dead
                    self.socket.listen(BACKLOG)
                self._mine = os.lstat(path)
            if (owner, group) != (-1, -1):
                os.chown(path, owner, group)
            os.chmod(path, MODE if mode is None else mode)
        except OSError as e:
            self.close()
            raise PortError(f"cannot make the socket {path}: {e.strerror}") from e
        except PortError:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket and remove its file; a second call does nothing."""
        self.socket.close()
        mine, self._mine = self._mine, None
        try:
            found = os.lstat(self.path)
            if mine and (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
                self.path.unlink()
        except OSError:  # the file or its folder is gone, or no longer ours to remove from
            pass


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(fd)
        yield
    finally:
        os.close(fd)


def _lock(fd: int) -> None:
    """Lock a folder; go on without, if that takes too long.

    Whoever can read a folder can lock it, and must not be able to keep us from starting.
    """
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_S)
        else:
            return


def _clear(path: Path, kind: int) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise PortError(f"{path} exists and is not a socket", hint="give another path")
    if _answers(path, kind):
        raise SocketInUseError(
            f"{path} is in use already", hint="stop who uses it, or give another path"
        )
    path.unlink()


def _answers(path: Path, kind: int) -> bool:
    with closing(socket.socket(socket.AF_UNIX, kind)) as s:
        s.setblocking(False)
        try:
            s.connect(os.fspath(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # busy, of another kind, or not for us to know
            return True
        return True
