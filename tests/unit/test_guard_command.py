"""What guards are asked and told: command line, API, configuration file."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from support.served import served
from vswitch import FakeClock, MemoryPort, cli, configfile, reconcile
from vswitch.cli import guard, run
from vswitch.config import SwitchConfig
from vswitch.control import client
from vswitch.control.schema import BindingInfo, SwitchChange
from vswitch.errors import ApiError, ConfigError
from vswitch.guarding import SwitchGuards
from vswitch.guardwords import ips, macs
from vswitch.metrics import exposition
from vswitch.portconfig import PortConfig
from vswitch.service import Service

CLIENT, SERVER, ALL = "02:00:00:00:00:01", "02:00:00:00:00:09", "ff:ff:ff:ff:ff:ff"
README = Path(__file__).parents[2] / "README.md"
SNOOPED = SwitchGuards(dhcp_snooping=True)


@pytest.fixture
def vswitch(lab, tmp_path, capsys):
    """Run a command line on a switch with ports a and b, of which b is trusted."""
    made = lab("a", "b")
    made.switch.set_port("b", trusted=True)
    made.switch.set_guards(SNOOPED)
    with served(made.switch, tmp_path / "lab.sock"):

        def run(*line):
            status = cli.main([*line, "--api", str(tmp_path / "lab.sock")])
            return status, *capsys.readouterr()

        run.lab = made
        run.socket = tmp_path / "lab.sock"
        yield run


def dhcp(op, kind, src, **options):
    ports = {"sport": 68, "dport": 67} if op == 1 else {"sport": 67, "dport": 68}
    boot = BOOTP(op=op, xid=7, chaddr=bytes.fromhex(CLIENT.replace(":", "")), yiaddr="10.0.0.5")
    said = [("message-type", kind), *options.items(), "end"]
    source = "0.0.0.0" if op == 1 else "10.0.0.1"
    return bytes(
        Ether(src=src, dst=ALL) / IP(src=source) / UDP(**ports) / boot / DHCP(options=said)
    )


def lease(rig, seconds):
    rig.send("a", dhcp(1, "request", CLIENT))
    rig.send("b", dhcp(2, "ack", SERVER, lease_time=seconds))


def test_the_list_in_readme_is_as_it_is_printed():
    printed = README.read_text().split("$ vswitch guard show\n", 1)[1].split("$ ", 1)[0]
    found = BindingInfo("52:54:00:00:00:07", "10.0.0.7", 0, "tap0", 59 * 60 + 12)

    assert guard._listed([found]) + "\n" == printed


def test_leases_are_listed(vswitch):
    assert vswitch("guard", "show")[1].split() == ["MAC", "IP", "VLAN", "port", "left"]
    lease(vswitch.lab, 3600)
    vswitch.lab.clock.advance(8)

    status, out, err = vswitch("guard", "show", "dev", "a")

    assert (status, err) == (0, "")
    assert out.splitlines()[1].split(maxsplit=4) == [CLIENT, "10.0.0.5", "-", "a", "59:52"]
    assert json.loads(vswitch("guard", "show", "-j")[1]) == [
        {"mac": CLIENT, "ip": "10.0.0.5", "vid": 0, "port": "a", "seconds": 3592}
    ]
    assert len(vswitch("guard", "show", "dev", "b")[1].splitlines()) == 1
    assert vswitch("guard", "show", "dev", "nix")[0] == 1


def test_a_lease_without_end_is_for_ever(vswitch):
    lease(vswitch.lab, 0xFFFF_FFFF)

    assert vswitch("guard")[1].rstrip().endswith("for ever")


def test_a_sticky_entry_is_added_and_shown(vswitch):
    assert vswitch("fdb", "add", CLIENT, "dev", "a", "sticky") == (0, "", "")

    assert vswitch("fdb", "show")[1] == f"{CLIENT} dev a sticky master lab \n"
    [entry] = json.loads(vswitch("fdb", "show", "-j")[1])
    assert (entry["flags"], entry["state"]) == (["sticky"], "")
    assert vswitch("fdb", "add", CLIENT, "dev", "a", "sticky", "--may-exist")[0] == 0
    # As bridge(8) has it, whose sticky entries may be static as well.
    assert vswitch("fdb", "replace", CLIENT, "dev", "a", "sticky", "dynamic") == (0, "", "")
    assert vswitch("fdb", "show")[1] == f"{CLIENT} dev a sticky master lab \n"
    assert vswitch("fdb", "add", CLIENT, "dev", "a", "sticky", "static")[0] == 2
    assert vswitch("fdb", "add", CLIENT, "dev", "a", "static")[0] == 0
    assert vswitch("fdb", "add", CLIENT, "dev", "b", "sticky")[0] == 1
    assert vswitch("fdb", "replace", CLIENT, "dev", "b", "sticky")[0] == 0
    assert vswitch("fdb", "show")[1] == f"{CLIENT} dev b sticky master lab \n"


def test_addresses_are_set_and_taken_away(vswitch):
    assert vswitch("link", "set", "dev", "a", "allow-mac", f"{SERVER},{CLIENT}")[0] == 0
    assert (
        vswitch("link", "set", "dev", "a", "allow-ip", "fd00::5,10.0.0.5", "trusted", "on")[0] == 0
    )
    with client.connect(path=vswitch.socket) as ask:
        port = ask.port("a")
        assert (port.allow_mac, port.allow_ip) == ([CLIENT, SERVER], ["10.0.0.5", "fd00::5"])
        assert port.trusted

    vswitch("link", "set", "dev", "a", "allow-mac", "none", "allow-ip", "none", "trusted", "off")

    assert vswitch.lab.status("a").allow_mac == vswitch.lab.status("a").allow_ip == ()


def test_the_api_sets_what_is_guarded(vswitch):
    with client.connect(path=vswitch.socket) as ask:
        ask.change_switch(SwitchChange(ra_guard=True, move_guard_s=30, dhcp_snooping=False))
        info = ask.switch()
        with pytest.raises(ApiError, match="move_guard_s"):
            ask.change_switch(SwitchChange(move_guard_s=86_401))
    told = (info.dhcp_guard, info.ra_guard, info.dhcp_snooping, info.move_guard_s)

    assert told == (False, True, False, 30)


def test_what_is_set_and_not_said_stays_in_the_configuration():
    config = configfile.loads(
        """
        [switch]
        dhcp-snooping = true
        move-guard = 5
        [[port]]
        name = "a"
        allow-mac = ["02:00:00:00:00:02", "02-00-00-00-00-01"]
        allow-ip = "10.0.0.5,fd00::5"
        [[port]]
        name = "b"
        trusted = true
        """
    ).config()

    assert config.guards == SwitchGuards(dhcp_snooping=True, move_guard_s=5)
    assert config.ports[0].allow_mac == ("02:00:00:00:00:01", "02:00:00:00:00:02")
    assert config.ports[0].allow_ip == ("10.0.0.5", "fd00::5")
    assert configfile.loads(configfile.dumps(config)).config() == config


def test_a_service_guards_and_a_reload_changes_it():
    port = PortConfig.parse("a,allow-ip=10.0.0.5")
    config = SwitchConfig(ports=(port,), ra_guard=True)
    service = Service.made(config, clock=FakeClock(0))
    service._opener = lambda its: MemoryPort(its.name)
    with service.switch:
        service.open()
        guard = service.switch._rules.guards.guard_of
        member = service.switch._members["a"]
        assert not guard(member).routers

        after = SwitchConfig(ports=(PortConfig.parse("a"),), dhcp_guard=True)
        changes = service.apply(after)

        assert changes == [
            "port a: allow-ip 10.0.0.5 -> none",
            "switch: dhcp-guard False -> True, ra-guard True -> False",
        ]
        assert (guard(member).routers, guard(member).servers) == (True, False)
        assert reconcile.changes(after, after) == []


@pytest.mark.parametrize(
    ("reader", "said", "why"),
    [
        (macs, "02:00:00:00:00", "not an Ethernet address"),
        (macs, "03:00:00:00:00:01", "unicast"),
        (macs, ",".join(f"02:00:00:00:01:{n:02x}" for n in range(65)), "64 addresses at most"),
        (ips, "10.0.0", "not an IP address"),
        (ips, "10.0.0.0/24", "not an IP address"),
        (ips, "224.0.0.1", "no station speaks"),
        (ips, "0.0.0.0", "no station speaks"),
        (ips, "::", "no station speaks"),
        (ips, "fe80::1%eth0", "no station speaks"),
        (ips, "10.0.0.1,", "not an IP address"),
    ],
)
def test_what_is_no_address_of_a_station_is_refused(reader, said, why):
    with pytest.raises(ConfigError, match=why):
        reader("allow", said)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("allow-ip=10.0.0.1,10.0.0.2,mtu=1400", ("10.0.0.1", "10.0.0.2")),
        ("allow-ip=::1:2,fd00::1,fe80::1:2:3,force", ("::1:2", "fd00::1", "fe80::1:2:3")),
        ("allow-ip=none", ()),
    ],
)
def test_a_list_goes_on_behind_its_commas(said, found):
    assert PortConfig.parse(f"eth0,{said}").allow_ip == found


def test_show_says_what_is_guarded(vswitch):
    assert "guarded: dhcp-snooping\n" in vswitch("show")[1]
    assert "    trusted\n" in vswitch("show")[1]
    vswitch.lab.switch.set_port("a", allow_mac=(CLIENT,), allow_ip=("10.0.0.5", "fd00::5"))
    vswitch.lab.switch.set_guards(SwitchGuards(ra_guard=True, move_guard_s=30))

    out = vswitch("show")[1]

    assert "guarded: ra-guard, move-guard 30 s\n" in out
    assert f"only from {CLIENT}\n" in out
    assert "only for 10.0.0.5 fd00::5\n" in out


def test_leases_are_counted(vswitch):
    lease(vswitch.lab, 60)

    assert vswitch.lab.switch.guard_counters() == {"leases": 1, "refused": 0, "missed": 0}
    with client.connect(path=vswitch.socket) as ask:
        text, _ = exposition(vswitch.lab.switch)
        assert ask.bindings()
    assert b'vswitch_guard_leases{switch="lab"} 1.0\n' in text
    assert b'vswitch_guard_missed_total{switch="lab"} 0.0\n' in text


def test_the_example_of_the_readme_is_a_switch():
    section = README.read_text().split("## Guarding\n", 1)[1].split("\n## ", 1)[0]
    line = re.search(r"^# vswitch ((?:.*\\\n)*.*)$", section, re.MULTILINE)[1]
    given = run.command.make_context("run", shlex.split(line.replace("\\\n", " "))).params
    ports = [PortConfig.parse(port) for port in given["ports"]]

    assert [port.name for port in ports if port.trusted] == ["eth1"]
    assert ports[-1].allow_ip == ("10.0.0.5", "fd00::5", "fe80::5054:ff:fe00:1")
    assert (given["dhcp_snooping"], given["ra_guard"], given["move_guard"]) == (True, True, 30)
