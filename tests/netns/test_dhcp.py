"""DHCP, whose clients and servers read frames raw and so notice unfinished checksums."""

from __future__ import annotations

import pytest

from support.dhcp import get_address

pytestmark = pytest.mark.netns

CLIENTS = pytest.mark.parametrize(
    "client", [["udhcpc"], ["busybox", "udhcpc"]], ids=["udhcpc", "busybox"]
)


@pytest.mark.parametrize("offloads", [(True, True), (True, False), (False, True)])
@CLIENTS
def test_a_client_gets_its_address_through_the_switch(joined, tmp_path, offloads, client):
    net = joined(*({"offloads": o} for o in offloads), addresses=False)

    get_address(*net.sides, tmp_path, client)


@CLIENTS
def test_a_client_gets_its_address_through_veths(wired, tmp_path, client):
    get_address(*wired({}, {}, addresses=False).sides, tmp_path, client)
