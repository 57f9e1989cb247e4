"""VLANs and flags in a configuration file: written, read, compared, applied by difference."""

import pytest

from vswitch import FakeClock, MemoryPort, configfile
from vswitch.config import StationConfig
from vswitch.errors import ConfigError
from vswitch.service import Service
from vswitch.vlans import PortVlans, VidSet

LAB = """\
[switch]
name = "lab"

[[port]]
name = "tap0"
isolated = true
access = 10

[[port]]
name = "tap1"
backup = "tap0"
trunk = "10,20-29"
native = 1
accept = "tagged"
ingress-filter = false
tag-type = "0x9100"
translate = "100:10"

[[port]]
name = "tap2"
pvid = 1
untagged = "1,30"
tagged = 10

[[listen]]
kind = "qemu"
address = "/lan.sock"
name = "lan"
trunk = "none"

[[station]]
mac = "02:00:00:00:00:01"
port = "tap1"
vid = 20
"""


def config(text):
    return configfile.loads(text, "lab.toml").config()


def test_what_is_written_is_what_people_write():
    assert configfile.dumps(config(LAB)) == LAB


def test_lists_are_lists_or_text():
    said = config('[[port]]\nname = "tap0"\ntrunk = [10, "20-29"]\ntranslate = ["7:10"]\n')

    vlans = said.ports[0].vlans
    assert vlans.members == VidSet.parse("10,20-29")
    assert vlans.translate == ((7, 10),)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("access = 4095", "lab.toml:3: port[1].access: a VLAN is a number in 1..4094, not '4095'"),
        ("access = 10\ntrunk = 20", "lab.toml:1: port[1]: access and trunk exclude one another"),
        ("mtu = 1500\nnative = 9", "lab.toml:1: port[1]: native is of a trunk, and there is none"),
        ("trunk = [10, 2.5]", "lab.toml:3: port[1].trunk is VLANs, as [10, \"20-29\"], not of 2.5"),
        ("trunk = true", "lab.toml:3: port[1].trunk is VLANs, as [10, \"20-29\"], not true"),
        ('isolated = "yes"', "lab.toml:3: port[1].isolated is on or off, not 'yes'"),
        ('accept = "some"', "lab.toml:3: port[1].accept is all, tagged or untagged, not 'some'"),
        ('backup = "tap0"', "lab.toml:3: port[1].backup: a port cannot be its own backup"),
        ('vlans = "access=10"', "lab.toml:3: port[1]: unknown option 'vlans'"),
    ],
)  # fmt: skip
def test_what_cannot_be_has_a_place_and_a_sentence(lines, error):
    with pytest.raises(ConfigError) as refused:
        config(f'[[port]]\nname = "tap0"\n{lines}\n')

    assert str(refused.value).startswith(error)


def test_a_station_s_vlan_is_in_range():
    with pytest.raises(ConfigError, match=r"station\[1\].vid must be in 0\.\.4094, not 4095"):
        config(LAB.replace("vid = 20", "vid = 4095"))


@pytest.fixture
def service(monkeypatch):
    made = Service.made(config(LAB), clock=FakeClock(1000))
    opened = []

    def opener(port):
        opened.append(port.name)
        return MemoryPort(port.name)

    monkeypatch.setattr(made, "_opener", opener)
    monkeypatch.setattr(made, "_listen", lambda place: None)
    made.opened = opened
    with made.switch:
        made.open()
        yield made


def test_a_reload_changes_vlans_and_opens_nothing(service):
    after = LAB.replace("access = 10", "access = 20").replace('"10,20-29"', '"10,20-28"')
    after = after.replace("isolated = true\n", "").replace("vid = 20", "vid = 21")
    opened = [*service.opened]

    changes = service.apply(config(after))

    assert changes == [
        "port tap0: isolated True -> False, vlans access=10 -> access=20",
        "port tap1: vlans trunk=10,20-29,native=1,accept=tagged,ingress-filter=off,"
        "tag-type=0x9100,translate=100:10 -> trunk=10,20-28,native=1,accept=tagged,"
        "ingress-filter=off,tag-type=0x9100,translate=100:10",
        "station 02:00:00:00:00:01 in VLAN 20: forgotten",
        "station 02:00:00:00:00:01 in VLAN 21: behind tap1",
    ]
    assert service.opened == opened
    assert service.config == config(after)
    assert service.switch.port_status("tap0").vlans == PortVlans(
        20, VidSet.of([20]), VidSet.of([20])
    )
    assert [(s.vid, s.port) for s in service.switch.stations()] == [(21, "tap1")]


def test_what_was_changed_by_hand_is_saved(service):
    service.set_port("tap0", vlans=None, hairpin=True)
    service.pin(StationConfig(bytes(5) + b"\2", "tap1", 10), move=False)

    saved = configfile.dumps(service.config)

    assert '[[port]]\nname = "tap0"\nisolated = true\nhairpin = true\n' in saved
    assert 'mac = "00:00:00:00:00:02"\nport = "tap1"\nvid = 10\n' in saved
    assert config(saved) == service.config


def test_a_station_of_a_vlan_that_its_port_is_not_of_is_refused(service):
    with pytest.raises(ConfigError, match="VLAN 40 is not of port tap1"):
        service.apply(config(LAB.replace("vid = 20", "vid = 40")))

    assert service.config == config(LAB)
    assert [(s.vid, s.port) for s in service.switch.stations()] == [(20, "tap1")]
