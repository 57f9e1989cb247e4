"""Where a running switch is found: a unix socket per switch, and who may sit on it.

Root's switches are in ``/run/vswitch/NAME.sock``, a user's in ``$XDG_RUNTIME_DIR/vswitch``.
The file of a switch that was killed stays behind; nobody answers there, and the next switch of
that name takes the place.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vswitch.errors import ConfigError, PortError, SocketInUseError
from vswitch.linux import peer
from vswitch.linux.socketfile import SocketFile

ROOT_DIR = Path("/run/vswitch")
ELSEWHERE = "put the socket elsewhere: --api PATH"


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
        return peer.pid(s)


@contextmanager
def listening(
    path: Path, name: str, *, group: int | None = None, handed_in: int | None = None
) -> Iterator[socket.socket]:
    """A listening socket at *path*, for its owner, and *group*; the file is gone at the end.

    Or the one that was *handed_in*, whose file is for who made it to remove.

    Raises:
        ConfigError: a switch listens there already, or the place cannot be had.
    """
    if handed_in is not None:
        with socket.socket(fileno=os.dup(handed_in)) as given:
            yield given
        return
    _prepare(path)
    try:
        if group is None:
            file = SocketFile(path, socket.SOCK_STREAM, mode=0o600)
        else:
            file = SocketFile(path, socket.SOCK_STREAM, mode=0o660, group=group)
    except SocketInUseError as e:
        raise _in_use(path, name) from e
    except PortError as e:
        raise ConfigError(str(e), hint=ELSEWHERE) from e
    try:
        yield file.socket
    finally:
        file.close()


def _prepare(path: Path) -> None:
    if path.parent != directory():
        return
    try:
        path.parent.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, exist_ok=True)
        found = os.lstat(path.parent)
    except OSError as e:
        raise ConfigError(f"cannot listen at {path}: {e.strerror}", hint=ELSEWHERE) from e
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{path.parent} belongs to another user", hint=ELSEWHERE)


def _in_use(path: Path, name: str) -> ConfigError:
    pid = holder(path)
    who = f"pid {pid}, " if pid else ""
    return ConfigError(
        f"a switch called {name} is running already ({who}{path})",
        hint="give this one another --name, or stop the other first",
    )
