"""The leases of a switch outlive it: which of them, where, and how often they are written."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from support.wait import wait_for
from vswitch import FakeClock, MemoryPort, Switch, leasefile
from vswitch.config import SwitchConfig
from vswitch.confinement import Confinement
from vswitch.errors import ConfigError
from vswitch.guarding import Lease, SwitchGuards
from vswitch.leasekeeper import Keeper, load, place
from vswitch.leases import Known
from vswitch.portconfig import PortConfig
from vswitch.portsettings import PortSettings
from vswitch.service import Service
from vswitch.vlanwords import parse

A, B = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2))
IP_A, IP_B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
SNOOPED = SwitchGuards(dhcp_snooping=True)
PLAIN = Confinement()


def known(port="a", mac=A, ip=IP_A, *, vid=0, left_s=60):
    return Known(Lease(vid, mac, ip), port, left_s)


@pytest.fixture
def switch():
    with Switch("lab", clock=FakeClock(1000)) as made:
        for name in ("a", "b"):
            made.add_port(MemoryPort(name))
        made.add_port(MemoryPort("up"), PortSettings(trusted=True))
        made.set_guards(SNOOPED)
        yield made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lab.leases"


def written(path, wall_s=1000):
    return leasefile.loads(path.read_text(), "lab", wall_s)


def test_leases_of_before_are_those_of_the_guard(switch):
    assert switch.leases.restore([known(), known("b", B, IP_B, left_s=None)]) == 2

    assert switch.leases.known() == [known(), known("b", B, IP_B, left_s=None)]
    guard = switch._rules.guards.guard_of(switch._members["a"])
    assert guard.leases == {Lease(0, A, IP_A)}
    switch.clock.advance(60)
    switch.poll()
    assert switch.leases.known() == [known("b", B, IP_B, left_s=None)]


def test_what_cannot_be_any_more_is_left_out(switch):
    assert switch.leases.restore([known("gone"), known("up"), known(vid=10)]) == 0
    switch.set_port("a", vlans=parse("a", "access=10"))
    assert switch.leases.restore([known(), known(vid=10), known(vid=11)]) == 1
    assert [one.lease.vid for one in switch.leases.known()] == [10]

    switch.set_guards(SwitchGuards())
    assert switch.leases.restore([known(vid=10)]) == 0


def test_a_port_has_no_more_leases_than_it_can_have(switch):
    many = [known(mac=bytes([2, 0, 0, 0, 1, n]), ip=bytes([10, 0, 1, n])) for n in range(70)]
    switch.leases.restore(many)

    assert len(switch.leases.known()) == 64
    assert switch.guard_counters()["refused"] == 6


def test_every_change_is_told_also_of_an_end(switch):
    told = []
    switch.leases.on_change(lambda: told.append(len(switch.leases.known())))
    switch.leases.restore([known()])
    switch.leases.restore([known(left_s=90)])
    switch.poll()
    assert told == [1, 1]

    switch.remove_port("a")
    assert told == [1, 1, 0]
    switch.leases.restore([known("b")])
    switch.set_guards(SwitchGuards())
    assert told == [1, 1, 0, 1, 0]


def test_a_change_is_written_and_read_by_the_next(switch, path):
    with Keeper(switch, path):
        switch.leases.restore([known()])
        wait_for(path.exists, "it is written")

    found = load(path, SwitchConfig(name="lab"), 1010, PLAIN)
    assert found == [known(left_s=50)]


def test_only_leases_of_ports_that_are_the_same_are_taken_over(switch, path):
    with Keeper(switch, path) as keeper:
        keeper.restore([known(), known("b", B, IP_B)], ["b", "up"])

        assert [one.port for one in switch.leases.known()] == ["b"]


def test_without_a_change_nothing_is_written(switch, path):
    with Keeper(switch, path):
        pass

    assert not path.exists()


def test_many_changes_are_written_once_in_a_while_and_at_the_end(switch, path, monkeypatch):
    times = []
    write = leasefile.write

    def counted(path, text):
        times.append(time.monotonic())
        write(path, text)

    monkeypatch.setattr(leasefile, "write", counted)
    with Keeper(switch, path, pause_s=3600):
        switch.leases.restore([known()])
        wait_for(lambda: times, "the first is written")
        for left_s in range(100, 200):
            switch.leases.restore([known(left_s=left_s)])
        assert len(times) == 1

    assert len(times) == 2
    assert written(path) == [known(left_s=199)]


def test_what_cannot_be_written_is_warned_of_once_and_tried_again(switch, path, caplog):
    path.parent.chmod(0o700)
    folder = path.parent / "later"
    with Keeper(switch, folder / "lab.leases", pause_s=0.01):
        switch.leases.restore([known()])
        wait_for(lambda: caplog.records, "a warning")
        switch.leases.restore([known(left_s=70)])
        folder.mkdir()
        wait_for((folder / "lab.leases").exists, "it is written")

    assert written(folder / "lab.leases") == [known(left_s=70)]
    [record] = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage().startswith(f"leases are not kept file={folder}/lab.leases error=")


def test_a_reload_keeps_leases_and_no_other_file(tmp_path):
    config = SwitchConfig(
        name="lab",
        ports=tuple(PortConfig.parse(f"record:{tmp_path}/{name}.pcap") for name in "ab"),
        dhcp_snooping=True,
        snooping_file=f"{tmp_path}/lab.leases",
    )
    service = Service.made(config, clock=FakeClock(1000))
    with service.switch:
        service.open()
        service.switch.leases.restore([known(), known("b", B, IP_B)])

        service.apply(replace(config, ports=config.ports[:1], ageing_s=7, ra_guard=True))
        with pytest.raises(ConfigError, match="snooping-file"):
            service.apply(replace(service.config, snooping_file="elsewhere"))

        assert service.switch.leases.known() == [known()]


# ---------------------------------------------------------------------- where


def test_the_file_is_as_configured_or_where_a_service_keeps_its_state(tmp_path):
    state = {"STATE_DIRECTORY": f"{tmp_path}:/elsewhere"}
    snooped = SwitchConfig(name="lab", dhcp_snooping=True)
    asked = replace(snooped, snooping_file=f"{tmp_path}/own")

    assert place(snooped, {}, PLAIN) is None
    assert place(snooped, state, PLAIN) == tmp_path / "lab.leases"
    assert place(SwitchConfig(name="lab"), state, PLAIN) is None
    assert place(asked, state, PLAIN) == place(asked, {}, PLAIN) == tmp_path / "own"


def test_a_folder_that_is_not_there_is_refused_if_it_was_asked_for(tmp_path, caplog):
    folder = tmp_path / "missing"
    with pytest.raises(ConfigError, match=f"snooping-file: there is no folder {folder}"):
        place(SwitchConfig(snooping_file=f"{folder}/lab.leases"), {}, PLAIN)

    assert place(SwitchConfig(dhcp_snooping=True), {"STATE_DIRECTORY": str(folder)}, PLAIN) is None
    assert "leases are not kept" in caplog.text
