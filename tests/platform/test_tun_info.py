"""What rtnetlink says of a TAP, read by us and by pyroute2."""

import errno
import fcntl
import os
import struct
import subprocess

import pytest
from pyroute2 import IPRoute

from vswitch.linux.netlink import TunInfo, tun_info

pytestmark = pytest.mark.netns

TUNSETIFF = 0x400454CA


@pytest.fixture
def make():
    """Make a persistent TAP as ip(8) does."""
    made = []

    def tap(*settings, mode="tap"):
        name = f"vsw{os.getpid()}i{len(made)}"
        made.append(name)
        subprocess.run(
            ["ip", "tuntap", "add", "dev", name, "mode", mode, *settings], check=True, timeout=10
        )
        return name

    yield tap
    for name in made:
        subprocess.run(["ip", "link", "del", name], check=False, timeout=10)


def told_by_pyroute2(name):
    with IPRoute() as ipr:
        link = next(iter(ipr.link("get", ifname=name)))
    data = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
    multi_queue, vnet_hdr, pi, queues = (
        data.get(f"IFLA_TUN_{key}") or 0 for key in ("MULTI_QUEUE", "VNET_HDR", "PI", "NUM_QUEUES")
    )
    return TunInfo(bool(multi_queue), bool(vnet_hdr), not pi, queues)


@pytest.mark.parametrize(
    ("settings", "info"),
    [
        ([], TunInfo(multi_queue=False, vnet_hdr=False, no_pi=True, queues=0)),
        (["pi"], TunInfo(multi_queue=False, vnet_hdr=False, no_pi=False, queues=0)),
        (["vnet_hdr"], TunInfo(multi_queue=False, vnet_hdr=True, no_pi=True, queues=0)),
        (["multi_queue"], TunInfo(multi_queue=True, vnet_hdr=False, no_pi=True, queues=0)),
    ],
    ids=lambda value: "-".join(value) or "plain" if isinstance(value, list) else "",
)
def test_settings_are_read_as_pyroute2_reads_them(make, settings, info):
    tap = make(*settings)

    assert tun_info(tap) == info == told_by_pyroute2(tap)


def test_held_queues_are_counted(make):
    tap = make("multi_queue")
    fds = [os.open("/dev/net/tun", os.O_RDWR) for _ in range(3)]
    try:
        for fd in fds:
            fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", tap.encode(), 0x1102))

        assert tun_info(tap).queues == 3
        assert tun_info(tap) == told_by_pyroute2(tap)
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize(("name", "code"), [("vsw-nobody", errno.ENODEV), ("lo", errno.EINVAL)])
def test_other_devices_are_errors(name, code):
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the errno is what is checked
        tun_info(name)

    assert caught.value.errno == code
