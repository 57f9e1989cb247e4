"""Both datapaths between two namespaces, over TAPs without offloads."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import struct
import subprocess
import threading
from types import SimpleNamespace

import pytest

from support.wait import wait_for
from vswitch import _fastpath, _ports, _slowpath
from vswitch.linux import device

pytestmark = pytest.mark.netns

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETLE = 0x400454CA, 0x400454D0, 0x400454DC  # <linux/if_tun.h>
IFF_TAP_NO_PI_VNET_HDR = 0x0002 | 0x1000 | 0x4000


def ip(*command):
    done = subprocess.run(["ip", *command], capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.fail(f"ip {' '.join(command)}: {done.stderr.strip()}")


@contextlib.contextmanager
def entered(namespace):
    """Move the calling thread into a namespace, and back whatever happens."""
    with open(f"/run/netns/{namespace}") as there, device.entered(there.fileno()):
        yield


def open_tap(namespace):
    with entered(namespace):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP_NO_PI_VNET_HDR))
        fcntl.ioctl(fd, TUNSETVNETLE, struct.pack("i", 1))
        fcntl.ioctl(fd, TUNSETOFFLOAD, 0)
    return fd


@pytest.fixture
def namespaces():
    names = [f"vsw-{os.getpid()}-{side}" for side in ("left", "right")]
    try:
        for name in names:
            ip("netns", "add", name)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20)


@pytest.fixture(params=[(_fastpath, _ports), (_slowpath, _slowpath)], ids=["compiled", "python"])
def lan(request, namespaces):
    """A running switch between 10.9.0.1 and 10.9.0.2."""
    core, ports = request.param
    datapath = core.Datapath()
    fds = []
    for number, name in enumerate(namespaces, 1):
        fds.append(open_tap(name))
        ip("-n", name, "address", "add", f"10.9.0.{number}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ports.add_tap_port(datapath, [fds[-1]], offloads=0, mtu=1500)
    poller = threading.Thread(target=datapath.run, args=(0,))
    poller.start()
    yield SimpleNamespace(datapath=datapath, names=namespaces)
    datapath.stop()
    poller.join(10)
    assert not poller.is_alive()
    for fd in fds:
        os.close(fd)


def test_tcp_carries_a_megabyte_unharmed(lan):
    left, right = lan.names
    data = os.urandom(1 << 20)
    with entered(right):
        listener = socket.create_server(("10.9.0.2", 0))
    with entered(left):
        sender = socket.socket()
    received = hashlib.sha256()

    def receive():
        connection, _ = listener.accept()
        with connection:
            while part := connection.recv(1 << 16):
                received.update(part)

    reader = threading.Thread(target=receive)
    reader.start()
    with sender, listener:
        sender.settimeout(20)
        sender.connect(listener.getsockname())
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        reader.join(20)

    assert received.hexdigest() == hashlib.sha256(data).hexdigest()


def test_a_deleted_tap_takes_only_its_own_port_down(lan):
    ip("-n", lan.names[1], "link", "del", "eth0")

    wait_for(lambda: lan.datapath.port_error(1), "the port fails")

    assert lan.datapath.port_error(1) == errno.EBADFD
    assert lan.datapath.port_error(0) == 0
