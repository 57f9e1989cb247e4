"""DHCP, whose clients and servers read frames raw and so notice unfinished checksums."""

from __future__ import annotations

import pytest

from support.dhcp import dnsmasq

pytestmark = pytest.mark.netns

SCRIPT = """#!/bin/sh
[ "$1" = bound ] && ip addr add "$ip/24" dev "$interface"
exit 0
"""


CLIENTS = pytest.mark.parametrize(
    "client", [["udhcpc"], ["busybox", "udhcpc"]], ids=["udhcpc", "busybox"]
)


@pytest.mark.parametrize("offloads", [(True, True), (True, False), (False, True)])
@CLIENTS
def test_a_client_gets_its_address_through_the_switch(joined, tmp_path, offloads, client):
    get_address(joined(*({"offloads": o} for o in offloads), addresses=False), tmp_path, client)


@CLIENTS
def test_a_client_gets_its_address_through_veths(wired, tmp_path, client):
    get_address(wired({}, {}, addresses=False), tmp_path, client)


def get_address(net, tmp_path, client):
    """Serve at the first side and ask at the second."""
    server, station = net.sides
    server.ip("addr", "add", "192.0.2.1/24", "dev", "eth0")
    script = tmp_path / "configure"
    script.write_text(SCRIPT)
    script.chmod(0o755)

    with dnsmasq(server, "eth0", tmp_path):
        station.run(
            *client, "-i", "eth0", "-n", "-q", "-f", "-t", "10", "-T", "1", "-s", str(script)
        )

    assert "192.0.2.1" in station.run("ping", "-c1", "-W2", "192.0.2.1")
    assert "inet 192.0.2.1" in station.ip("-4", "addr", "show", "eth0")
