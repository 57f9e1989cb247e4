"""A DHCP server in a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.namespaces import Netns
from support.wait import wait_for


@contextmanager
def dnsmasq(ns: Netns, device: str, folder: Path) -> Iterator[None]:
    """Hand out 192.0.2.100 to 150 at *device* of *ns*, which has 192.0.2.1/24."""
    command = [
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
        f"--interface={device}", "--bind-interfaces", "--dhcp-authoritative", "--no-ping",
        "--dhcp-range=192.0.2.100,192.0.2.150,1h", f"--dhcp-leasefile={folder}/leases",
        f"--pid-file={folder}/pid", "--log-facility=-",
    ]  # fmt: skip
    with ns.background(*command):
        wait_for(lambda: ":67 " in ns.run("ss", "-lun"), "dnsmasq listens")
        yield
