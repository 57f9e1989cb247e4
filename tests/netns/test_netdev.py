"""Ports at the interface end of a device: what crosses them, and what becomes of the device."""

from __future__ import annotations

import itertools
import json
import os

import pytest

from support import transfer
from support.frames import BROADCAST, FINISHED, frame, mac
from support.net import DEVICE, PATIENT, NamedTap, address, configure
from support.tap import open_tap, raw_socket
from support.wait import wait_for
from vswitch import MemoryPort, NetdevPort, Switch
from vswitch.errors import PortError
from vswitch.linux import device

pytestmark = pytest.mark.netns

MB = 1 << 20
BOTH_WAYS = ((0, 1), (1, 0))


def reachable(net, a=0, b=1):
    assert " 0% packet loss" in net.sides[a].run("ping", "-c1", PATIENT, address(b))


def exchange(net, n_bytes=4 * MB):
    """TCP over IPv4 and IPv6, in both directions."""
    for version, (a, b) in itertools.product((4, 6), BOTH_WAYS):
        transfer.tcp(
            net.sides[a], net.sides[b], address(a, version), address(b, version), n_bytes
        )  # fmt: skip


WIRES = list(itertools.product((1, 2), (1, 2), (True, False), (True, False)))


@pytest.fixture(params=WIRES, ids=lambda w: "p{}-q{}-{:d}{:d}".format(*w))
def net(request, wired):
    pollers, queues, left, right = request.param
    return wired(
        {"queues": queues, "offloads": left}, {"queues": queues, "offloads": right},
        pollers=pollers,
    )  # fmt: skip


def test_every_kind_of_traffic_arrives_whole(net):
    for version, (a, b) in itertools.product((4, 6), BOTH_WAYS):
        ends = net.sides[a], net.sides[b], address(a, version), address(b, version)

        assert " 0% packet loss" in net.sides[a].run("ping", "-c1", PATIENT, ends[3])
        transfer.tcp(*ends, 4 * MB)
        transfer.udp(*ends, MB // 2)
        transfer.udp(*ends, MB // 2, per_send=40)

    assert net.lost(0) == net.lost(1) == {}


def test_super_frames_cross_whole(wired):
    net = wired({}, {})

    transfer.tcp(net.sides[0], net.sides[1], address(0), address(1), 16 * MB)

    counters = net.counters(0)
    assert counters["rx_bytes"] / counters["rx_frames"] > 4000


@pytest.mark.parametrize("offloads", [True, False])
def test_a_tap_and_a_veth_understand_each_other(wired, netns, offloads):
    net = wired({"offloads": offloads})
    ns = netns("tap")
    with ns.entered():
        net.ports.append(net.switch.add_port(NamedTap("tap", offloads=offloads)))
    net.sides.append(ns)
    configure(ns, 1)

    exchange(net)
    for a, b in BOTH_WAYS:
        for per_send in (1, 40):
            transfer.udp(
                net.sides[a], net.sides[b], address(a), address(b), MB, per_send=per_send
            )  # fmt: skip

    assert net.lost(0) == net.lost(1) == {}


def test_several_queues_share_the_flows_and_hear_nothing_twice(wired):
    net = wired({"queues": 2}, {"queues": 2}, pollers=2)
    net.probe = net.switch.add_port(MemoryPort("probe"))
    sent = [frame(BROADCAST, mac(i), bytes([i])) for i in range(200)]

    with net.sides[0].entered(), raw_socket(DEVICE) as sock:
        for f in sent:
            sock.send(f)

    got = []
    wait_for(lambda: got.extend(net.probe.receive()) or set(sent) <= set(got), "all frames")
    assert sorted(f for f in got if f in sent) == sorted(sent)


def test_a_frame_too_long_for_the_far_end_is_counted_and_no_more(wired):
    net = wired({"mtu": 9000}, {"mtu": 9000})
    net.sides[0].ip("link", "set", DEVICE, "mtu", "9000")
    reachable(net)

    net.sides[0].run("ping", "-c3", "-i0.01", "-W1", "-Mdo", "-s8000", address(1), check=False)

    assert sum(net.lost(1).values()) == 3
    reachable(net)


def test_jumbo_frames_cross(wired):
    net = wired({"mtu": 9000}, {"mtu": 9000})
    for ns in net.sides:
        ns.ip("link", "set", DEVICE, "mtu", "9000")

    for a, b in BOTH_WAYS:
        transfer.udp(net.sides[a], net.sides[b], address(a), address(b), MB, datagram=8972)
    exchange(net, MB)

    assert net.lost(0) == net.lost(1) == {}


# ---------------------------------------------------------------------- the device


def test_a_device_that_goes_down_and_up_is_followed(wired):
    net = wired({}, {})
    reachable(net)

    net.hub.ip("link", "set", "p1", "down")
    net.wait_for_state(1, "down")
    assert net.mac(1) not in {s.mac for s in net.switch.stations()}
    net.hub.ip("link", "set", "p1", "up", "mtu", "1400")
    net.wait_for_state(1, "forwarding")

    assert net.switch.port_status("p1").mtu == 1400
    reachable(net)


def test_a_wire_without_a_far_end_is_down(wired):
    net = wired({}, {})

    net.sides[1].ip("link", "set", DEVICE, "down")
    net.wait_for_state(1, "down")
    net.sides[1].ip("link", "set", DEVICE, "up")
    net.wait_for_state(1, "forwarding")

    reachable(net)


def test_a_renamed_device_is_followed(wired):
    net = wired({}, {})

    net.hub.ip("link", "set", "p1", "name", "other", "mtu", "1400")
    wait_for(lambda: net.switch.port_status("p1").mtu == 1400, "its new MTU")

    reachable(net)
    assert net.state(1) == "forwarding"


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_device_that_is_gone_ends_its_port_alone(wired, netns, how, caplog):
    net = wired({}, {}, {})
    if how == "deleted":
        net.sides[2].ip("link", "del", DEVICE)
    else:
        net.hub.ip("link", "set", "p2", "netns", netns("away").name)
    net.wait_for_state(2, "gone")

    reachable(net)
    gone = [r.getMessage() for r in caplog.records if "device is gone" in r.getMessage()]
    assert len(gone) == 1
    net.switch.remove_port("p2")


def facts(ns, name):
    link = json.loads(ns.ip("-j", "-d", "link", "show", name))[0]
    return "UP" in link["flags"], link["mtu"], link["address"], link["promiscuity"]


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("up", [False, True])
def test_a_device_is_left_as_found(netns, up, renamed):
    hub = netns("hub")
    hub.ip("link", "add", "p0", "type", "veth", "peer", "name", "p1")
    hub.ip("link", "set", "p0", "up" if up else "down")
    found = facts(hub, "p0")

    with Switch("test") as switch:
        with hub.entered():
            switch.add_port(NetdevPort("p0", mtu=1400, mac=mac(9)))
        taken = facts(hub, "p0")
        if renamed:
            hub.ip("link", "set", "p0", "name", "other")

    assert taken == (True, 1400, mac(9).hex(":"), 1)
    assert facts(hub, "other" if renamed else "p0") == found


# ---------------------------------------------------------------------- what is refused


@pytest.fixture
def veth(netns):
    hub = netns("hub")
    hub.ip("link", "add", "p0", "type", "veth", "peer", "name", "p1")
    with hub.entered():
        yield hub


def refusal(**options):
    with pytest.raises(PortError) as caught:
        NetdevPort("p0", **options)
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize("text", ["10.0.0.1/24", "2001:db8::1/64"])
def test_a_device_with_an_address_is_refused(veth, text):
    veth.ip("addr", "add", text, "dev", "p0")

    assert refusal() == (
        f"p0 has the address {text.partition('/')[0]}: the host answers there, beside the switch",
        "ip addr flush dev p0; or, to take it all the same: --port p0,force",
    )
    NetdevPort("p0", force=True).close()


def test_a_device_in_a_bridge_is_refused(veth):
    veth.ip("link", "add", "br0", "type", "bridge")
    veth.ip("link", "set", "p0", "master", "br0")

    assert refusal() == (
        "p0 is part of br0: both would forward its frames",
        "ip link set dev p0 nomaster; or, to take it all the same: --port p0,force",
    )
    NetdevPort("p0", force=True).close()


def test_a_wireless_device_is_refused(veth, monkeypatch, tmp_path):
    """There is none here: what the kernel shows of one is made up."""
    (tmp_path / "p0" / "phy80211").mkdir(parents=True)
    monkeypatch.setattr(device, "SYSFS", tmp_path)

    assert refusal() == (
        "p0 is wireless: an access point takes frames from no station behind it",
        "route there instead; or, to take it all the same: --port p0,force",
    )
    NetdevPort("p0", force=True).close()


def test_the_address_ipv6_gives_itself_is_no_reason(veth):
    veth.ip("link", "set", "p1", "up")
    veth.ip("link", "set", "p0", "up")
    wait_for(lambda: "fe80" in veth.ip("-6", "addr", "show", "p0"), "the address")

    NetdevPort("p0").close()


def test_no_device_and_no_ethernet(veth):
    with pytest.raises(PortError, match="there is no device p7"):
        NetdevPort("p7")
    with pytest.raises(PortError, match="lo is not an Ethernet device"):
        NetdevPort("lo", force=True)


def test_the_readable_core_finishes_what_it_gets(wired):
    net = wired({"offloads": False, "queues": 2}, {"offloads": False}, core="python")

    for version, (a, b) in itertools.product((4, 6), BOTH_WAYS):
        ends = net.sides[a], net.sides[b], address(a, version), address(b, version)
        transfer.tcp(*ends, MB // 2)
        transfer.udp(*ends, MB // 8)
        transfer.udp(*ends, MB // 8, per_send=40)

    assert net.lost(0) == net.lost(1) == {}
    assert net.drops(0) == net.drops(1) == {}


def test_a_tap_held_by_another_is_reached_at_its_interface_end(wired):
    """As QEMU holds one: what the program writes comes out of the switch."""
    net = wired({})
    probe = net.switch.add_port(MemoryPort("probe"))
    with net.hub.entered():
        fd = open_tap("vm")
        try:
            net.switch.add_port(NetdevPort("vm"))
            f = frame(BROADCAST, mac(5), b"from the machine")
            os.write(fd, FINISHED + f)
            got = []
            wait_for(lambda: got.extend(probe.receive()) or f in got, "the frame")

            answer = frame(mac(5), mac(6), b"to the machine")
            probe.send([answer])
            got = []

            def arrived():
                try:
                    got.append(os.read(fd, 2000)[10:])
                except BlockingIOError:
                    return False
                return answer in got

            wait_for(arrived, "the answer")
        finally:
            os.close(fd)
