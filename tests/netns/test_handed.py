"""Devices and sockets that root opened and handed in: the switch needs no privilege at all."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support import transfer
from support.command import (
    FACTS,
    activated,
    command,
    device,
    environment,
    ip,
    refused,
    running,
    shout,
)
from support.frames import BROADCAST, frame, mac
from support.net import address, configure
from support.stream_peer import StreamPeer
from support.tap import TAP, open_tap, tap
from support.wait import wait_for
from vswitch.errors import PortError
from vswitch.linux import tun
from vswitch.ports.handed import open_handed

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def opened():
    """What closes all that it is given."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def new_tap(opened):
    """Factory: a descriptor of a new TAP that is up, and its name."""

    def make(flags: int = TAP, *, up: bool = True) -> tuple[int, str]:
        name = device("h")
        fd = open_tap(name, flags)
        opened.callback(os.close, fd)
        if up:
            ip("link", "set", name, "up")
        return fd, name

    return make


def packet_socket(name: str, protocol: int = 3) -> socket.socket:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    s.bind((name, protocol))
    return s


def listening(path: Path) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    path.chmod(0o666)
    s.listen()
    return s


@contextmanager
def two_sides(netns, stack: ExitStack) -> Iterator[tuple[list, int, int]]:
    """Two namespaces: one with a TAP, one behind a veth; a descriptor of each near end."""
    hub, tapped, wired = (netns(name) for name in ("hub", "s0", "s1"))
    hub.ip("link", "add", "p1", "type", "veth", "peer", "name", "eth0", "netns", wired.name)
    hub.ip("link", "set", "p1", "up")
    with tapped.entered():
        file = open_tap("eth0")
    stack.callback(os.close, file)
    with hub.entered():
        packet = stack.enter_context(packet_socket("p1", protocol=0))  # hears nothing yet
    sides = [tapped, wired]
    for i, side in enumerate(sides):
        side.ip("link", "set", "eth0", "up")
        configure(side, i)
    yield sides, file, packet.fileno()


@pytest.mark.parametrize("nobody", [True, False])
def test_frames_flow_between_what_was_handed_in(netns, opened, tmp_path, nobody):
    listener = opened.enter_context(listening(tmp_path / "lan"))
    with two_sides(netns, opened) as (sides, file, packet):
        fds = [file, packet, listener.fileno()]
        args = ["--port", f"fd:{file},name=t", "--port", f"fd:{packet}", "--listen"]
        with running(*args, f"fd:{fds[2]},name=vm", nobody=nobody, fds=fds) as switch:
            assert switch.out.startswith(f"t: existing, {FACTS}\nfd{packet}: existing, interface ")
            assert f"fd:{fds[2]}: listening; who connects becomes a port, " in switch.out
            for a, b in ((0, 1), (1, 0)):
                for version in (4, 6):
                    here, there = address(a, version), address(b, version)
                    transfer.tcp(sides[a], sides[b], here, there, 4 << 20)
            vm = StreamPeer.connect(tmp_path / "lan")
            wait_for(lambda: "vm-1" in switch.ports(), "the VM's port")
            vm.send(frame(BROADCAST, mac(9)))
            wait_for(lambda: mac(9).hex(":") in switch.ask("fdb", "show"), "the VM's frame")
            ports = switch.ports()
            vm.close()

            assert {name: port["kind"] for name, port in ports.items()} == {
                "t": "tap", f"fd{packet}": "netdev", "vm-1": "qemu",
            }  # fmt: skip
            assert switch.end() == 0
    assert (tmp_path / "lan").exists(), "the file is its maker's to remove"


def test_socket_activation_needs_no_option_at_all(opened, tmp_path, new_tap):
    fds = [opened.enter_context(listening(tmp_path / "s")).fileno(), new_tap()[0]]
    names = ["lan.socket", "uplink"]
    with running("--port", "fd:uplink", before=activated(fds, names), fds=fds) as switch:
        assert switch.out.startswith(f"uplink: existing, {FACTS}\n")
        assert "fd:3: listening; who connects becomes a port, " in switch.out
        with_vm = StreamPeer.connect(tmp_path / "s")
        wait_for(lambda: "lan-1" in switch.ports(), "the VM's port")
        with_vm.close()
        assert b"LISTEN_FDS=2" in Path(f"/proc/{switch.process.pid}/environ").read_bytes()


def test_queues_of_one_tap(new_tap, opened):
    flags = TAP | tun.IFF_MULTI_QUEUE
    first, name = new_tap(flags)
    second = open_tap(name, flags)
    opened.callback(os.close, second)
    fds = [first, second]
    with running("--port", f"fd:{first}:{second}", "--pollers", "2", fds=fds) as switch:
        assert switch.out.startswith(f"fd{first}: existing, file end, 2 queues, ")


def test_the_device_behind_a_descriptor_is_followed_and_left_alone(new_tap):
    fd, name = new_tap(up=False)
    with running("--port", f"fd:{fd}", fds=[fd]) as switch:
        wait_for(lambda: switch.ports()[f"fd{fd}"]["state"] == "down", "the port to be down")
        ip("link", "set", name, "up", "mtu", "1300")
        wait_for(lambda: switch.ports()[f"fd{fd}"]["state"] == "forwarding", "the port to be up")
        assert switch.ports()[f"fd{fd}"]["mtu"] == 1300
        ip("link", "del", name)
        wait_for(lambda: switch.ports()[f"fd{fd}"]["state"] == "gone", "the port to be gone")


def test_a_namesake_in_our_own_namespace_is_not_looked_at(netns, opened):
    """An ordinary user may not ask where the TAP is; here is another one of that name."""
    name = device("h")
    with netns("s0").entered():
        fd = open_tap(name)
        opened.callback(os.close, fd)
        ip("link", "set", name, "up")
    with tap(name, up=False):
        ip("link", "set", name, "mtu", "1300")
        with running("--port", f"fd:{fd}", nobody=True, fds=[fd]) as switch:
            assert f"fd{fd}: existing, {FACTS}\n" in switch.out
            assert switch.ports()[f"fd{fd}"]["state"] == "forwarding"


@pytest.fixture
def macvtap(made, opened, tmp_path):
    """A descriptor of a macvtap on one end of a veth, and the name of the other end."""
    far = device("f")
    near = made("veth", "peer", "name", far)
    name = made("macvtap", "link", near, "mode", "passthru")
    for end in (near, far, name):
        ip("link", "set", end, "up")
    (number,) = Path(f"/sys/class/net/{name}/macvtap").glob("tap*/dev")
    major, minor = map(int, number.read_text().split(":"))
    os.mknod(tmp_path / "tap", stat.S_IFCHR | 0o600, os.makedev(major, minor))
    fd = os.open(tmp_path / "tap", os.O_RDWR)
    opened.callback(os.close, fd)
    return fd, far


@pytest.mark.parametrize("nobody", [True, False])
def test_a_macvtap_is_a_tap(macvtap, nobody):
    fd, far = macvtap
    with running("--port", f"fd:{fd}", fds=[fd], nobody=nobody) as switch:
        assert switch.out.startswith(f"fd{fd}: existing, {FACTS}\n")
        shout(far)

        wait_for(lambda: "02:00:00:00:00:09" in switch.ask("fdb", "show"), "the station")


def test_a_header_of_another_size_is_set_right(new_tap):
    fd, name = new_tap()
    fcntl.ioctl(fd, tun.TUNSETVNETHDRSZ, struct.pack("i", 12))
    with running("--port", f"fd:{fd}", fds=[fd]) as switch:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((name, 0))
            s.send(frame(BROADCAST, mac(7)))
        wait_for(lambda: mac(7).hex(":") in switch.ask("fdb", "show"), "the station")


# ---------------------------------------------------------------------- what cannot be


def refused_fd(spec, *fds):
    done = subprocess.run(
        command("run", *spec), pass_fds=fds, capture_output=True, text=True, timeout=20,
        env=environment(), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize(
    ("flags", "lacking"),
    [(tun.IFF_TAP | tun.IFF_NO_PI, "IFF_VNET_HDR"), (tun.IFF_TAP | tun.IFF_VNET_HDR, "IFF_NO_PI")],
)
def test_a_tap_that_was_opened_with_other_flags(new_tap, flags, lacking):
    fd, _ = new_tap(flags)

    assert refused_fd(["--port", f"fd:{fd}"], fd) == (
        f"vswitch: fd{fd}: cannot use the TAP: it was opened without {lacking}\n"
        "hint: open it with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR; QEMU says vnet_hdr=on\n"
    )


def test_a_tun_is_for_the_router_that_is_coming(new_tap):
    fd, name = new_tap(0x0001 | tun.IFF_NO_PI)  # IFF_TUN

    assert refused_fd(["--port", f"fd:{fd}"], fd) == (
        f"vswitch: descriptor {fd} is a TUN device: it carries IP packets, and a switch port "
        f"needs Ethernet frames\nhint: make a TAP instead: ip tuntap add dev {name} mode tap; "
        "TUN devices are for the virtual router that a coming version has\n"
    )


def test_the_tun_driver_without_a_device(opened):
    fd = os.open(tun.TUN_DEVICE, os.O_RDWR)
    opened.callback(os.close, fd)

    assert refused_fd(["--port", f"fd:{fd}"], fd).startswith(
        f"vswitch: descriptor {fd} is /dev/net/tun without a device\n"
    )


def test_queues_of_different_taps_and_of_one_with_one_queue(new_tap, opened):
    (first, a), (second, b) = new_tap(), new_tap()
    again = os.dup(first)
    opened.callback(os.close, again)

    several = refused_fd(["--port", f"fd:{first}:{second}"], first, second)
    assert several.startswith(f"vswitch: fd{first}: its descriptors are queues of {a} and {b}\n")
    twice = refused_fd(["--port", f"fd:{first}:{again}"], first, again)
    assert twice.startswith(f"vswitch: fd{first}: the TAP {a} was opened with one queue, not 2\n")


def test_the_mtu_of_a_device_is_its_own(new_tap):
    fd, name = new_tap()

    assert refused_fd(["--port", f"fd:{fd},mtu=9000"], fd) == (
        f"vswitch: fd{fd}: its device {name} was handed in with an MTU of 1500, not 9000\n"
        f"hint: ip link set dev {name} mtu 9000\n"
    )


def test_packet_sockets_without_a_device_or_without_ethernet(opened):
    unbound = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    loop = opened.enter_context(packet_socket("lo"))
    cooked = opened.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0))
    for s, sentence in (
        (unbound, f"fd{unbound.fileno()}: cannot use the packet socket: it is bound to no device"),
        (loop, f"fd{loop.fileno()}: cannot use the packet socket: lo is not an Ethernet device"),
        (cooked, f"descriptor {cooked.fileno()} is a packet socket without Ethernet headers "),
    ):
        err = refused_fd(["--port", f"fd:{s.fileno()}"], s.fileno())
        assert err.startswith(f"vswitch: {sentence}")


def test_a_number_that_nobody_handed_in_is_not_one_of_our_own(two):
    assert refused("--port", two[0], "--listen", "fd:4").startswith(
        "vswitch: descriptor 4 is not open: nobody handed it in\n"
    )


def test_what_is_refused_stays_open(opened):
    loop = opened.enter_context(packet_socket("lo"))

    with pytest.raises(PortError):
        open_handed("x", [loop.fileno()])

    assert loop.getsockname()[0] == "lo"


def test_no_filter_stays_behind_the_look_at_a_tap(new_tap):
    fd, _ = new_tap(tun.IFF_TAP | tun.IFF_VNET_HDR)

    with pytest.raises(PortError, match="without IFF_NO_PI"):
        tun.adopt_queue("x", fd)

    # Of a queue without a filter the kernel sets the bit, whatever the truth (IFF_NOFILTER).
    assert tun.flags(fd) & tun.IFF_NO_PI
