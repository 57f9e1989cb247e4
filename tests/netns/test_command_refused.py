"""`vswitch run` and what it cannot do: one sentence, a hint, status 2, nothing left behind."""

import pytest

from support.command import (
    as_user,
    device,
    exists,
    ip,
    persistent_tap,
    ports,
    refused,
    running,
    shout,
    state_of,
    tun_node,
    vswitch,
    with_tun,
)
from support.wait import wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]


# ---------------------------------------------------------------------- what cannot be


def test_a_port_that_cannot_be_undoes_those_before_it(two):
    assert refused(*ports(*two, "lo")) == ("vswitch: lo is not an Ethernet device\n")


def test_a_veth_has_no_file_end(two):
    veth, peer = device("v"), device("w")
    ip("link", "add", veth, "type", "veth", "peer", "name", peer)
    try:
        status, out, err = vswitch(*ports(two[0], f"tap:{veth}"))
        left = exists(two[0])
    finally:
        ip("link", "del", veth)

    assert (status, out, left) == (2, "", False)
    assert err == (
        f"vswitch: {veth} is not a TAP but a veth device\n"
        f"hint: its interface end: --port netdev:{veth}\n"
    )


@pytest.mark.parametrize("kind", ["", "tap:", "netdev:"])
def test_a_tun_is_not_a_tap(two, kind):
    tun = device("t")
    ip("tuntap", "add", "dev", tun, "mode", "tun")
    try:
        status, out, err = vswitch(*ports(two[0], f"{kind}{tun}"))
        left = exists(two[0])
    finally:
        ip("link", "del", tun)

    assert (status, out, left) == (2, "", False)
    assert err == (
        f"vswitch: {tun} is a TUN device: it carries IP packets, and a switch port needs "
        f"Ethernet frames\nhint: make a TAP instead: ip tuntap add dev {tun} mode tap; "
        "TUN devices are for the virtual router that a coming version has\n"
    )


def test_a_file_end_held_by_someone_else_is_named_with_its_holder(two):
    with running("--port", two[0]) as holder:
        status, out, err = vswitch(*ports(two[1], f"tap:{two[0]}"), "--name", "other")

        assert (status, out) == (2, "")
        assert f"(pid {holder.process.pid})" in err
        assert two[0] in err.splitlines()[0]
        assert "hint: " in err
        assert not exists(two[1])


def test_an_existing_tap_is_restored_when_a_later_port_fails():
    with persistent_tap() as tap:
        found = state_of(tap)

        status, _, _ = vswitch(*ports(f"{tap},mtu=9000", "lo"))

        assert status == 2
        assert state_of(tap) == found


def test_queues_of_a_tap_with_one_queue():
    with persistent_tap() as tap:
        status, _, err = vswitch("--port", f"{tap},queues=2")

        assert status == 2
        assert err == (
            f"vswitch: {tap} was made with one queue, so queues=2 is not possible\n"
            f"hint: make it anew: ip tuntap add dev {tap} mode tap multi_queue\n"
        )


@pytest.mark.parametrize("bad", ["x" * 16, "a/b", "tap0,mtu=67", "tap0,mtu=65522"])
def test_ports_that_can_be_known_to_be_wrong_touch_nothing(two, bad):
    assert refused(*ports(two[0], bad)).startswith(f"vswitch: port '{bad}'")


def test_the_same_port_twice(two):
    assert refused(*ports(two[0], two[0])) == (
        f"vswitch: port {two[0]} is given twice\nhint: each port has its own name\n"
    )


def test_too_many_ports():
    assert refused(*ports(*(f"vsw-many-{i}" for i in range(1025)))) == (
        "vswitch: too many ports: a switch has at most 1024\n"
        "hint: run a second switch and join the two by a port of each\n"
    )


def test_more_ports_than_files_may_be_open(two):
    assert refused(*ports(*two), before=["prlimit", "--nofile=128:128"]) == (
        "vswitch: 2 ports need 206 open files, and 128 are allowed\n"
        "hint: allow more: ulimit -n 206\n"
    )


def test_a_low_soft_limit_of_open_files_is_raised(two):
    specs = [f"{name},queues=16" for name in two]
    low = ["prlimit", "--nofile=24:4096"]

    assert refused(*ports(*specs, "lo"), before=low).startswith("vswitch: lo is not an Ether")


def test_no_tun_device_at_all(two, tmp_path):
    script = f'mount --bind "{tmp_path}" /dev/net && exec "$@"'
    assert refused(*ports(*two), before=["unshare", "-m", "sh", "-c", script, "sh"]) == (
        f"vswitch: {two[0]}: cannot open /dev/net/tun: No such file or directory\n"
        "hint: load the module (modprobe tun), or give the container --device /dev/net/tun\n"
    )


def test_no_permission_for_the_tun_device(two, tmp_path):
    node = tun_node(tmp_path, 0o600)

    status, out, err = as_user(*ports(*two), before=with_tun(node))

    assert (status, out) == (2, "")
    assert err == (
        f"vswitch: {two[0]}: cannot open /dev/net/tun: Permission denied\n"
        "hint: run as root, or let your user read and write /dev/net/tun\n"
    )


def test_an_ordinary_user_cannot_create_a_tap(two, tun_for_all):
    status, out, err = as_user(*ports(*two), before=with_tun(tun_for_all))

    assert (status, out) == (2, "")
    assert err == (
        f"vswitch: {two[0]}: cannot attach to the TAP: Operation not permitted\n"
        "hint: run with CAP_NET_ADMIN, or have an administrator run: "
        f"ip tuntap add dev {two[0]} mode tap user $USER && ip link set {two[0]} up\n"
    )


def test_an_ordinary_user_is_told_how_his_tap_comes_up(tun_for_all):
    with persistent_tap("user", "nobody") as tap:
        status, out, err = as_user("--port", tap, before=with_tun(tun_for_all))

    assert (status, out) == (2, "")
    assert err == (
        f"vswitch: {tap}: cannot bring the interface up: Operation not permitted\n"
        f"hint: run as root, or have an administrator run: ip link set dev {tap} up\n"
    )


def test_an_ordinary_user_runs_a_switch_on_taps_made_for_him(tun_for_all):
    with persistent_tap("user", "nobody") as a, persistent_tap("user", "nobody") as b:
        for tap in (a, b):
            ip("link", "set", tap, "up")
        before = state_of(a)
        with running(*ports(a, b), nobody=True, tun=tun_for_all) as switch:
            ip("link", "set", a, "mtu", "1300")
            wait_for(lambda: switch.ports()[a]["mtu"] == 1300, "the new MTU")
            assert switch.ports()[a]["state"] == "forwarding"
            assert "port down" not in switch.err
            shout(a)
            wait_for(lambda: f"02:00:00:00:00:09 dev {a}" in switch.ask("fdb"), "the station")
            assert switch.end() == 0
        ip("link", "set", a, "mtu", "1500")
        assert state_of(a) == before
