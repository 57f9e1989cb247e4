"""The places where a switch is asked: its unix socket, and a TCP port if there is to be one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vswitch import options
from vswitch.control import address
from vswitch.control.access import Access, group_id, read_token
from vswitch.errors import ConfigError
from vswitch.linux import inet

BACKLOG = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say: ``--api-group``, ``--api-listen`` and ``--api-token-file``.

    Raises:
        ConfigError: a place on TCP without a token, or a token without a place.
    """

    group: str | None = None
    listen: str | None = None
    token_file: Path | None = None

    def __post_init__(self) -> None:
        if self.listen is not None and self.token_file is None:
            raise ConfigError(
                "--api-listen needs --api-token-file: over TCP anybody could ask",
                hint="(umask 077; openssl rand -hex 32 >FILE)",
            )
        if self.token_file is not None and self.listen is None:
            raise ConfigError(
                "--api-token-file needs --api-listen", hint="on the socket nobody asks for a token"
            )


@dataclass(frozen=True, slots=True)
class Doors:
    """Open sockets that listen, and who may come in."""

    listeners: tuple[socket.socket, ...]
    access: Access
    url: str | None = None  # of the one on TCP

    @property
    def places(self) -> list[str]:
        """Where they are, in words."""
        path = str(self.listeners[0].getsockname())
        return [path, self.url] if self.url else [path]


@contextmanager
def opened(
    path: Path,
    name: str,
    wanted: Wanted = Wanted(),
    *,
    owner: tuple[int, int] = (-1, -1),
    handed_in: int | None = None,
) -> Iterator[Doors]:
    """The doors of the switch called *name*; they are closed, and the file is gone, at the end.

    Raises:
        ConfigError: one of them cannot be had.
    """
    group = None if wanted.group is None else group_id(wanted.group)
    token = None if wanted.token_file is None else read_token(wanted.token_file)
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(
                address.listening(path, name, owner=owner, group=group, handed_in=handed_in)
            )
        ]
        url = None
        if wanted.listen is not None:
            listeners.append(stack.enter_context(_tcp(wanted.listen)))
            url = f"http://{inet.text(listeners[1].getsockname())}"
        user = os.geteuid() if owner[0] == -1 else owner[0]
        yield Doors(tuple(listeners), Access(group=group, token=token, owner=user), url)


def _tcp(place: str) -> socket.socket:
    there = options.host_port("--api-listen", place)
    try:
        return inet.listening(there, BACKLOG)
    except OSError as e:
        raise ConfigError(f"cannot listen at {place}: {e.strerror}") from e
