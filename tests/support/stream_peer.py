"""The far end of a stream port: what QEMU's ``-netdev stream`` does, in Python."""

from __future__ import annotations

import socket
import struct
from pathlib import Path


def prefixed(*frames: bytes) -> bytes:
    """*frames* as they travel: each behind its length."""
    return b"".join(struct.pack(">I", len(f)) + f for f in frames)


class StreamPeer:
    """One VM's end of the connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.setblocking(False)
        self._bytes = b""

    @classmethod
    def connect(cls, path: Path) -> StreamPeer:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.connect(str(path))
        return cls(s)

    @classmethod
    def connect_tcp(cls, address: tuple[str, int]) -> StreamPeer:
        return cls(socket.create_connection(address, timeout=5))

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(prefixed(*frames))

    def read_some(self, size: int = 1 << 20) -> int:
        """Take at most *size* waiting bytes; how many."""
        try:
            got = self.socket.recv(size)
        except BlockingIOError:
            return 0
        self._bytes += got
        return len(got)

    def frames(self) -> list[bytes]:
        """What has arrived completely; the stream must be in step."""
        while self.read_some():
            pass
        found = []
        while len(self._bytes) >= 4:
            (length,) = struct.unpack_from(">I", self._bytes)
            assert 14 <= length <= 65568, "the stream is out of step"
            if len(self._bytes) < 4 + length:
                break
            found.append(self._bytes[4 : 4 + length])
            self._bytes = self._bytes[4 + length :]
        return found

    @property
    def unfinished(self) -> bytes:
        """The beginning of a frame whose end has not arrived."""
        return self._bytes

    def hung_up(self) -> bool:
        """Whether the switch has closed its end."""
        try:
            return self.socket.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()


class StreamListener:
    """A QEMU that listens (``server=on``): on a path, or on any free port of a host."""

    def __init__(self, place: Path | str, *, backlog: int = 5) -> None:
        if isinstance(place, Path):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.bind(str(place))
        else:
            family = socket.AF_INET6 if ":" in place else socket.AF_INET
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            self.socket.bind((place, 0))
        self.socket.listen(backlog)
        self.socket.settimeout(5)
        self._path = place if isinstance(place, Path) else None

    @property
    def address(self) -> tuple[str, int]:
        """Host and TCP port."""
        host, port, *_ = self.socket.getsockname()
        return host, port

    def accept(self) -> StreamPeer:
        return StreamPeer(self.socket.accept()[0])

    def close(self) -> None:
        self.socket.close()
        if self._path:
            self._path.unlink()
