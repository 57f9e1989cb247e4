"""libvirt's XML for a port: exact text, and valid for libvirt's own schema where that is."""

import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vswitch.errors import ConfigError
from vswitch.recipes import Plug, libvirt_xml

MAC = "52:54:00:aa:bb:cc"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")  # Debian's libvirt0
TAP = Plug("tap0", "netdev", end="interface", driver="tap")
BIG_TAP = Plug("tap0", "auto", mtu=9000, queues=4)
LAN = Plug("lan", "qemu", address="/tmp/lan.sock")
ODD = Plug("odd", "qemu", address='/tmp/it\'s <&> "odd".sock')
LAN_TCP = Plug("tcp", "qemu", address="192.0.2.1:5000", mtu=9000)
LAN_TCP6 = Plug("tcp", "qemu", address="[::1]:5000")
JOINED = Plug("vm1", "qemu", address="[::1]:5000", remote="127.0.0.1:40000")
VM = Plug("vm", "qemu", remote="/tmp/vm.sock")
VM_TCP = Plug("vm", "qemu", remote="127.0.0.1:5000")
VM_HOST = Plug("vm", "qemu", remote="localhost:5000")
DGRAM = Plug("vm", "dgram", address="/tmp/sw", remote="/tmp/vm")
UDP = Plug("udp", "udp", address="192.0.2.1:5000", remote="192.0.2.2:5001", mtu=1400)
GUEST = Plug("vm1", "vhost-user", address="/tmp/it's.sock", queues=4, mtu=9000)
CALLED = Plug("vm2", "vhost-user", remote="/tmp/vm2.sock")
EVERY = (
    TAP, BIG_TAP, LAN, ODD, LAN_TCP, LAN_TCP6, JOINED, VM, VM_TCP, VM_HOST, DGRAM, UDP, GUEST,
    CALLED,
)  # fmt: skip


def xml(plug, version=(9, 2)):
    return libvirt_xml(plug, version=version, mac=MAC).text


def interface(kind, *inside):
    lines = [f"  <mac address='{MAC}'/>", *inside]
    return "\n".join([f"<interface type='{kind}'>", *lines, "</interface>"])


def commandline(wire):
    return (
        "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
        "  <qemu:arg value='-device'/>\n"
        f"  <qemu:arg value='virtio-net-pci,netdev=vswitch-{wire[0]},mac={MAC}'/>\n"
        "  <qemu:arg value='-netdev'/>\n"
        f"  <qemu:arg value='{wire[1]}'/>\n"
        "</qemu:commandline>"
    )


MODEL = "  <model type='virtio'/>"


@pytest.mark.parametrize(
    ("plug", "text"),
    [
        (TAP, interface("ethernet", "  <target dev='tap0' managed='no'/>", MODEL)),
        (
            BIG_TAP,
            interface(
                "ethernet",
                "  <target dev='tap0' managed='no'/>",
                MODEL,
                "  <driver queues='4'/>",
                "  <mtu size='9000'/>",
            ),
        ),
        (LAN_TCP, interface("client", "  <source address='192.0.2.1' port='5000'/>", MODEL)),
        (VM_TCP, interface("server", "  <source address='127.0.0.1' port='5000'/>", MODEL)),
        (
            UDP,
            interface(
                "udp",
                "  <source address='192.0.2.1' port='5000'>",
                "    <local address='192.0.2.2' port='5001'/>",
                "  </source>",
                MODEL,
            ),
        ),
        (
            GUEST,
            interface(
                "vhostuser",
                "  <source type='unix' path='/tmp/it&apos;s.sock' mode='client'>",
                "    <reconnect enabled='yes' timeout='1'/>",
                "  </source>",
                MODEL,
                "  <driver queues='4'/>",
                "  <mtu size='9000'/>",
            ),
        ),
        (
            CALLED,
            interface(
                "vhostuser", "  <source type='unix' path='/tmp/vm2.sock' mode='server'/>", MODEL
            ),
        ),
        (
            LAN,
            commandline(
                (
                    "lan",
                    "stream,id=vswitch-lan,server=off,addr.type=unix,addr.path=/tmp/lan.sock,"
                    "reconnect-ms=1000",
                )
            ),
        ),
        (
            DGRAM,
            commandline(
                (
                    "vm",
                    "dgram,id=vswitch-vm,local.type=unix,local.path=/tmp/vm,"
                    "remote.type=unix,remote.path=/tmp/sw",
                )
            ),
        ),
        (
            VM_HOST,  # libvirt takes numbers only
            commandline(
                (
                    "vm",
                    "stream,id=vswitch-vm,server=on,"
                    "addr.type=inet,addr.host=localhost,addr.port=5000",
                )
            ),
        ),
    ],
)
def test_the_element_is_that_of_the_kind(plug, text):
    assert xml(plug) == text


def test_a_vm_that_joined_is_a_client_wherever_it_came_from():
    assert "server=off,addr.type=inet,addr.host=::1,addr.port=5000" in xml(JOINED)


def test_what_is_in_a_path_arrives():
    values = [arg.get("value") for arg in ElementTree.fromstring(xml(ODD))]

    assert 'addr.path=/tmp/it\'s <&> "odd".sock,' in values[-1]


@pytest.mark.parametrize(
    ("plug", "version", "note"),
    [
        (
            TAP,
            (9, 2),
            "ip tuntap add dev tap0 mode tap; start the domain, then vswitch --port tap0",
        ),
        (BIG_TAP, (9, 2), "mode tap multi_queue; "),
        (LAN_TCP, (9, 2), "start the switch first"),
        (LAN_TCP, (9, 2), "libvirt tells a guest no MTU here: set 9000 inside"),
        (LAN, (9, 2), "must be let in: /tmp/lan.sock"),
        (LAN, (9, 2), "right under <domain>"),
        (LAN, (7, 2), "QEMU 7.2 does not reconnect"),
        (
            GUEST,
            (9, 2),
            "right under <domain>: "
            "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
        ),
        (GUEST, (9, 2), "must be let in: /tmp/it's.sock"),
        (CALLED, (9, 2), "vswitch --port vhost-user:/tmp/vm2.sock,client connects"),
    ],
)
def test_what_one_has_to_know_is_said(plug, version, note):
    assert note in " ".join(libvirt_xml(plug, version=version, mac=MAC).notes)


def test_a_switch_that_connects_may_be_first():
    assert libvirt_xml(VM_TCP, version=(9, 2), mac=MAC).notes == ()


def test_a_wire_of_udp_has_nothing_to_reconnect():
    assert libvirt_xml(UDP, version=(9, 2), mac=MAC).notes == (
        "libvirt tells a guest no MTU here: set 1400 inside",
    )


@pytest.mark.parametrize(
    "plug", [Plug("tap0", "tap", end="file", driver="tap"), Plug("a", "memory")], ids=str
)
def test_where_no_vm_can_be_there_is_the_sentence_of_qemu(plug):
    with pytest.raises(ConfigError, match=plug.name):
        xml(plug)


@pytest.mark.skipif(
    not (SCHEMA.exists() and shutil.which("xmllint")), reason="needs libvirt's schema and xmllint"
)
@pytest.mark.parametrize("plug", EVERY, ids=lambda plug: f"{plug.kind}-{plug.name}")
def test_libvirts_schema_takes_it(plug, tmp_path):
    element = xml(plug)
    backing = (
        "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
        if plug.kind == "vhost-user"
        else ""
    )
    device, end = (element, "") if element.startswith("<interface") else ("", element)
    domain = tmp_path / "domain.xml"
    domain.write_text(
        "<domain type='qemu'><name>vm</name><memory>65536</memory>"
        f"{backing}<os><type>hvm</type></os>"
        f"<devices>{device}</devices>{end}</domain>"
    )

    done = subprocess.run(
        ["xmllint", "--noout", "--relaxng", str(SCHEMA), str(domain)],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
