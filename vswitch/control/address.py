"""Where a running switch is found: a unix socket per switch, and who may sit on it.

Root's switches are in ``/run/vswitch/NAME.sock``, a user's in ``$XDG_RUNTIME_DIR/vswitch``.
The file of a switch that was killed stays behind; nobody answers there, and the next switch of
that name takes the place.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vswitch.errors import ConfigError

ROOT_DIR = Path("/run/vswitch")
BACKLOG = 64
PATH_MAX_BYTES = 107  # sun_path of unix(7), without the terminating NUL


def directory() -> Path:
    """The folder of the sockets of this user's switches."""
    if os.geteuid() == 0:
        return ROOT_DIR
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    # Without a login session there is no such folder; tmux and X11 use /tmp then, and so do we.
    return Path(runtime, "vswitch") if runtime else Path(f"/tmp/vswitch-{os.geteuid()}")


def path_of(name: str) -> Path:
    """The socket of the switch called *name*."""
    return directory() / f"{name}.sock"


def running(folder: Path | None = None) -> dict[str, Path]:
    """The switches that answer, by name."""
    found = {}
    for path in sorted((folder or directory()).glob("*.sock")):
        if holder(path) is not None:
            found[path.stem] = path
    return found


def holder(path: Path) -> int | None:
    """The pid that listens at *path*, None if nobody does."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as s:
        s.settimeout(1)
        try:
            s.connect(os.fspath(path))
        except (BlockingIOError, TimeoutError, PermissionError):
            return 0  # somebody does, too busy to say who, or not for us to know
        except OSError:
            return None
        peer = s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("iII", peer)[0])


@contextmanager
def listening(path: Path, name: str) -> Iterator[socket.socket]:
    """A listening socket at *path*, for its owner only; the file is gone at the end.

    Raises:
        ConfigError: a switch listens there already, or the place cannot be had.
    """
    _prepare(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(listener, path, name)
        mine = os.stat(path)
    except BaseException:
        listener.close()
        raise
    try:
        yield listener
    finally:
        listener.close()
        _remove(path, mine)


def _prepare(path: Path) -> None:
    if len(os.fsencode(path)) > PATH_MAX_BYTES:
        raise ConfigError(
            f"the path of the API socket is longer than {PATH_MAX_BYTES} bytes: {path}",
            hint="give a shorter one: --api PATH",
        )
    if path.parent != directory():
        return
    try:
        path.parent.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, exist_ok=True)
        found = os.lstat(path.parent)
    except OSError as e:
        raise _cannot(path, e) from e
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(
            f"{path.parent} belongs to another user", hint="put the socket elsewhere: --api PATH"
        )


def _bind(listener: socket.socket, path: Path, name: str) -> None:
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise _cannot(path, e) from e
    try:
        # Two switches that find the same dead socket must not both replace it.
        fcntl.flock(folder, fcntl.LOCK_EX)
        _clear(path, name)
        mask = os.umask(0o177)  # born with mode 0600: no moment in which others could connect
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
    except OSError as e:
        raise _cannot(path, e) from e
    finally:
        os.close(folder)


def _clear(path: Path, name: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"{path} exists and is not a socket", hint="give another --api PATH")
    pid = holder(path)
    if pid is not None:
        who = f"pid {pid}, " if pid else ""
        raise ConfigError(
            f"a switch called {name} is running already ({who}{path})",
            hint="give this one another --name, or stop the other first",
        )
    path.unlink()


def _remove(path: Path, mine: os.stat_result) -> None:
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
            path.unlink()
    except FileNotFoundError:
        pass


def _cannot(path: Path, cause: OSError) -> ConfigError:
    return ConfigError(
        f"cannot listen at {path}: {cause.strerror}", hint="put the socket elsewhere: --api PATH"
    )
