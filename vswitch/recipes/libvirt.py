"""The XML of libvirt that plugs a domain into a port.

libvirt knows TAPs, TCP and UDP (formatdomain, "Network interfaces"); its ``client``, ``server``
and ``udp`` are QEMU's -netdev socket, which has the framing of stream and dgram. For unix sockets
it has no type, so their words are handed to QEMU past libvirt, by ``qemu:commandline``; but for
vhost-user it has one.

An ``<mtu>`` is for TAPs and vhost-user: libvirt refuses the domain if another type has one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

from vswitch.recipes import qemu
from vswitch.recipes.facts import Plug, Recipe, inet
from vswitch.recipes.qemu import Version

QUOTE = {"'": "&apos;"}
NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"


def libvirt_xml(plug: Plug, *, version: Version, mac: str) -> Recipe:
    """An ``<interface>``, or a ``<qemu:commandline>`` where libvirt has no such interface.

    Raises:
        ConfigError: no VM can be plugged in there, or not with this version.
    """
    # Asked in any case: it knows where no VM can be.
    words = qemu.words(plug, version=version, mac=mac, netdev=f"vswitch-{plug.name}")
    if qemu.is_tap(plug):
        target = _tag("target", dev=plug.name, managed="no")
        return Recipe(_interface("ethernet", plug, mac, target), _ethernet_notes(plug))
    if plug.kind == "vhost-user":
        return Recipe(_interface("vhostuser", plug, mac, *_vhostuser(plug)), _vhostuser_notes(plug))
    if source := _source(plug):
        return Recipe(_interface(source[0], plug, mac, *source[1]), _socket_notes(plug))
    return Recipe(_commandline(words), _commandline_notes(plug, version))


def _interface(kind: str, plug: Plug, mac: str, *inside: str) -> str:
    has_mtu = plug.has_own_mtu and (qemu.is_tap(plug) or plug.kind == "vhost-user")
    lines = [
        _tag("mac", address=mac),
        *inside,
        _tag("model", type="virtio"),
        *([_tag("driver", queues=str(plug.queues))] if plug.queues > 1 else []),
        *([_tag("mtu", size=str(plug.mtu))] if has_mtu else []),
    ]
    return "\n".join([f"<interface type='{kind}'>", *_indented(lines), "</interface>"])


def _source(plug: Plug) -> tuple[str, list[str]] | None:
    """The type of a socket's interface, and its ``<source>``; None if libvirt has no such type."""
    here, there = _v4(plug.address), _v4(plug.remote)
    if plug.kind == "qemu" and here:
        return "client", [_tag("source", **here)]
    if plug.kind == "qemu" and there and not plug.address:
        return "server", [_tag("source", **there)]
    if plug.kind == "udp" and here and there:
        # Seen from the VM: it sends to us.
        opened = _opened("source", **here)
        return "udp", [opened, *_indented([_tag("local", **there)]), "</source>"]
    return None


def _vhostuser(plug: Plug) -> list[str]:
    """The ``<source>``, whose mode is QEMU's."""
    if plug.remote:
        return [_tag("source", type="unix", path=plug.remote, mode="server")]
    reconnect = _tag("reconnect", enabled="yes", timeout=str(qemu.RECONNECT_S))
    opened = _opened("source", type="unix", path=plug.address, mode="client")
    return [opened, *_indented([reconnect]), "</source>"]


def _vhostuser_notes(plug: Plug) -> tuple[str, ...]:
    said = [
        "the switch works in the domain's memory, which has to be shared; right under <domain>: "
        "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>",
        f"QEMU runs as libvirt's user there, who must be let in: {plug.remote or plug.address}",
    ]
    if plug.remote:
        said.append(f"QEMU listens there, and vswitch --port {qemu.spelled(plug)} connects")
    return tuple(said)


def _v4(address: str) -> dict[str, str] | None:
    """The attributes of an address that libvirt takes: IPv4, in numbers."""
    found = inet(address)
    if not found or not re.fullmatch(r"[0-9]+(\.[0-9]+){3}", found[0]):
        return None
    return {"address": found[0], "port": found[1]}


def _commandline(words: Iterable[str]) -> str:
    args = _indented(_tag("qemu:arg", value=word) for word in words)
    head = f"<qemu:commandline xmlns:qemu='{NAMESPACE}'>"
    return "\n".join([head, *args, "</qemu:commandline>"])


def _ethernet_notes(plug: Plug) -> tuple[str, ...]:
    return (
        f"managed='no' takes a TAP that is there: ip tuntap add dev {plug.name} mode tap"
        f"{' multi_queue' if plug.queues > 1 else ''}; "
        f"start the domain, then vswitch --port {plug.name}",
    )


def _socket_notes(plug: Plug) -> tuple[str, ...]:
    said = []
    if plug.kind == "qemu" and plug.address:
        said.append(
            "libvirt does not reconnect here: start the switch first, and after it ended the "
            "domain anew"
        )
    if plug.has_own_mtu:
        said.append(f"libvirt tells a guest no MTU here: set {plug.mtu} inside")
    return tuple(said)


def _commandline_notes(plug: Plug, version: Version) -> tuple[str, ...]:
    return (
        "libvirt has no interface of this kind: the block goes right under <domain>",
        f"QEMU runs as libvirt's user there, who must be let in: {plug.address or plug.remote}",
        *qemu.notes(plug, version),
    )


def _tag(name: str, **attributes: str) -> str:
    given = (f" {key}='{escape(value, QUOTE)}'" for key, value in attributes.items())
    return f"<{name}{''.join(given)}/>"


def _opened(name: str, **attributes: str) -> str:
    return _tag(name, **attributes).removesuffix("/>") + ">"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]
