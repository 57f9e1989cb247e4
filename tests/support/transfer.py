"""Bytes from one namespace to another through sockets, and whether they arrived as sent."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from contextlib import ExitStack, suppress

from support.namespaces import Netns
from support.wait import wait_for

UDP_SEGMENT = 103  # <linux/udp.h>
SO_RCVBUFFORCE = 33
PORT = 5001
WINDOW = 200  # datagrams on their way at once: a TAP holds 1,000


def open_socket(ns: Netns, kind: int, address: str) -> socket.socket:
    """A socket of *kind* in *ns*, bound to *address*, any port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ns.entered():  # a socket belongs to the namespace its thread is in when it is made
        sock = socket.socket(family, kind)
    sock.settimeout(10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, 0))
    return sock


def tcp(src: Netns, dst: Netns, src_address: str, dst_address: str, n_bytes: int) -> None:
    """Send random bytes over TCP; AssertionError unless their SHA-256 arrives."""
    data = os.urandom(n_bytes)
    with ExitStack() as stack:
        listener = stack.enter_context(open_socket(dst, socket.SOCK_STREAM, dst_address))
        listener.listen()
        sender = stack.enter_context(open_socket(src, socket.SOCK_STREAM, src_address))
        sender.connect(listener.getsockname()[:2])
        receiver = stack.enter_context(listener.accept()[0])
        receiver.settimeout(10)

        def send() -> None:
            with suppress(OSError):  # then the digest is wrong
                sender.sendall(data)
                sender.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        got = hashlib.sha256()
        while part := receiver.recv(1 << 18):
            got.update(part)
        thread.join(10)
    assert got.hexdigest() == hashlib.sha256(data).hexdigest(), "other data arrived"


def udp(
    src: Netns, dst: Netns, src_address: str, dst_address: str, n_bytes: int, *,
    datagram: int = 1400, per_send: int = 1, window: int = WINDOW,
) -> None:  # fmt: skip
    """The same over UDP, *per_send* datagrams at a time by UDP_SEGMENT; each is numbered.

    The next are sent when no more than *window* have not arrived.
    """
    count = n_bytes // datagram // per_send * per_send
    sent = [i.to_bytes(4, "big") + os.urandom(datagram - 4) for i in range(count)]
    got: list[bytes] = []
    with ExitStack() as stack:
        receiver = stack.enter_context(open_socket(dst, socket.SOCK_DGRAM, dst_address))
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
        sender = stack.enter_context(open_socket(src, socket.SOCK_DGRAM, src_address))
        if per_send > 1:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, datagram)
        thread = threading.Thread(target=_receive, args=(receiver, got, count))
        thread.start()
        for i in range(0, count, per_send):
            wait_for(lambda i=i: len(got) >= i - window, f"datagram {i - window} of {count}")
            sender.sendto(b"".join(sent[i : i + per_send]), receiver.getsockname()[:2])
        thread.join(10)
    assert len(got) == count, f"{len(got)} of {count} datagrams arrived"
    assert _digest(sorted(got)) == _digest(sent), "other data arrived"


def _receive(sock: socket.socket, got: list[bytes], count: int) -> None:
    while len(got) < count:
        try:
            got.append(sock.recv(70000))
        except OSError:  # nothing comes, or whoever waited has given up
            return


def _digest(parts: list[bytes]) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()
