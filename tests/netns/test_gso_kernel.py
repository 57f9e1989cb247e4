"""Our segments against Linux's: a super-frame is bridged to a TAP that takes only finished ones.

    in (IFF_VNET_HDR) -- bridge -- out (no header, so the kernel cuts and sums in software)

The oracle is whatever kernel runs the tests; equality is byte for byte.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.super_frames import (
    Finisher,
    build,
    datagrams,
    super_frames,
    without_identification,
)

pytestmark = pytest.mark.netns


# <linux/if_tun.h>, <linux/sched.h>
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
CLONE_NEWNET = 0x40000000

# IEEE 802 local experimental EtherType: the frame that says "nothing more is coming".
SENTINEL = bytes.fromhex("020000000001020000000002 88b5") + bytes(46)
MAX_FRAME_BYTES = 1514  # of the devices
PREFIX = f"vsw-{os.getpid()}-"

_libc = ctypes.CDLL(None, use_errno=True)


def ip(*args: str) -> None:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, timeout=10)
    if done.returncode:
        pytest.fail(f"ip {' '.join(args)}: {done.stderr.strip()}")


def setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextmanager
def entered(ns: str) -> Iterator[None]:
    """Move this thread into *ns*, and back out whatever happens."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{ns}") as there:
        setns(there.fileno())
        try:
            yield
        finally:
            setns(home.fileno())


def open_tap(name: str, flags: int = 0) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(
            fd,
            TUNSETIFF,
            struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | flags),
        )
    except OSError:
        os.close(fd)
        raise
    return fd


def quieten(device: str) -> None:
    """Keep the kernel's own frames off *device*; must run in its namespace."""
    Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")


class Kernel:
    """Linux as a segmenter."""

    def __init__(self, fd_in: int, fd_out: int) -> None:
        self._in, self._out = fd_in, fd_out

    def finish(self, vnet: bytes, frame: bytes) -> list[bytes] | None:
        """Return what Linux makes of a frame, or None when it refuses the header."""
        try:
            os.write(self._in, vnet + frame)
        except OSError as e:
            if e.errno != errno.EINVAL:
                raise
            return None
        os.write(self._in, bytes(10) + SENTINEL)
        return list(iter(self._read, SENTINEL))

    def _read(self) -> bytes:
        if not select.select([self._out], [], [], 5)[0]:
            pytest.fail("the kernel lost the frame that ends a run")
        return os.read(self._out, 70000)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    ns, bridge, names = PREFIX + "gso", PREFIX + "br", (PREFIX + "in", PREFIX + "out")
    with ExitStack() as cleanup:  # undone in reverse order: close the TAPs, delete the namespace
        ip("netns", "add", ns)
        cleanup.callback(subprocess.run, ["ip", "netns", "del", ns], check=False, timeout=10)
        with entered(ns):
            fds = [open_tap(names[0], IFF_VNET_HDR), open_tap(names[1])]
            for fd in fds:
                cleanup.callback(os.close, fd)
            ip("link", "add", "name", bridge, "type", "bridge", "mcast_snooping", "0")
            # The IP filter would check, trim and drop what a bridge must pass on.
            for hook in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
                hook.write_text("0")
            for name in names:
                ip("link", "set", "dev", name, "master", bridge)
            for device in (bridge, *names):
                quieten(device)
                ip("link", "set", "dev", device, "up")
        kernel = Kernel(*fds)
        assert kernel.finish(bytes(10), SENTINEL[:-1] + b"x") == [SENTINEL[:-1] + b"x"]
        yield kernel


@pytest.fixture(scope="module")
def finisher(tmp_path_factory) -> Iterator:
    with Finisher(tmp_path_factory.mktemp("finisher")) as finisher:
        yield finisher


SHAPES = {
    "tcp4": {},
    "tcp6": {"is_v6": True},
    "udp4": {"is_udp": True},
    "udp6": {"is_v6": True, "is_udp": True},
    "identification wraps, df": {"ip_id": 0xFFFF, "df": True},
    "identification advances without df": {"ip_id": 7, "df": False},
    "fin, psh, cwr": {"flags": 0x99},
    "every flag, cwr announced": {"flags": 0xFF, "ecn": True},
    "cwr over ipv6": {"flags": 0x90, "ecn": True, "is_v6": True},
    "odd segments": {"gso_size": 777},
    "single bytes": {"gso_size": 1, "payload_len": 40},
    "a whole multiple": {"gso_size": 1000, "payload_len": 3000},
    "the longest ipv4 packet": {"payload_len": 65535 - 52},
    "ip and tcp options": {"ip_words": 10, "tcp_words": 10},
    "extension headers": {"is_v6": True, "ext": "hdrd"},
    "udp behind extension headers": {"is_v6": True, "is_udp": True, "ext": "hd"},
    "one tag": {"tags": 1},
    "one tag, udp6": {"tags": 1, "is_v6": True, "is_udp": True},
    "two tags": {"tags": 2},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_segments_are_the_kernels(kernel, finisher, shape):
    s = build(**shape)

    ours = finisher.finish(s.vnet, s.frame)

    assert len(ours) > 1
    assert ours == kernel.finish(s.vnet, s.frame)


@settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(s=super_frames())
def test_segments_of_any_shape_are_the_kernels(kernel, finisher, s):
    assert finisher.finish(s.vnet, s.frame) == kernel.finish(s.vnet, s.frame)


# Behind extension headers Linux (6.18) counts their length into the offsets of its fragments.
@settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(s=datagrams(("",)))
def test_fragments_are_the_kernels(kernel, finisher, s):
    ours = finisher.finish(s.vnet, s.frame)
    assume(len(ours) > 1 or len(ours[0]) <= MAX_FRAME_BYTES)  # or the kernel's device refuses it

    assert ours == without_identification(s, kernel.finish(s.vnet, s.frame))


def test_the_kernels_identifications_are_random_too(kernel):
    s = build(is_v6=True, is_udp=True, whole=True, ip_words=0)

    seen = {kernel.finish(s.vnet, s.frame)[0][-s.gso_size - 4 :][:4] for _ in range(4)}

    assert len(seen) == 4


@settings(deadline=None, max_examples=examples(60))
@given(s=super_frames(), field=st.sampled_from(["ip length", "udp length", "pseudo"]),
       value=st.binary(min_size=2, max_size=2))  # fmt: skip
def test_lengths_and_pseudo_headers_of_liars_give_the_kernels_segments(
    kernel, finisher, s, field, value
):
    at = {
        "ip length": s.l3 + (4 if s.is_v6 else 2),
        "udp length": s.l4 + 4 if s.is_udp else s.l3 + (4 if s.is_v6 else 2),
        "pseudo": s.l4 + (6 if s.is_udp else 16),
    }[field]
    frame = s.frame[:at] + value + s.frame[at + 2 :]

    assert finisher.finish(s.vnet, frame) == kernel.finish(s.vnet, frame)


def without_tcp_zero(s, frames: list[bytes]) -> list[bytes]:
    """Linux sends the checksum 0 as 0xffff for TCP, too; that is the same number (RFC 1071)."""
    field = s.l4 + 16
    if s.is_udp or frames[0][field : field + 2] != b"\0\0":
        return frames
    return [frames[0][:field] + b"\xff\xff" + frames[0][field + 2 :]]


@settings(deadline=None, max_examples=examples(60))
@given(
    is_v6=st.booleans(),
    is_udp=st.booleans(),
    tags=st.integers(0, 2),
    payload_len=st.integers(0, 1400),
    seed=st.integers(0, 0xFFFF),
)
def test_finished_checksums_are_the_kernels(kernel, finisher, **shape):
    s = build(gso=False, **shape)

    ours = finisher.finish(s.vnet, s.frame)

    assert without_tcp_zero(s, ours) == kernel.finish(s.vnet, s.frame)


# The lies whose answer is not a matter of taste; where Linux is more lenient, we say no.
LIES = {
    "checksum field behind the end": ("<H", 6, 0xFFF0),
    "no segment size": ("<H", 4, 0),
    "unknown type": ("B", 1, 0x7F),
    "checksum of udp in tcp": ("<H", 8, 6),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_header_that_lies_is_refused_as_the_kernel_does(kernel, finisher, lie):
    s = build()
    vnet = bytearray(s.vnet)
    struct.pack_into(lie[0], vnet, *lie[1:])

    assert finisher.finish(bytes(vnet), s.frame) is None
    assert not kernel.finish(bytes(vnet), s.frame)
