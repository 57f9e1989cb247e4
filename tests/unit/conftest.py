"""vhost-user sessions whose guest takes notes, or is one on a datapath."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.front_end import FakeGuest, Machine, open_fds
from support.guest_rig import Rig
from vswitch._guest import Guest
from vswitch._ports import add_vhost_port


@pytest.fixture
def fake() -> Iterator[Machine]:
    before = open_fds()
    machine = Machine(FakeGuest())
    yield machine
    machine.close()
    assert open_fds() == before


@pytest.fixture
def real(rig, request) -> Iterator[tuple[Machine, Rig]]:
    """The same on a datapath: machine, rig."""
    net = rig()
    number = add_vhost_port(net.datapath, queues=1, mtu=1500)
    before = open_fds()
    machine = Machine(Guest(net.datapath, number), packed=getattr(request, "param", False))
    yield machine, net
    machine.close()
    assert open_fds() == before
