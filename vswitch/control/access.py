"""Who may ask a switch: over its unix socket some users of this host, over TCP who has a token.

The mode of a socket's file says who may connect, and nothing once the socket is handed around; so
the kernel is asked who it is (SO_PEERCRED, see `vswitch.linux.peer`). Over TCP each request carries
the token (RFC 6750); no page that a browser shows knows it, so neither the Host header (DNS
rebinding) nor the Origin (forged requests) needs a look.
"""

from __future__ import annotations

import grp
import hmac
import os
import re
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

from vswitch.errors import ConfigError
from vswitch.linux import peer

TOKEN_MIN, TOKEN_MAX = 16, 1024  # characters
_TOKEN = re.compile(rb"[!-~]+")  # of a header's value all that shows
NOT_YOURS = "this switch is not yours to ask"
NEW_TOKEN = "make one: (umask 077; openssl rand -hex 32 >FILE)"


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask.

    Args:
        group: Whose members may, besides root and *owner*; None: nobody's.
        token: What is asked for over TCP.
        owner: A user id, by default of this process.
    """

    group: int | None = None
    token: str | None = field(default=None, repr=False)
    owner: int = field(default_factory=os.geteuid)

    def admits(self, connection: socket.socket) -> bool:
        """Whether the process that connected may ask; over TCP `knows` decides, later."""
        if connection.family != socket.AF_UNIX:
            return True
        found = peer.credentials(connection)
        if found.uid in (0, self.owner):
            return True
        return self.group is not None and self.group in (found.gid, *peer.groups(connection))

    def knows(self, authorization: str) -> bool:
        """Whether a header is ``Bearer`` and the token; takes as long whatever of it is wrong."""
        scheme, _, given = authorization.partition(" ")
        expected = (self.token or "").encode()
        same = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), expected)
        return same and bool(expected) and scheme.lower() == "bearer"


def group_id(name: str) -> int:
    """The id of a group, given by name or number.

    Raises:
        ConfigError: there is none.
    """
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        pass
    try:
        return grp.getgrgid(int(name)).gr_gid
    except (KeyError, ValueError, OverflowError):
        raise ConfigError(f"--api-group: no group {name!r} on this host") from None


def read_token(path: Path) -> str:
    """The token in a file: one line, for its owner (and a group that only reads) to know.

    Raises:
        ConfigError: it cannot be read, anybody can read it, or it holds no good token.
    """
    try:
        # A pipe or a device would be waited for.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(f"{path} is not a file", hint=NEW_TOKEN)
            if found.st_mode & 0o027:
                raise ConfigError(
                    f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
                    hint=f"chmod 600 {path}, and let it hold a new token",
                )
            token = file.read(TOKEN_MAX + 2).strip()
    except OSError as e:
        raise ConfigError(f"cannot read the token in {path}: {e.strerror}") from e
    if not token:
        raise ConfigError(f"{path} is empty", hint=NEW_TOKEN)
    if not TOKEN_MIN <= len(token) <= TOKEN_MAX or not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"the token in {path} is not a line of {TOKEN_MIN} to {TOKEN_MAX} characters "
            "of ASCII without blanks",
            hint=NEW_TOKEN,
        )
    return token.decode()
