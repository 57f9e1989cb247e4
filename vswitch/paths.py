"""Paths in the words of a port: they are relative to a folder, and who asks is in another one."""

from __future__ import annotations

import os.path
from collections.abc import Iterator

from vswitch.errors import ConfigError
from vswitch.options import is_path
from vswitch.portconfig import PortConfig

_KINDS = ("vhost-user", "dgram", "pcap", "record")  # their address is a path; qemu's may be one
_OPTIONS = ("remote", "out")


def absolute(text: str, folder: str) -> str:
    """*text*, a port or a place to listen, with its paths as they are seen from *folder*.

    What is no port is left as it is: its reader says so.
    """
    head, *options = text.split(",")
    kind, colon, address = head.partition(":")
    if not colon or not (kind in _KINDS or (kind == "qemu" and is_path(address))):
        return text
    words = [f"{kind}:{_joined(folder, address)}"]
    for option in options:
        key, _, value = option.partition("=")
        words.append(f"{key}={_joined(folder, value)}" if key in _OPTIONS and value else option)
    return ",".join(words)


def _joined(folder: str, path: str) -> str:
    if not path or os.path.isabs(path):
        return path
    # A folder keeps its "/": that is how one is told from a socket.
    return os.path.normpath(os.path.join(folder, path)) + "/" * path.endswith("/")


def check_absolute(port: PortConfig) -> None:
    """Raise ConfigError if a path of *port* depends on the folder somebody is in."""
    for path in _paths(port):
        if not os.path.isabs(path):
            raise ConfigError(
                f"{path} is relative, and the switch is in another folder than you may be",
                hint=f"give the whole path: {_joined('/...', path)}",
            )


def _paths(port: PortConfig) -> Iterator[str]:
    if port.kind in _KINDS or (port.kind == "qemu" and is_path(port.address)):
        yield port.address
    if port.kind == "dgram":
        yield port.remote
    if port.out:
        yield port.out
