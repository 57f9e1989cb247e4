"""Static stations, and the switch as a whole, are changed while it runs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from support.frames import BROADCAST, frame, mac
from support.services import qemu, unchanged
from support.stream_peer import StreamPeer
from vswitch import MemoryPort, Switch, configfile
from vswitch.config import StationConfig, SwitchConfig
from vswitch.errors import (
    ConfigError,
    FdbError,
    FdbFullError,
    StationExistsError,
    StationNotFoundError,
)
from vswitch.portsettings import PortSettings
from vswitch.vlanwords import parse

A, B = mac(1), mac(2)
LEARNED = frame(BROADCAST, A)


def test_static_stations_are_part_of_the_configuration(service, out):
    for name in "ab":
        service.add_port(out(name))
    service.pin(StationConfig(A, "a"), move=False)
    service.pin(StationConfig(B, "b"), move=False)

    service.pin(StationConfig(A, "b"), move=True)
    service.unpin(B, 0)

    assert service.config.stations == (StationConfig(A, "b"),)
    assert [(s.mac, s.port, s.static) for s in service.switch.stations()] == [(A, "b", True)]
    assert service.switch.fdb_counters()["static"] == 1
    service.remove_port("b")
    assert service.config.stations == ()
    assert service.switch.fdb_counters()["static"] == 0


def entries(service):
    return {s.mac: (s.port, s.static, s.sticky) for s in service.switch.stations()}


def test_sticky_stations_are_part_of_the_configuration(service, out):
    for name in "ab":
        service.add_port(out(name))
    service.pin(StationConfig(A, "a", sticky=True), move=False)
    service.pin(StationConfig(B, "a"), move=False)
    service.pin(StationConfig(B, "b", sticky=True), move=True)

    assert service.config.stations == (
        StationConfig(A, "a", sticky=True),
        StationConfig(B, "b", sticky=True),
    )
    assert entries(service) == {A: ("a", False, True), B: ("b", False, True)}
    text = configfile.dumps(service.config)
    assert text.endswith(f'mac = "{B.hex(":")}"\nport = "b"\nsticky = true\n')
    assert configfile.loads(text).config() == service.config


def test_a_sticky_station_that_has_aged_is_made_again_by_a_start_alone(make, out):
    config = SwitchConfig(ports=(out("a"),), stations=(StationConfig(A, "a", sticky=True),))
    service = make(config)
    assert entries(service) == {A: ("a", False, True)}
    service.switch.clock.advance(300)
    service.switch.poll()

    assert service.apply(config) == []
    assert entries(service) == {}
    service.unpin(A, 0)
    assert service.config.stations == ()
    with pytest.raises(StationNotFoundError):
        service.unpin(A, 0)


def test_a_reload_changes_what_became_sticky_and_touches_nothing_else(make, out):
    ports = tuple(out(name) for name in "ab")
    old = SwitchConfig(
        ports=ports, stations=(StationConfig(A, "a"), StationConfig(B, "b", sticky=True))
    )
    service = make(old)
    service.switch.clock.advance(100)
    sticky = replace(old, stations=(StationConfig(A, "b", sticky=True), old.stations[1]))

    assert service.apply(sticky) == [f"station {A.hex(':')}: behind b, sticky"]
    assert entries(service) == {A: ("b", False, True), B: ("b", False, True)}
    assert {s.mac: s.age_s for s in service.switch.stations()} == {A: 0, B: 100}
    assert service.apply(old) == [f"station {A.hex(':')}: behind a"]
    assert entries(service)[A] == ("a", True, False)


@pytest.mark.parametrize("make_entry", [Switch.pin, Switch.stick])
def test_a_station_is_where_its_vlan_is_whoever_says_so(service, make_entry):
    switch = service.switch
    switch.add_port(MemoryPort("a"))
    with pytest.raises(ConfigError, match="no port has VLANs yet, so there is no VLAN 10"):
        make_entry(switch, A, "a", vid=10)

    switch.set_port("a", vlans=parse("a", "access=10"))
    with pytest.raises(ConfigError, match="VLAN 20 is not of port a"):
        make_entry(switch, A, "a", vid=20)
    with pytest.raises(ConfigError, match="port a has only VLANs"):
        make_entry(switch, A, "a")

    assert switch.stations() == []
    make_entry(switch, A, "a", vid=10)
    assert [s.vid for s in switch.stations()] == [10]


@pytest.mark.parametrize("port", ["a", "b"])
def test_a_station_that_is_static_already_is_not_added(service, out, port):
    for name in "ab":
        service.add_port(out(name))
    service.pin(StationConfig(A, "a"), move=False)
    before = unchanged(service)

    with pytest.raises(StationExistsError, match=f"station {A.hex(':')} is static already"):
        service.pin(StationConfig(A, port), move=False)

    assert unchanged(service) == before


def test_a_learned_station_becomes_static(service):
    a = service.switch.add_port(MemoryPort("a"))
    service.switch.add_port(MemoryPort("b"))
    a.send([LEARNED])
    service.switch.poll()

    service.pin(StationConfig(A, "b"), move=False)

    assert [(s.port, s.static) for s in service.switch.stations()] == [("b", True)]
    service.unpin(A, 0)
    assert service.switch.stations() == []


def test_a_station_that_is_not_known_cannot_be_deleted(service):
    with pytest.raises(StationNotFoundError, match=f"no station {A.hex(':')}"):
        service.unpin(A, 0)


def test_a_limit_holds_for_static_stations(service, out):
    service.add_port(out("a", "fdb-limit=1"))
    service.pin(StationConfig(A, "a"), move=False)
    before = unchanged(service)

    with pytest.raises(FdbFullError):
        service.pin(StationConfig(B, "a"), move=True)

    assert unchanged(service) == before


def test_a_port_that_is_a_station_itself_keeps_it(service):
    host = MemoryPort("host")
    host.station = A
    service.switch.add_port(host)
    service.switch.add_port(MemoryPort("b"))
    before = unchanged(service)

    with pytest.raises(FdbError, match="is port host itself"):
        service.pin(StationConfig(A, "b"), move=True)
    with pytest.raises(FdbError, match="is port host itself"):
        service.unpin(A, 0)

    assert unchanged(service) == before


def test_a_port_s_own_station_does_not_move_to_where_it_is_static(service):
    host = MemoryPort("host")
    host.station = A
    service.switch.add_port(host, PortSettings(vlans=parse("host", "access=10")))
    service.switch.add_port(MemoryPort("b"), PortSettings(vlans=parse("b", "trunk=10,20")))
    service.pin(StationConfig(A, "b", 20), move=False)
    before = service.switch.fdb_counters(), service.switch.stations()
    told = len(service.switch.observer.events())

    with pytest.raises(StationExistsError, match="is static already, at port b"):
        service.set_port("host", vlans=parse("host", "access=20"))

    assert (service.switch.fdb_counters(), service.switch.stations()) == before
    assert len(service.switch.observer.events()) == told


def test_what_is_pinned_at_a_port_that_is_the_station_stays_when_that_moves(service):
    host = MemoryPort("host")
    host.station = A
    service.switch.add_port(host, PortSettings(vlans=parse("host", "untagged=10,20,30,pvid=10")))
    service.pin(StationConfig(A, "host", 20), move=False)

    for pvid in (30, 10):
        service.set_port("host", vlans=parse("host", f"untagged=10,20,30,pvid={pvid}"))

    assert [s.vid for s in service.switch.stations()] == [10, 20]
    service.unpin(A, 20)
    with pytest.raises(FdbError, match="is port host itself"):
        service.unpin(A, 10)


def test_a_port_whose_station_is_pinned_elsewhere_is_refused(service):
    service.switch.add_port(MemoryPort("b"))
    service.pin(StationConfig(A, "b"), move=False)
    before = unchanged(service)
    host = MemoryPort("host")
    host.station = A

    with pytest.raises(StationExistsError, match="is static already, at port b"):
        service.switch.add_port(host)

    host.close()
    del host  # its wire has a descriptor of its own
    assert unchanged(service) == before


def test_a_station_at_a_vms_port_is_not_configuration(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        service.switch.poll()
        (name,) = service.switch.ports
        service.pin(StationConfig(A, name), move=False)

        assert service.config.stations == ()
        assert service.switch.stations()[0].static
    service.switch.poll()
    assert service.switch.fdb_counters()["static"] == 0


@pytest.mark.parametrize(
    ("stations", "said"),
    [
        ([StationConfig(A, "x")], "is behind x, which is no port"),
        ([StationConfig(A, "a"), StationConfig(A, "a")], "is given twice"),
        ([StationConfig(BROADCAST, "a")], "unicast and not zero"),
        ([StationConfig(bytes(6), "a")], "unicast and not zero"),
    ],
)
def test_stations_are_checked_with_the_configuration(out, stations, said):
    with pytest.raises(ConfigError, match=said):
        SwitchConfig(ports=(out("a"),), stations=tuple(stations))


def test_a_switch_begins_with_its_stations(make, out):
    config = SwitchConfig(ports=(out("a"),), stations=(StationConfig(A, "a"),))

    assert [(s.mac, s.port, s.static) for s in make(config).switch.stations()] == [(A, "a", True)]


def test_the_switch_is_changed_as_a_whole_or_not(service):
    service.set_switch(ageing_s=0, forward=["lldp", "05"])
    before = unchanged(service)
    assert (service.config.ageing_s, service.config.forward) == (0, {0xE, 5})
    assert {n for n, v in service.switch.reserved.items() if v == "forward"} == {0xE, 5}

    with pytest.raises(ConfigError, match="unknown reserved address 'nix'"):
        service.set_switch(ageing_s=7, forward=["nix"])
    with pytest.raises(ConfigError):
        service.set_switch(ageing_s=-1, forward=[])

    assert unchanged(service) == before
