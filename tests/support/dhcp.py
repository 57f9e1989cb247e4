"""DHCP by programs nobody here wrote: dnsmasq serves in one namespace, udhcpc asks in another."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_Advertise,
    DHCP6_Release,
    DHCP6_Reply,
    DHCP6_Request,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
    DHCP6OptServerId,
)
from scapy.packet import Packet

from support.namespaces import Netns
from support.net import PATIENT
from support.wait import wait_for

SERVER = "192.0.2.1"
SCRIPT = """#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/24" dev "$interface"
exit 0
"""


@contextmanager
def dnsmasq(ns: Netns, device: str, folder: Path, *, vendor: str = "") -> Iterator[None]:
    """Lease 192.0.2.100 to .150 on *device*; with *vendor*, to clients of that class only."""
    command = [
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
        f"--interface={device}", "--bind-interfaces", "--dhcp-authoritative", "--no-ping",
        "--dhcp-range=192.0.2.100,192.0.2.150,1h", f"--dhcp-leasefile={folder}/{device}.leases",
        f"--pid-file={folder}/{device}.pid", "--log-facility=-",
    ]  # fmt: skip
    if vendor:  # slashes, as dnsmasq is content with a part of what a client says
        command += [f"--dhcp-vendorclass=set:ours,/{vendor}/", "--dhcp-ignore=tag:!ours"]
    with ns.background(*command):
        wait_for(lambda: ":67 " in ns.run("ss", "-lun"), "dnsmasq listens")
        yield


@contextmanager
def dnsmasq6(ns: Netns, device: str, folder: Path) -> Iterator[None]:
    """Lease fd00::100 to fd00::150 on *device*, by DHCPv6."""
    command = [
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
        f"--interface={device}", "--dhcp-authoritative", "--log-facility=-",
        "--dhcp-range=fd00::100,fd00::150,64,1h", f"--dhcp-leasefile={folder}/{device}.leases6",
        f"--pid-file={folder}/{device}.pid6",
    ]  # fmt: skip
    with ns.background(*command):
        wait_for(lambda: ":547 " in ns.run("ss", "-lun"), "dnsmasq listens")
        yield


class Client6:
    """A client of DHCPv6 at eth0 of a namespace: the kernel's UDP, and scapy's messages."""

    def __init__(self, ns: Netns, mac: bytes) -> None:
        self._who = DHCP6OptClientId(duid=DUID_LL(lladdr=mac.hex(":")))
        self._xid = 0
        with ns.entered():
            self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self._scope = socket.if_nametoindex("eth0")
        self._socket.settimeout(2)
        self._socket.bind(("::", 546, 0, self._scope))
        self._server: Packet | None = None

    def close(self) -> None:
        self._socket.close()

    def lease(self) -> str:
        """Solicit and request; the address that is leased."""
        advert = self.ask(DHCP6_Solicit, DHCP6OptIA_NA(iaid=1))
        offered = advert[DHCP6OptIA_NA]
        self._server = DHCP6OptServerId(duid=advert[DHCP6OptServerId].duid)
        reply = self.ask(DHCP6_Request, offered.copy())
        return str(reply[DHCP6OptIAAddress].addr)

    def release(self, ip: str) -> None:
        address = DHCP6OptIAAddress(addr=ip)
        self.ask(DHCP6_Release, DHCP6OptIA_NA(iaid=1, ianaopts=[address]))

    def ask(self, kind: type[Packet], ia: Packet) -> Packet:
        """Say something; what is answered."""
        self._xid += 1
        ia.remove_payload()
        message = kind(trid=self._xid) / self._who
        message = message / self._server / ia if self._server else message / ia
        for _ in range(5):
            self._socket.sendto(bytes(message), ("ff02::1:2", 547, 0, self._scope))
            try:
                answer = self._socket.recv(2048)
            except TimeoutError:
                continue
            return {2: DHCP6_Advertise, 7: DHCP6_Reply}[answer[0]](answer)
        raise AssertionError(f"no answer to {kind.__name__}")


def ask(
    ns: Netns, device: str, *, client: Sequence[str] = ("busybox", "udhcpc"), vendor: str = "",
    script: str = "/bin/true",
) -> str:  # fmt: skip
    """Get a lease on *device*, and let *script* do with it what it likes; what the client said."""
    options = ["-V", f"/{vendor}/"] if vendor else []
    return ns.run(
        *client, "-i", device, "-n", "-q", "-f", "-t", "10", "-T", "1", "-s", script, *options
    )


def get_address(
    server: Netns, station: Netns, folder: Path, client: Sequence[str], *, device: str = "eth0"
) -> None:
    """Serve at *device* of *server*, ask at eth0 of *station*; AssertionError unless it gets one
    and then reaches the server."""
    if SERVER not in server.ip("-4", "addr", "show", device):
        server.ip("addr", "add", f"{SERVER}/24", "dev", device)
    script = folder / "configure"
    script.write_text(SCRIPT)
    script.chmod(0o755)

    with dnsmasq(server, device, folder):
        ask(station, "eth0", client=client, script=str(script))

    assert SERVER in station.run("ping", "-c1", PATIENT, SERVER)
    assert f"inet {SERVER[:-1]}" in station.ip("-4", "addr", "show", "eth0")
