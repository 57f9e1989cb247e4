"""What several files of unit tests begin with; a file that needs another one says so itself.

Services without ports, and machines at vhost-user ports or sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.front_end import FakeGuest, Machine, open_fds
from support.guest_rig import Rig
from support.lab import Lab
from support.services import recordings, services
from support.vhost_lab import Plug, plugs
from vswitch._guest import Guest
from vswitch._ports import add_vhost_port
from vswitch.portconfig import PortConfig
from vswitch.service import Service


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


# ---------------------------------------------------------------------- services


@pytest.fixture
def make() -> Iterator[Callable[..., Service]]:
    """Factory of services, which are closed after the test."""
    with services() as make:
        yield make


@pytest.fixture
def service(make: Callable[..., Service]) -> Service:
    return make()


@pytest.fixture
def out(tmp_path: Path) -> Callable[..., PortConfig]:
    """Factory of ports that need nobody."""
    return recordings(tmp_path)


# ---------------------------------------------------------------------- machines at a switch


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where a machine's socket is to be."""
    return tmp_path / "vm.sock"


@pytest.fixture
def net(lab: Callable[..., Lab], caplog: pytest.LogCaptureFixture) -> Lab:
    """A switch with one port, "a", that warns, whatever level other tests have left behind."""
    caplog.set_level("WARNING")
    return lab("a")


@pytest.fixture
def plug(net: Lab, place: Path) -> Iterator[Plug]:
    """Factory of machines at *place*, which look at the switch as they speak."""
    with plugs(net, place) as plug:
        yield plug
