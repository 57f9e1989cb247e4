"""The host's own port, as the command line spells it; and the address it gets."""

from ipaddress import ip_interface

import pytest

from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.portconfig import PortConfig
from vswitch.ports.local import stable_mac


def test_the_hosts_port_has_addresses():
    port = PortConfig.parse("local:br0,ip=10.0.0.1/24,ip=fd00::1/64,mtu=9000,fdb-limit=7")

    assert port == PortConfig(
        "br0", "local", mtu=9000, fdb_limit=7,
        ips=(ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("br0,ip=10.0.0.1", "ip: the length of the prefix is missing: '10.0.0.1'"),
        ("br0,ip=fd00::1", "ip: the length of the prefix is missing: 'fd00::1'"),
        ("br0,ip=10.0.0.256/24", "ip: not an IP address: '10.0.0.256/24'"),
        ("br0,ip=10.0.0.1/33", "ip: not an IP address: '10.0.0.1/33'"),
        ("br0,ip=", "ip: not an IP address: ''"),
        ("br0,ip=224.0.0.1/24", "ip: 224.0.0.1/24 is a group address, which no host has"),
        ("br0,ip=127.0.0.1/8", "ip: 127.0.0.1/8 is a loopback address, which no host has"),
        ("br0,ip=0.0.0.0/0", "ip: 0.0.0.0/0 is a reserved address, which no host has"),
        ("br0,ip=::/64", "ip: ::/64 is a reserved address, which no host has"),
        ("br0,ip=240.0.0.1/24", "ip: 240.0.0.1/24 is a reserved address, which no host has"),
        ("br0,ip=fe80::1%a/64", "ip: an address of a device has no zone: 'fe80::1%a/64'"),
        (
            "br0,ip=10.0.0.0/24",
            "ip: 10.0.0.0/24 is the address of its network, which no host has",
        ),
        (
            "br0,ip=10.0.0.255/24",
            "ip: 10.0.0.255/24 is the broadcast address of its network, which no host has",
        ),
        ("br0,ip=10.0.0.1/24,ip=10.0.0.1/16", "address 10.0.0.1 is given twice"),
        ("br0,mtu=1400,mtu=1400", "option 'mtu' is given twice"),
        ("br0,force", "local has no option 'force'"),
        ("a/b", "an interface name has no '/', ':', '%' or white space"),
    ],
)
def test_what_no_host_has_is_refused(text, sentence):
    with pytest.raises(ConfigError) as caught:
        PortConfig.parse(f"local:{text}")

    assert str(caught.value) == f"port 'local:{text}': {sentence}"


@pytest.mark.parametrize("ip", ["10.0.0.0/31", "10.0.0.1/32", "fd00::/64", "fe80::1/64"])
def test_addresses_at_the_ends_that_hosts_do_have(ip):
    assert PortConfig.parse(f"local:br0,ip={ip}").ips == (ip_interface(ip),)


def test_an_address_is_at_one_place():
    ports = (PortConfig.parse("local:a,ip=fd00::1/64"), PortConfig.parse("local:b,ip=fd00::1/48"))

    with pytest.raises(ConfigError, match="address fd00::1 is given twice"):
        SwitchConfig(ports=ports)


def test_a_device_has_no_addresses():
    with pytest.raises(ConfigError, match="tap has no option 'ip'"):
        PortConfig.parse("tap:tap0,ip=10.0.0.1/24")


def test_the_address_depends_on_machine_switch_and_port_and_on_nothing_else():
    given = {
        stable_mac(switch, port, machine=machine)
        for switch in "ab" for port in ("br0", "br1") for machine in ("", "1", "2")
    }  # fmt: skip

    assert len(given) == 12
    assert {mac[0] & 3 for mac in given} == {2}, "locally administered, unicast"
    # What it is must never change: neighbours remember it, DHCP servers have it in their files.
    assert stable_mac("vswitch", "br0", machine="").hex(":") == "ee:f2:4a:3a:20:22"
    assert stable_mac("vswitch", "br0") == stable_mac("vswitch", "br0")
