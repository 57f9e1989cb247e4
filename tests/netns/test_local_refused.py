"""The host's own port where it cannot be: one sentence, a hint, status 2, nothing left behind."""

import pytest

from support.command import (
    as_user,
    exists,
    ip,
    persistent_tap,
    ports,
    refused,
    running,
    vswitch,
    with_tun,
)

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]


@pytest.mark.parametrize(
    ("kind", "what"),
    [("bridge", "a bridge device"), ("veth", "a veth device")],
)
def test_the_hosts_port_is_no_device_of_another_kind(two, made, kind, what):
    name = made(kind)

    status, _, err = vswitch(*ports(two[0]), "--local", f"{name},ip=198.51.100.1/32")

    assert (status, exists(two[0])) == (2, False)
    assert err == (
        f"vswitch: {name} exists and is {what}: the host's own port is a TAP, which the switch "
        "makes\nhint: give it another name: --local NAME\n"
    )


def test_the_hosts_port_is_no_tap_of_somebody_else(two):
    with running("--port", two[0]) as holder:
        status, _, err = vswitch("--local", two[0], "--name", "other")

        assert status == 2
        assert "cannot attach to the TAP: " in err
        assert f"(pid {holder.process.pid})" in err


def test_an_ordinary_user_is_told_how_his_host_gets_a_port(two, tun_for_all):
    local = f"{two[0]},mac=02:00:00:00:00:07,ip=10.9.0.1/24,ip=fd00::9/64"

    status, out, err = as_user("--local", local, before=with_tun(tun_for_all))

    assert (status, out) == (2, "")
    assert err == (
        f"vswitch: {two[0]}: cannot attach to the TAP: Operation not permitted\n"
        "hint: run with CAP_NET_ADMIN, or have an administrator run: "
        f"ip tuntap add dev {two[0]} mode tap user $USER && "
        f"ip link set dev {two[0]} address 02:00:00:00:00:07 up && "
        f"ip addr add 10.9.0.1/24 dev {two[0]} && ip addr add fd00::9/64 dev {two[0]}\n"
    )


def test_an_ordinary_user_is_told_which_address_is_missing(tun_for_all):
    with persistent_tap("user", "nobody") as tap:
        ip("link", "set", tap, "up")
        status, _, err = as_user(
            "--local", f"{tap},ip=198.51.100.1/32", before=with_tun(tun_for_all)
        )

    assert status == 2
    assert err == (
        f"vswitch: {tap}: cannot add the address 198.51.100.1/32: Operation not permitted\n"
        "hint: run as root, or have an administrator run: "
        f"ip addr add 198.51.100.1/32 dev {tap}\n"
    )


def test_ipv6_needs_a_long_enough_mtu(two):
    err = refused("--local", f"{two[0]},mtu=1279,ip=fd00::9/64")

    assert err.startswith(f"vswitch: {two[0]}: cannot add the address fd00::9/64: ")
    assert "\nhint: IPv6 needs an MTU of 1280" in err
