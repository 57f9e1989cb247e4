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
