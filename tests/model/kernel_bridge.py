"""A Linux bridge whose ports are TAPs, of which the file ends are here."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bridge_lock import BridgeLock
from support.wait import wait_for
from tests.model.traffic import STATIONS
from vswitch.linux import device

N_PORTS = 4
MTU = 1500
TUNSETIFF = 0x400454CA  # <linux/if_tun.h>
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=20)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}: {done.stderr.strip()}\n{stdin}")
    return done.stdout


@contextlib.contextmanager
def entered(namespace: str) -> Iterator[None]:
    """Move the calling thread into a namespace, and back whatever happens."""
    with open(f"/run/netns/{namespace}") as there, device.entered(there.fileno()):
        yield


class Bridge:
    """A Linux bridge with TAPs for ports, in a namespace of its own and without any chatter."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.made = False
        self.fds: list[int] = []
        with entered(namespace):
            for sysctl in ("net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/default/disable_ipv6"):
                if Path("/proc/sys", sysctl).exists():
                    Path("/proc/sys", sysctl).write_text("1")
            for sysctl in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*"):
                sysctl.write_text("0")  # or the firewall's IP code trims and drops frames
            for n in range(N_PORTS):
                fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
                self.fds.append(fd)
                name = f"p{n}".encode()
                fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name, IFF_TAP | IFF_NO_PI))
            self.locks = BridgeLock()
            self.indexes = [socket.if_nametoindex(f"p{n}") for n in range(N_PORTS)]

    def close(self) -> None:
        self.locks.close()
        for fd in self.fds:
            os.close(fd)

    def ip(self, *lines: str) -> None:
        run("ip", "-n", self.namespace, "-batch", "-", stdin="\n".join(lines) + "\n")

    def bridge(self, *arguments: str) -> str:
        return run("bridge", "-n", self.namespace, *arguments)

    def start_over(self, n_ports: int, group_fwd_mask: int) -> None:
        """Make the bridge anew, with the first *n_ports* TAPs."""
        if self.made:
            self.ip("link del br0")
        self.made = True
        self.ip(
            "link add br0 type bridge stp_state 0 forward_delay 0 ageing_time 30000"
            f" mcast_snooping 0 mcast_querier 0 group_fwd_mask {group_fwd_mask}",
            *(f"link set p{n} mtu {MTU} master br0 up" for n in range(n_ports)),
            "link set br0 up",
        )
        self.wait_until_forwarding(*range(n_ports))
        for fd in self.fds:
            self.drain(fd)

    def wait_until_forwarding(self, *ports: int) -> None:
        expected = {f"p{n}" for n in ports}
        wait_for(lambda: expected <= self.forwarding(), "the bridge to forward")

    def forwarding(self) -> set[str]:
        links = json.loads(self.bridge("-j", "link", "show"))
        return {link["ifname"] for link in links if link.get("state") == "forwarding"}

    def send(self, port: int, frame: bytes) -> None:
        # EINVAL: too short for the TAP; EIO: it is down.  No bridge gets to see such a frame.
        with contextlib.suppress(OSError):
            os.write(self.fds[port], frame)

    def drain(self, fd: int) -> list[bytes]:
        out = []
        with contextlib.suppress(BlockingIOError):
            while True:
                out.append(os.read(fd, 65536))
        return out

    def receive(self) -> list[list[bytes]]:
        return [self.drain(fd) for fd in self.fds]

    def stations(self) -> dict[bytes, tuple[int, bool]]:
        """Where the bridge has the stations of the test: address to (port, static)."""
        rows = json.loads(self.bridge("-j", "fdb", "show", "br", "br0"))
        found = {bytes.fromhex(row["mac"].replace(":", "")): row for row in rows}
        return {
            mac: (int(found[mac]["ifname"][1:]), found[mac]["state"] == "static")
            for mac in STATIONS
            if mac in found
        }
