"""A port that cannot be added, whatever fails on the way, leaves nothing behind."""

from __future__ import annotations

import logging
from contextlib import contextmanager

import pytest

from support.frames import BROADCAST, frame, mac
from vswitch import MemoryPort, Switch
from vswitch.core import Core
from vswitch.mirroring import Mirroring
from vswitch.mirrors import Mirror
from vswitch.neighbouring import Neighbouring
from vswitch.observer import Observer
from vswitch.portrules import PortRules
from vswitch.portsettings import PortSettings
from vswitch.stations import Stations
from vswitch.upkeep import Upkeep
from vswitch.vlans import VidSet
from vswitch.vlanwords import parse

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

A, OWN = mac(1), mac(7)
STEPS = [
    (Observer, "port_added"),
    (Observer, "tell"),
    (PortRules, "begin"),
    (PortRules, "use_backups"),
    (Core, "set_vlans"),
    (Core, "set_flags"),
    (Core, "set_meters"),
    (Core, "set_shaper"),
    (Core, "set_guard"),
    (Core, "set_backup"),
    (Core, "set_neighbour"),
    (Core, "set_mirrors"),
    (Stations, "settle"),
    (Neighbouring, "learn"),
    (Upkeep, "watch"),
    (Mirroring, "port_added"),
]
PARKED = ["set_vlans", "set_flags", "set_meters", "set_shaper", "set_guard", "set_backup"]
SETTINGS = PortSettings(
    vlans=parse("vlans", "access=10"),
    allow_mac=("02:00:00:00:00:07",),
    allow_ip=("10.0.0.7",),
)


class Fault(Exception):
    """Somebody's mistake."""


@pytest.fixture
def net(lab, monkeypatch):
    """A switch whose pollers are parked whenever its datapath is told something."""
    depth = 0
    paused = Switch.paused

    @contextmanager
    def counted(self):
        nonlocal depth
        with paused(self):
            depth += 1
            try:
                yield
            finally:
                depth -= 1

    def checked(do):
        def call(*args, **options):
            assert depth, f"{do.__name__} while pollers run"
            return do(*args, **options)

        return call

    monkeypatch.setattr(Switch, "paused", counted)
    for name in (*PARKED, "set_mirrors", "set_neighbour", "unset_neighbour"):
        monkeypatch.setattr(Core, name, checked(getattr(Core, name)))
    net = lab("a", "b", "mon", "idle")
    net.switch.mirrors.add(Mirror("all", target="mon", vids=VidSet.parse("1-4094", "vlan")))
    net.switch.set_port("idle", backup="new")
    member = net.switch._member("idle")
    net.switch._upkeep.links.take_down(member, "its link is down", logging.INFO)
    return net


def fail(monkeypatch, owner, name, *, late):
    """Have the first call of a method fail, before or after it is done."""
    do = getattr(owner, name)
    calls = []

    def call(*args, **options):
        calls.append(args)
        if len(calls) > 1:
            return do(*args, **options)
        if late:
            do(*args, **options)
        raise Fault

    monkeypatch.setattr(owner, name, call)
    return calls


def known(switch):
    """All that there is because of ports."""
    return {
        "ports": switch.ports,
        "names": dict(switch.observer._names),
        "aware": switch._rules.aware,
        "backups": dict(switch._rules._backups),
        "own": dict(switch._stations._own),
        "stations": {(s.vid, s.mac, s.port) for s in switch.stations()},
        "neighbours": switch.neighbours.all,
        "members": {m.number for m in switch._members.values()},
    }


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _, name in STEPS])
def test_a_port_that_is_not_added_leaves_nothing_behind(net, monkeypatch, owner, step, late):
    before = known(net.switch)
    number = max(before["members"]) + 1
    port = MemoryPort("new")
    port.station = OWN
    with monkeypatch.context() as broken:
        calls = fail(broken, owner, step, late=late)

        with pytest.raises(Fault):
            net.switch.add_port(port, SETTINGS)

    port.close()
    assert calls
    assert known(net.switch) == before
    with pytest.raises(ValueError, match="no port"):
        net.switch._core.datapath.port_error(number)
    assert net.send("a", frame(BROADCAST, A)).keys() == {"b", "idle"}
    net.add("new")
    assert net.status("new").number == number
    assert net.send("a", frame(BROADCAST, A)).keys() == {"b", "idle", "new"}
