"""QEMU's options for a port: exact text for every kind and version."""

import shlex

import pytest

from vswitch.errors import ConfigError
from vswitch.recipes import Plug, qemu_args, station_address

MAC = "52:54:00:aa:bb:cc"
DEVICE = f"-device virtio-net-pci,netdev=n0,mac={MAC}"
LAN = Plug("lan", "qemu", address="/tmp/lan.sock")
LAN_TCP = Plug("tcp", "qemu", address="192.0.2.1:5000")
LAN_TCP6 = Plug("tcp", "qemu", address="[2001:db8::1]:5000")
VM = Plug("vm", "qemu", remote="/tmp/vm.sock")
VM_TCP = Plug("vm", "qemu", remote="127.0.0.1:5000")
DGRAM = Plug("vm", "dgram", address="/tmp/sw", remote="/tmp/vm")
UDP = Plug("udp5000", "udp", address="192.0.2.1:5000", remote="192.0.2.2:5001")
UDP6 = Plug("udp5000", "udp", address="[::1]:5000", remote="[::1]:5001")
GUEST = Plug("vm1", "vhost-user", address="/tmp/vm1.sock")
CALLED = Plug("vm1", "vhost-user", remote="/tmp/vm1.sock", memory="4G")
TAP = Plug("tap0", "netdev", end="interface", driver="tap")
STREAM = "stream,id=n0,server="
UNIX = "addr.type=unix,addr.path=/tmp/"
TAP_WORDS = "tap,id=n0,ifname=tap0,script=no,downscript=no,vnet_hdr=on"


def line(plug, version=(7, 2), **options):
    return qemu_args(plug, version=version, mac=MAC, **options).text


@pytest.mark.parametrize(
    ("plug", "version", "netdev"),
    [
        (LAN, (7, 2), f"{STREAM}off,{UNIX}lan.sock"),
        (LAN, (8, 0), f"{STREAM}off,{UNIX}lan.sock,reconnect=1"),
        (LAN, (9, 1), f"{STREAM}off,{UNIX}lan.sock,reconnect=1"),
        (LAN, (9, 2), f"{STREAM}off,{UNIX}lan.sock,reconnect-ms=1000"),
        (LAN, (10, 0), f"{STREAM}off,{UNIX}lan.sock,reconnect-ms=1000"),
        (
            Plug("lan", "qemu", address="@lan:1"),
            (7, 2),
            f"{STREAM}off,addr.type=unix,addr.path=lan:1,addr.abstract=on",
        ),
        (LAN_TCP, (7, 1), "socket,id=n0,connect=192.0.2.1:5000"),
        (LAN_TCP, (7, 2), f"{STREAM}off,addr.type=inet,addr.host=192.0.2.1,addr.port=5000"),
        (LAN_TCP6, (7, 2), f"{STREAM}off,addr.type=inet,addr.host=2001:db8::1,addr.port=5000"),
        (VM, (7, 2), f"{STREAM}on,{UNIX}vm.sock"),
        (VM, (9, 2), f"{STREAM}on,{UNIX}vm.sock"),
        (VM_TCP, (7, 1), "socket,id=n0,listen=127.0.0.1:5000"),
        (VM_TCP, (7, 2), f"{STREAM}on,addr.type=inet,addr.host=127.0.0.1,addr.port=5000"),
        (
            DGRAM,
            (7, 2),
            "dgram,id=n0,local.type=unix,local.path=/tmp/vm,remote.type=unix,remote.path=/tmp/sw",
        ),
        (
            UDP,
            (7, 2),
            "dgram,id=n0,local.type=inet,local.host=192.0.2.2,local.port=5001,"
            "remote.type=inet,remote.host=192.0.2.1,remote.port=5000",
        ),
        (UDP, (7, 1), "socket,id=n0,udp=192.0.2.1:5000,localaddr=192.0.2.2:5001"),
        (TAP, (7, 1), TAP_WORDS),
        (TAP, (9, 2), TAP_WORDS),
        (Plug("tap0", "auto"), (9, 2), TAP_WORDS),
    ],
)
def test_the_wire_is_that_of_the_kind_and_the_version(plug, version, netdev):
    assert line(plug, version) == f"{DEVICE} -netdev {netdev}"


@pytest.mark.parametrize(
    ("plug", "version", "socket"),
    [
        (GUEST, (2, 12), ",reconnect=1"),
        (GUEST, (9, 1), ",reconnect=1"),
        (GUEST, (9, 2), ",reconnect-ms=1000"),
        (CALLED, (7, 2), ",server=on,wait=off"),
        (CALLED, (9, 2), ",server=on,wait=off"),
    ],
)
def test_a_vhost_user_port_needs_a_socket_and_memory_that_is_shared(plug, version, socket):
    assert line(plug, version) == (
        f"{DEVICE} -netdev vhost-user,id=n0,chardev=n0-socket "
        f"-chardev socket,id=n0-socket,path=/tmp/vm1.sock{socket} "
        f"-m {plug.memory} "
        f"-object memory-backend-memfd,id=n0-memory,size={plug.memory},share=on "
        "-numa node,memdev=n0-memory"
    )


def test_the_pairs_of_a_vhost_user_port_are_those_of_the_card():
    four = Plug("vm1", "vhost-user", address="/tmp/vm1.sock", queues=4, mtu=9000)

    assert line(four, netdev="net7").startswith(
        f"-device virtio-net-pci,netdev=net7,mac={MAC},host_mtu=9000,mq=on,vectors=10 "
        "-netdev vhost-user,id=net7,chardev=net7-socket,queues=4 -chardev socket,id=net7-socket,"
    )


def test_an_mtu_of_its_own_is_told_to_the_guest():
    jumbo = Plug("lan", "qemu", address="/tmp/lan.sock", mtu=9000)

    assert line(jumbo).startswith(f"{DEVICE},host_mtu=9000 ")


def test_several_queues_are_those_of_the_tap_and_of_the_card():
    four = Plug("tap0", "netdev", end="interface", driver="tap", queues=4)

    assert line(four) == f"{DEVICE},mq=on,vectors=10 -netdev {TAP_WORDS},queues=4"


def test_the_name_of_the_wire_is_the_users():
    assert line(LAN, netdev="net7") == (
        f"-device virtio-net-pci,netdev=net7,mac={MAC} "
        f"-netdev stream,id=net7,server=off,{UNIX}lan.sock"
    )


def test_a_path_may_look_like_a_host_and_a_port():
    odd = Plug("odd", "qemu", address="/tmp/vm:1")

    assert line(odd).endswith(f"{UNIX}vm:1")


def test_a_comma_is_doubled_for_qemu_and_a_blank_is_quoted_for_the_shell():
    odd = Plug("odd", "qemu", address="/tmp/a,b c.sock")

    assert shlex.split(line(odd))[-1] == f"{STREAM}off,{UNIX}a,,b c.sock"


@pytest.mark.parametrize(
    ("plug", "version", "notes"),
    [
        (
            LAN,
            (7, 2),
            [
                "QEMU 7.2 does not reconnect (8.0 does): "
                "start the switch first, and after it ended the VM anew"
            ],
        ),
        (LAN, (8, 0), []),
        (VM, (7, 2), ["QEMU listens there, and vswitch --port qemu:/tmp/vm.sock connects"]),
        (DGRAM, (7, 2), []),
        (TAP, (7, 2), ["where /dev/vhost-net is, add vhost=on: the kernel moves the frames then"]),
    ],
)
def test_what_one_has_to_know_is_said(plug, version, notes):
    assert list(qemu_args(plug, version=version, mac=MAC).notes) == notes


def memory_note(memory):
    return (
        f"the VM has {memory} of memory here, all of it shared with the switch: say --memory for "
        "another size; the words from -m on are needed once, however many cards it has"
    )


@pytest.mark.parametrize(
    ("plug", "notes"),
    [
        (GUEST, [memory_note("512M")]),
        (
            CALLED,
            [
                "QEMU listens there, and vswitch --port vhost-user:/tmp/vm1.sock,client connects",
                memory_note("4G"),
            ],
        ),
    ],
)
def test_what_is_shared_is_said(plug, notes):
    assert list(qemu_args(plug, version=(9, 2), mac=MAC).notes) == notes


@pytest.mark.parametrize(
    ("plug", "note"),
    [
        (Plug("tap0", "auto"), "start QEMU first, then vswitch --port tap0 takes the end that"),
        (Plug("x", "netdev", end="interface"), "x is taken for a TAP: "),
        (
            Plug("tap0", "netdev", driver="tap", queues=2),
            "ip tuntap add dev tap0 mode tap multi_queue",
        ),
    ],
)
def test_what_was_assumed_of_a_device_is_said(plug, note):
    assert note in " ".join(qemu_args(plug, version=(7, 2), mac=MAC).notes)


@pytest.mark.parametrize(
    ("plug", "version", "said", "hint"),
    [
        (LAN, (7, 1), "lan: QEMU 7.1 knows no unix sockets, 7.2 is the first", "a newer QEMU"),
        (DGRAM, (7, 1), "vm: QEMU 7.1 knows no unix sockets, 7.2 is the first", "a newer QEMU"),
        (LAN_TCP6, (7, 1), "tcp: QEMU takes IPv4 addresses only here, not [2001", "--listen qemu"),
        (UDP6, (9, 2), "udp5000: QEMU takes IPv4 addresses only here, not [::1]", "--listen qemu"),
        (UDP6, (7, 1), "udp5000: QEMU takes IPv4 addresses only here, not [::1]", "--listen qemu"),
        (
            Plug("tap0", "tap", end="file", driver="tap", queues=2),
            (9, 2),
            "tap0: the switch holds the file end of this TAP, and a VM needs that itself",
            f"start QEMU first, with -netdev {TAP_WORDS},queues=2; "
            "vswitch --port tap0 takes the interface end",
        ),
        (
            Plug("v0", "netdev", end="interface", driver="veth"),
            (9, 2),
            "v0 is a device of driver veth, and a VM can only open a TAP",
            "vswitch --listen qemu:PATH",
        ),
        (
            GUEST,
            (2, 11),
            "vm1: QEMU 2.11 has no memory to share, 2.12 is the first with memory-backend-memfd",
            "a newer QEMU",
        ),
        (Plug("a", "memory"), (9, 2), "a is a port of kind memory: no VM", "--listen qemu:PATH"),
        (Plug("a", "dgram"), (9, 2), "a is a port over a socket without a name", "--listen"),
        (Plug("a", "qemu"), (9, 2), "a is a port over a socket without a name", "--listen"),
    ],
)
def test_where_no_vm_can_be_there_is_a_sentence_and_a_way_out(plug, version, said, hint):
    with pytest.raises(ConfigError) as caught:
        line(plug, version)

    assert str(caught.value).startswith(said)
    assert hint in caught.value.hint


def test_an_address_is_stable_local_and_of_one_station():
    address = station_address(b"vswitch/tap0")

    assert address == "52:54:00:98:82:f3"
    assert int(address[:2], 16) & 3 == 2  # local (IEEE 802, clause 8.4), and no group
    assert address != station_address(b"vswitch/tap1")
