"""Guards among programs nobody here wrote: dnsmasq, udhcpc, ping and arping."""

from __future__ import annotations

from contextlib import closing

import pytest

from support.dhcp import SCRIPT, SERVER, Client6, ask, dnsmasq, dnsmasq6, get_address
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
    wait_for(lambda: pings(client, SERVER, "-I", leased), "an answer")
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
        wait_for(lambda: pings(client, SERVER), "an answer")

    wait_for(lambda: not net.switch.bindings(), "it is given back")
    assert not pings(client, SERVER)


def test_of_ipv6_a_client_talks_with_what_it_leased_until_it_gives_that_back(net, tmp_path):
    net.switch.set_guards(SwitchGuards(dhcp6_snooping=True))
    server, client, other = net.sides
    server.ip("addr", "add", "fd00::1/64", "dev", "eth0", "nodad")
    for side in (client, other):
        side.ip("route", "add", "fd00::/64", "dev", "eth0")
    wait_for(lambda: "tentative" not in client.ip("-6", "addr", "show", "eth0"), "an address")

    def uses(side, ip):
        side.ip("addr", "add", f"{ip}/128", "dev", "eth0", "nodad")
        return pings(side, "fd00::1", "-I", ip)

    with dnsmasq6(server, "eth0", tmp_path), closing(Client6(client, net.mac(1))) as asking:
        leased = asking.lease()
        wait_for(net.switch.bindings, "a lease")
        [(binding, left_s)] = net.switch.bindings()
        assert (binding.lease.address, binding.port) == (leased, "s1")
        assert 3500 < left_s <= 3600
        assert uses(client, leased)
        assert not uses(client, "fd00::77")
        assert guarded(net, 1) > 0
        assert not uses(other, leased)
        other.ip("addr", "flush", "dev", "eth0")

        asking.release(leased)
        wait_for(lambda: not net.switch.bindings(), "it is given back")
        assert not pings(client, "fd00::1", "-I", leased)


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
    wait_for(lambda: pings(client, SERVER), "an answer")
    wait_for(lambda: pings(client, "fd00::1"), "an answer")

    client.ip("addr", "add", f"{STOLEN}/24", "dev", "eth0")
    client.ip("addr", "add", "fd00::77/64", "dev", "eth0", "nodad")
    assert not pings(client, SERVER, "-I", STOLEN)
    assert not pings(client, "fd00::1", "-I", "fd00::77")
    client.ip("link", "set", "eth0", "address", "02:00:00:00:00:99")
    assert not pings(client, SERVER)
