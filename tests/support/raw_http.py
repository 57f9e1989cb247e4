"""HTTP as bytes, for requests that no client library would make."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 20

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def connected(path: Path | tuple[str, int]) -> Iterator[socket.socket]:
    """A connection to a unix socket, or to (host, port)."""
    if isinstance(path, tuple):
        made = socket.create_connection(path)
    else:
        made = socket.socket(socket.AF_UNIX)
        made.connect(str(path))
    with made:
        made.settimeout(PATIENCE_S)
        yield made


def request(method: str, target: str, body: bytes | None = None, **headers: str) -> bytes:
    """A request as bytes; ``Content_Type="..."`` becomes the header Content-Type."""
    lines = [f"{method} {target} HTTP/1.1", "Host: vswitch"]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def read_answer(connection: socket.socket, *, head_only: bool = False) -> Answer:
    """(status, headers in lower case, body) of one answer, not a byte more."""
    head = _until(connection, b"\r\n\r\n").decode()
    first, *lines = head.strip().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    if head_only:
        return int(first.split()[1]), headers, b""
    if headers.get("transfer-encoding") == "chunked":
        return int(first.split()[1]), headers, b"".join(_chunks(connection))
    return int(first.split()[1]), headers, _exactly(connection, int(headers["content-length"]))


def ask(path: Path | tuple[str, int], sent: bytes) -> Answer:
    """Send *sent* on a connection of its own; the answer."""
    with connected(path) as connection:
        connection.sendall(sent)
        return read_answer(connection)


def ask_json(path: Path | tuple[str, int], sent: bytes) -> tuple[int, object]:
    """The same; (status, JSON)."""
    status, headers, body = ask(path, sent)
    assert headers["content-type"].startswith("application/json"), headers
    assert body.endswith(b"\n")
    return status, json.loads(body)


def is_closed(connection: socket.socket) -> bool:
    """Whether nothing more comes: waits for what comes, or the end."""
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionError:
        return True


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    while length := int(_until(connection, b"\r\n"), 16):
        yield _exactly(connection, length + 2)[:-2]
    _until(connection, b"\r\n")


def _until(connection: socket.socket, end: bytes) -> bytes:
    said = b""
    while True:
        seen = connection.recv(1 << 12, socket.MSG_PEEK)
        assert seen, f"closed after {said!r}"
        at = (said + seen).find(end)
        if at >= 0:
            return said + _exactly(connection, at + len(end) - len(said))
        said += _exactly(connection, len(seen))


def _exactly(connection: socket.socket, count: int) -> bytes:
    said = b""
    while len(said) < count:
        more = connection.recv(count - len(said))
        assert more, f"closed after {said!r}"
        said += more
    return said
