"""Where a running switch is found: a unix socket per switch, and who may sit on it.

Root's switches are in ``/run/vswitch/NAME.sock``, a user's in ``$XDG_RUNTIME_DIR/vswitch``.
One that root gives to a user (``--user``) is in ``/run/vswitch/USER``, where he can remove it.
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


def path_of(name: str, *, user: str = "") -> Path:
    """Where the switch called *name* listens, if it becomes *user*'s."""
    return directory() / user / f"{name}.sock"


def find(name: str) -> Path:
    """The socket of the switch called *name* that this user may ask; where it would be, if none."""
    return running(name=name).get(name) or path_of(name)


def running(folder: Path | None = None, *, name: str = "*") -> dict[str, Path]:
    """The switches that answer, by name; those in a folder before those given to users."""
    found: dict[str, Path] = {}
    for place in [folder] if folder else [directory(), *_given()]:
        for path in sorted(place.glob(f"{name}.sock")):
            if path.stem not in found and holder(path) is not None:
                found[path.stem] = path
    return found


def _given() -> list[Path]:
    """The folders of switches that root gave to users: all of them for root, or this user's."""
    me = os.geteuid()
    try:
        return sorted(p for p in ROOT_DIR.glob("*/") if me in (0, p.stat().st_uid))
    except OSError:  # one was removed at this moment
        return []


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
    path: Path,
    name: str,
    *,
    owner: tuple[int, int] = (-1, -1),
    group: int | None = None,
    handed_in: int | None = None,
) -> Iterator[socket.socket]:
    """A listening socket at *path*, for its owner, and *group*; the file is gone at the end.

    Args:
        path: Where; its folder is made if it is of ours.
        name: What the switch is called.
        owner: Whose it is to be, user id and group id; -1: ours.
        group: Who else may ask.
        handed_in: Take this one instead, whose file is for who made it to remove.

    Raises:
        ConfigError: a switch listens there already, or the place cannot be had.
    """
    if handed_in is not None:
        with socket.socket(fileno=os.dup(handed_in)) as given:
            yield given
        return
    _prepare(path, *owner)
    try:
        mode, of = (0o600, owner[1]) if group is None else (0o660, group)
        file = SocketFile(path, socket.SOCK_STREAM, mode=mode, owner=owner[0], group=of)
    except SocketInUseError as e:
        raise _in_use(path, name) from e
    except PortError as e:
        raise ConfigError(str(e), hint=ELSEWHERE) from e
    try:
        yield file.socket
    finally:
        file.close()


def _prepare(path: Path, uid: int, gid: int) -> None:
    """Make the folder of a socket, if it is one of ours, and the one in it of a user."""
    top = directory()
    try:
        if top in (path.parent, path.parent.parent):
            _make(top, os.geteuid())
        if path.parent.parent == top and _make(path.parent, uid):
            os.chown(path.parent, uid, gid)
    except OSError as e:
        raise ConfigError(f"cannot listen at {path}: {e.strerror}", hint=ELSEWHERE) from e


def _make(folder: Path, uid: int) -> bool:
    """Whether *folder* had to be made; it must be ours then, or belong to *uid*."""
    try:
        folder.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700)
    except FileExistsError:
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
            raise ConfigError(f"{folder} belongs to another user", hint=ELSEWHERE) from None
        return False
    return True


def _in_use(path: Path, name: str) -> ConfigError:
    pid = holder(path)
    who = f"pid {pid}, " if pid else ""
    return ConfigError(
        f"a switch called {name} is running already ({who}{path})",
        hint="give this one another --name, or stop the other first",
    )
