"""A setting of a port is written down twice, and everything else follows from that."""

from dataclasses import fields

import pytest

from vswitch import (
    FakeClock,
    MemoryPort,
    PortStatus,
    Switch,
    configfile,
    reconcile,
    vlanwords,
)
from vswitch.cli import link
from vswitch.control.schema import PortChange as Body
from vswitch.control.schema import PortInfo
from vswitch.errors import ConfigError, PortError
from vswitch.options import Number
from vswitch.portconfig import KINDS, LISTENERS, LIVE, OPTIONS, PortConfig
from vswitch.portsettings import DEFAULT, PortChange, PortSettings

NAMES = {field.name for field in fields(PortSettings)}
KEYS = [key for key, option in OPTIONS.items() if option.live]
# A value of each setting that it has not by default, as the command line and as a file have it.
OTHER = {
    "learning": "off", "state": "blocked", "fdb-limit": "7", "limit-drop": "on", "isolated": "on",
    "hairpin": "on", "flood": "off", "mcast-flood": "off", "bcast-flood": "off", "locked": "on",
    "backup": "tap9", "mtu": "1400",
}  # fmt: skip
VLANS = vlanwords.parse("vlans", "trunk=10,20,native=1")  # said in several words
OTHER |= {"allow-mac": "02:00:00:00:00:07", "allow-ip": "10.0.0.7,fd00::7", "trusted": "on"}
OTHER |= {"police": "10mbit", "police-burst": "65536", "shape": "1gbit", "shape-burst": "3000"}
OTHER |= {"storm-broadcast": "1kpps", "storm-multicast": "2mbit", "storm-unknown": "7pps"}
OTHER |= {"shape-queue": "100000"}
OTHER |= {"loop-detect": "off", "mab": "on", "neigh-suppress": "on"}
# Settings that need another one.
BASIS = {"mab": "locked", "police-burst": "police", "shape-burst": "shape", "shape-queue": "shape"}
VALUES = {key: OPTIONS[key].reader(key, text) for key, text in OTHER.items()}


def test_what_is_live_is_a_setting_or_the_mtu():
    assert set(LIVE) == NAMES | {"mtu"}
    assert set(LIVE) == set(PortChange.__annotations__)


def test_everybody_who_tells_or_takes_settings_knows_all():
    assert set(LIVE) == set(Body.__struct_fields__) == set(OTHER_FIELDS)
    assert set(LIVE) <= {field.name for field in fields(PortStatus)}
    assert set(LIVE) <= set(PortInfo.__struct_fields__)
    assert set(KEYS) <= set(link.SET.values)


@pytest.mark.parametrize("kinds", [KINDS, LISTENERS], ids=["ports", "listeners"])
def test_every_kind_takes_every_setting(kinds):
    assert {kind: set(KEYS) - set(its.options) for kind, its in kinds.items()} == {
        kind: set() for kind in kinds
    }


OTHER_FIELDS = {OPTIONS[key].field: value for key, value in VALUES.items()} | {"vlans": VLANS}


@pytest.mark.parametrize("key", KEYS)
def test_a_setting_is_spelled_read_and_written(key):
    basis = f"{BASIS[key]}={OTHER[BASIS[key]]}," if key in BASIS else ""
    text = f"tap0,mtu=1500,{basis}{key}={OTHER[key]}"
    port = PortConfig.parse(text.replace("mtu=1500,mtu", "mtu"))
    config = configfile.loads(
        f'[[port]]\nname = "tap0"\n{_lines(key)}{key} = "{OTHER[key]}"\n'
    ).config()

    assert getattr(port, OPTIONS[key].field) == VALUES[key]
    assert getattr(config.ports[0], OPTIONS[key].field) == VALUES[key]
    assert configfile.loads(configfile.dumps(config)).config() == config


@pytest.mark.parametrize("key", KEYS)
def test_a_reload_changes_a_setting_without_closing_the_port(key):
    head = f'[[port]]\nname = "tap0"\n{_lines(key)}'
    before = configfile.loads(f"{head}mtu = 1500\n").config()
    after = configfile.loads(
        f'{head}{"" if key == "mtu" else "mtu = 1500"}\n{key} = "{OTHER[key]}"\n'
    ).config()

    [change] = reconcile.changes(before, after)

    assert change.startswith(f"port tap0: {key} ")


def _lines(key):
    return f'{BASIS[key]} = "{OTHER[BASIS[key]]}"\n' if key in BASIS else ""


@pytest.mark.parametrize("core", ["c", "python"])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_datapath_is_told_and_the_status_tells(core, name):
    basis = BASIS.get(name.replace("_", "-"), name)
    settings = {field: OTHER_FIELDS[field] for field in (name, basis)}
    with Switch(core=core, clock=FakeClock(1000)) as switch:
        switch.add_port(MemoryPort("opened"), PortSettings(**settings))
        switch.add_port(MemoryPort("changed"))
        switch.set_port("changed", **settings)

        for port in ("opened", "changed"):
            told = switch.port_status(port).settings
            assert told != DEFAULT
            assert getattr(told, name) == OTHER_FIELDS[name]


def test_a_refused_mtu_leaves_the_settings_as_they_were():
    class Stubborn(MemoryPort):
        def set_mtu(self, mtu):
            raise PortError("not now")

    with Switch(clock=FakeClock(1000)) as switch:
        switch.add_port(Stubborn("a"))

        with pytest.raises(PortError, match="not now"):
            switch.set_port("a", learning=False, mtu=1400)

        assert switch.port_status("a").learning


def test_no_such_setting_changes_nothing():
    with Switch(clock=FakeClock(1000)) as switch:
        switch.add_port(MemoryPort("a"))

        with pytest.raises(TypeError, match="lerning"):
            switch.set_port("a", mtu=1400, lerning=False)

        assert switch.port_status("a").mtu == 1500


def test_the_help_of_link_set_says_what_each_setting_does():
    for key in KEYS:
        [line] = [line for line in link.SET_HELP.splitlines() if line.startswith(f"  {key} ")]
        assert OPTIONS[key].text
        assert line.endswith(OPTIONS[key].text)
        assert len(line) <= 80


@pytest.mark.parametrize(
    ("size", "rate", "value"),
    [
        ("police_burst", "police", 9),
        ("shape_burst", "shape", 3000),
        ("shape_queue", "shape", 70_000),
    ],
)
def test_a_size_is_of_a_rate_and_goes_with_it(size, rate, value):
    key = size.replace("_", "-")
    with pytest.raises(ConfigError, match=f"^port 'a,{key}=.*': {key} does nothing without {rate}"):
        PortConfig.parse(f"a,{key}=70000")
    with Switch(clock=FakeClock(1000)) as switch:
        switch.add_port(MemoryPort("a"))
        with pytest.raises(ConfigError, match=f"^port a: {key} does nothing without {rate}$"):
            switch.set_port("a", **{size: value})
        switch.set_port("a", **{size: value, rate: "1mbit"})  # in any order
        with pytest.raises(ConfigError, match=f"{key} does nothing"):
            switch.set_port("a", **{size: value, rate: ""})

        switch.set_port("a", **{rate: ""})

        assert switch.port_status("a").settings == PortSettings()


def test_the_configuration_has_no_size_of_a_rate_that_went(make, out):
    service = make()
    service.add_port(out("a"))
    service.set_port("a", shape_queue=70_000, shape="1gbit")

    service.set_port("a", shape="")

    assert configfile.loads(configfile.dumps(service.config)).config() == service.config


def test_a_number_knows_its_range():
    assert OPTIONS["fdb-limit"].reader == Number(0, 4_194_304)
