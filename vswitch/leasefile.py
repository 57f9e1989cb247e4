"""Leases as a file: what a switch knows of DHCP, for when it is started again.

    vswitch leases 1 lab 1764000000                        version, switch, when it was written
    02:00:00:00:00:01 10.0.0.5 10 1764003600 tap0          station, address, VLAN, end, port
    02:00:00:00:00:02 10.0.0.6 0 never tap1
    end 2                                                  how many they are

Times are seconds since 1970, so that they pass while nobody runs. A file is believed if nobody but
us, and root, could write to it, and only we can read what we write: who has which address is
nobody else's business.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from vswitch.errors import ConfigError, WireError
from vswitch.guarding import Lease
from vswitch.leases import Known

log = logging.getLogger(__name__)

# Chosen by us.
_HEAD = "vswitch leases"
_VERSION = "1"
BYTES_MAX = 1 << 25  # a thousand ports with all leases they can have take 14 MB
_LINE = re.compile(
    r"((?:[0-9a-f]{2}:){5}[0-9a-f]{2}) ([0-9a-f.:]{2,45}) ([0-9]{1,4}) ([0-9]{1,11}|never) (\S+)"
)


# ---------------------------------------------------------------------- text


def dumps(switch: str, known: Iterable[Known], wall_s: int) -> str:
    """The text of a file of *switch*, written at *wall_s*."""
    lines = [_line(one, wall_s) for one in known]
    head = f"{_HEAD} {_VERSION} {switch} {wall_s}"
    return "\n".join([head, *lines, f"end {len(lines)}", ""])


def _line(one: Known, wall_s: int) -> str:
    lease = one.lease
    end = "never" if one.left_s is None else wall_s + one.left_s
    return f"{lease.mac.hex(':')} {lease.address} {lease.vid} {end} {one.port}"


def loads(text: str, switch: str, wall_s: int) -> list[Known]:
    """The leases in a file that are not over at *wall_s*.

    A clock that was set back since lengthens nothing.

    Raises:
        ConfigError: they are another switch's.
        WireError: it is damaged.
    """
    head, *lines = text.split("\n")
    said = re.fullmatch(rf"{_HEAD} {_VERSION} (\S+) ([0-9]{{1,11}})", head)
    if not said:
        raise WireError(f"another version, or damaged: {head[:80]!r}")
    if said[1] != switch:
        raise ConfigError(
            f"these are the leases of switch {said[1]}, and this is {switch}",
            hint="give each switch a file of its own",
        )
    if lines[-2:] != [f"end {len(lines) - 2}", ""]:
        raise WireError("its end is missing")
    now_s = max(wall_s, int(said[2]))
    found = (_read(line, now_s) for line in lines[:-2])
    return [one for one in found if one.left_s != 0]


def _read(line: str, now_s: int) -> Known:
    said = _LINE.fullmatch(line)
    if not said or int(said[3]) > 4094:
        raise WireError(f"no lease: {line[:80]!r}")
    mac, ip, vid, end, port = said.groups()
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        lease = Lease(int(vid), bytes.fromhex(mac.replace(":", "")), socket.inet_pton(family, ip))
    except OSError:
        raise WireError(f"no address: {ip[:80]!r}") from None
    return Known(lease, port, None if end == "never" else max(0, int(end) - now_s))


# ---------------------------------------------------------------------- file


def read(path: Path, switch: str, wall_s: int, *, owners: Collection[int]) -> list[Known]:
    """The leases in the file of a switch; none if there is no file, or, with a warning, if it is
    damaged.

    Args:
        path: Where; a symbolic link is not followed.
        switch: Whose leases they are to be.
        wall_s: Seconds since 1970.
        owners: User ids whose file is believed.

    Raises:
        ConfigError: what is there is something else, which is not to be replaced.
    """
    try:
        content = _content(path, owners)
        return loads(content.decode(), switch, wall_s) if content else []
    except ConfigError as e:
        raise ConfigError(f"{path}: {e}", hint=e.hint) from None
    except (WireError, UnicodeDecodeError) as e:
        log.warning("leases of before are lost file=%s reason=%r", path, str(e))
        return []


def _content(path: Path, owners: Collection[int]) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO keeps nobody
    try:
        with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
            _check(os.fstat(file.fileno()), owners)
            content = file.read(BYTES_MAX + 1)
    except FileNotFoundError:
        return b""
    except OSError as e:
        why = "a symbolic link" if path.is_symlink() else e.strerror
        raise ConfigError(f"no file of leases: {why}") from e
    if len(content) > BYTES_MAX:
        raise ConfigError(f"no file of leases has more than {BYTES_MAX} bytes")
    if content and not content.startswith(f"{_HEAD} ".encode()):
        raise ConfigError("this is no file of leases", hint="give another path, or move it away")
    return content


def _check(found: os.stat_result, owners: Collection[int]) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError("no file of leases: no regular file")
    if found.st_uid not in owners or found.st_mode & 0o022:
        raise ConfigError(
            "leases are believed only in a file that nobody else can write to",
            hint="chmod 600, and chown to the switch's user; or move it away",
        )


def write(path: Path, text: str) -> None:
    """Put *text* in place of what is at *path*: whoever reads it sees the old or the new.

    It survives a loss of power, and only our user may read it. One at a time.

    Raises:
        OSError: it cannot be written, and all is as it was.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)  # of one that was killed while it wrote
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(fd)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # or the new name could be lost with the power
    finally:
        os.close(folder)
