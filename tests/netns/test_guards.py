"""Guards among programs nobody here wrote: dnsmasq, udhcpc, ping and arping."""

from __future__ import annotations

import pytest

from support.dhcp import SCRIPT, SERVER, ask, dnsmasq, get_address
from support.wait import wait_for
from vswitch.guarding import SwitchGuards

pytestmark = pytest.mark.netns

STOLEN = "192.0.2.77"
SNOOPED = SwitchGuards(dhcp_snooping=True)


@pytest.fixture
def net(joined):
    """A server at a trusted port, and two stations at others."""
    made = joined({}, {}, {}, addresses=False)
    made.switch.set_port("s0", trusted=True)
    made.switch.set_guards(SNOOPED)
    made.sides[0].ip("addr", "add", f"{SERVER}/24", "dev", "eth0")
    return made


def pings(ns, target, *options):
    """Whether *target* answers."""
    said = ns.run("ping", "-c2", "-i0.2", "-W1", *options, target, check=False)
    return " 0 received" not in said and "received" in said


def guarded(net, side):
    return net.switch.port_status(net.ports[side].name).drops["guarded"]


def test_a_client_talks_with_the_address_it_got_and_with_no_other(net, tmp_path):
    server, client, other = net.sides
    get_address(server, client, tmp_path, ["busybox", "udhcpc"])
    [(binding, left_s)] = net.switch.bindings()
    leased = ".".join(map(str, binding.lease.ip))

    assert (binding.port, binding.lease.mac) == ("s1", net.mac(1))
    assert 3500 < left_s <= 3600
    assert pings(client, SERVER, "-I", leased)
    client.ip("addr", "add", f"{STOLEN}/24", "dev", "eth0")
    assert not pings(client, SERVER, "-I", STOLEN)
    assert guarded(net, 1) > 0

    client.ip("addr", "flush", "dev", "eth0")
    other.ip("addr", "add", f"{leased}/24", "dev", "eth0")  # and nobody else has it, either
    assert not pings(other, SERVER)


def test_a_client_that_gives_its_address_back_cannot_use_it_any_more(net, tmp_path):
    server, client, _ = net.sides
    script = tmp_path / "configure"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    with (
        dnsmasq(server, "eth0", tmp_path),
        client.background(
            *("busybox", "udhcpc", "-i", "eth0", "-f", "-R", "-t", "10", "-T", "1"),
            *("-s", str(script)),
        ),
    ):
        wait_for(lambda: net.switch.bindings(), "a lease")
        wait_for(lambda: "192.0.2." in client.ip("-4", "addr", "show", "eth0"), "its address")
        assert pings(client, SERVER)

    wait_for(lambda: not net.switch.bindings(), "it is given back")
    assert not pings(client, SERVER)


def test_a_rogue_server_is_not_heard(net, tmp_path):
    _, client, rogue = net.sides
    rogue.ip("addr", "add", f"{STOLEN}/24", "dev", "eth0")

    with dnsmasq(rogue, "eth0", tmp_path):
        said = client.run(
            *("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "2", "-T", "1"),
            *("-s", "/bin/true"),
            check=False,
        )
        assert "lease of" not in said
        assert guarded(net, 2) > 0

        net.switch.set_guards(SwitchGuards())
        assert "lease of" in ask(client, "eth0")


def test_a_locked_station_is_who_it_is(net):
    net.switch.set_guards(SwitchGuards())
    mac = net.mac(1).hex(":")
    net.switch.set_port("s1", allow_mac=(mac,), allow_ip=("192.0.2.5", "fd00::5"))
    server, client, _ = net.sides
    server.ip("addr", "add", "fd00::1/64", "dev", "eth0", "nodad")
    client.ip("addr", "add", "192.0.2.5/24", "dev", "eth0")
    client.ip("addr", "add", "fd00::5/64", "dev", "eth0", "nodad")
    assert pings(client, SERVER)
    assert pings(client, "fd00::1")

    client.ip("addr", "add", f"{STOLEN}/24", "dev", "eth0")
    client.ip("addr", "add", "fd00::77/64", "dev", "eth0", "nodad")
    assert not pings(client, SERVER, "-I", STOLEN)
    assert not pings(client, "fd00::1", "-I", "fd00::77")
    client.ip("link", "set", "eth0", "address", "02:00:00:00:00:99")
    assert not pings(client, SERVER)
