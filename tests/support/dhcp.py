"""DHCP by programs nobody here wrote: dnsmasq serves in one namespace, udhcpc asks in another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.namespaces import Netns
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

    assert SERVER in station.run("ping", "-c1", "-W2", SERVER)
    assert f"inet {SERVER[:-1]}" in station.ip("-4", "addr", "show", "eth0")
