"""The options of QEMU that plug a VM into a port, as its version has them.

    up to 7.1   -netdev socket: TCP and UDP over IPv4, no unix sockets
    7.2         -netdev stream and dgram
    8.0         stream,reconnect=SECONDS
    9.2         stream,reconnect-ms=; reconnect= is deprecated

and for vhost-user, whose socket is a character device, and which needs memory that is shared:

    2.12        -object memory-backend-memfd
    9.2         -chardev socket,reconnect-ms= for reconnect=, which is there since 2.6

Source: QEMU's qapi/net.json, "NetdevStreamOptions" and "NetdevDgramOptions", qapi/char.json,
"ChardevSocket", qapi/qom.json, "MemoryBackendMemfdProperties", and their "Since".
"""

from __future__ import annotations

import shlex

from vswitch.errors import ConfigError
from vswitch.recipes.facts import Plug, Recipe, inet

Version = tuple[int, int]  # major, minor

STREAM_SINCE = (7, 2)
RECONNECT_SINCE = (8, 0)
RECONNECT_MS_SINCE = (9, 2)
MEMFD_SINCE = (2, 12)
RECONNECT_S = 1  # soon enough after a restart of the switch, and no load while there is none


def qemu_args(plug: Plug, *, version: Version, mac: str, netdev: str = "n0") -> Recipe:
    """The words for QEMU's command line, quoted for a shell; *netdev* is its name for the wire.

    Raises:
        ConfigError: no VM can be plugged in there, or not with this version.
    """
    return Recipe(
        shlex.join(words(plug, version=version, mac=mac, netdev=netdev)), notes(plug, version)
    )


def words(plug: Plug, *, version: Version, mac: str, netdev: str = "n0") -> list[str]:
    """The same, not quoted."""
    device = ["virtio-net-pci", f"netdev={netdev}", f"mac={mac}"]
    if plug.has_own_mtu:
        device.append(f"host_mtu={plug.mtu}")
    if plug.queues > 1:
        # A vector for each of the queues' two rings, one for configuration, one for control.
        device += ["mq=on", f"vectors={2 * plug.queues + 2}"]
    wire = _wire(_backend(plug, version, netdev), netdev)
    beside = _beside(plug, version, netdev) if plug.kind == "vhost-user" else []
    return ["-device", ",".join(device), "-netdev", wire, *beside]


def notes(plug: Plug, version: Version) -> tuple[str, ...]:
    """What one has to know to use them."""
    if is_tap(plug):
        return _tap_notes(plug)
    if plug.kind == "vhost-user":
        return _vhost_user_notes(plug)
    if plug.kind != "qemu":
        return ()
    if not plug.address:
        return (f"QEMU listens there, and vswitch --port qemu:{plug.remote} connects",)
    if version < RECONNECT_SINCE:
        return (
            f"QEMU {dotted(version)} does not reconnect (8.0 does): "
            "start the switch first, and after it ended the VM anew",
        )
    return ()


def dotted(version: Version) -> str:
    return ".".join(map(str, version))


def is_tap(plug: Plug) -> bool:
    """Whether QEMU takes the file end of the device, as far as is known."""
    return plug.kind == "auto" or (plug.kind == "netdev" and plug.driver in ("tap", ""))


def _wire(backend: list[str], netdev: str) -> str:
    return ",".join([backend[0], f"id={netdev}", *backend[1:]])


def _backend(plug: Plug, version: Version, netdev: str) -> list[str]:
    """The words behind -netdev, without ``id=``."""
    if is_tap(plug):
        return _tap(plug)
    if plug.kind == "qemu" and (plug.address or plug.remote):
        return _stream(plug, version)
    if plug.kind in ("dgram", "udp") and plug.address and plug.remote:
        return _dgram(plug, version)
    if plug.kind == "vhost-user":
        queues = [f"queues={plug.queues}"] if plug.queues > 1 else []
        return ["vhost-user", f"chardev={netdev}-socket", *queues]
    raise _no_place(plug)


def _beside(plug: Plug, version: Version, netdev: str) -> list[str]:
    """The socket of a vhost-user port, and memory that the switch can map."""
    if version < MEMFD_SINCE:
        raise ConfigError(
            f"{plug.name}: QEMU {dotted(version)} has no memory to share, {dotted(MEMFD_SINCE)} is "
            "the first with memory-backend-memfd",
            hint="a newer QEMU, or a TAP",
        )
    role = ["server=on", "wait=off"] if plug.remote else _reconnect_chardev(version)
    where = f"path={_value(plug.remote or plug.address)}"
    socket = ",".join(["socket", f"id={netdev}-socket", where, *role])
    memory = f"memory-backend-memfd,id={netdev}-memory,size={plug.memory},share=on"
    return [
        *("-chardev", socket),
        *("-m", plug.memory, "-object", memory),
        *("-numa", f"node,memdev={netdev}-memory"),
    ]


def _reconnect_chardev(version: Version) -> list[str]:
    if version >= RECONNECT_MS_SINCE:
        return [f"reconnect-ms={RECONNECT_S * 1000}"]
    return [f"reconnect={RECONNECT_S}"]


def _vhost_user_notes(plug: Plug) -> tuple[str, ...]:
    memory = (
        f"the VM has {plug.memory} of memory here, all of it shared with the switch: say "
        "--memory for another size; the words from -m on are needed once, however many cards it has"
    )
    if plug.remote:
        return (f"QEMU listens there, and vswitch --port {spelled(plug)} connects", memory)
    return (memory,)


def spelled(plug: Plug) -> str:
    """A vhost-user port that connects, as --port takes it."""
    return f"vhost-user:{plug.remote},client"


def _tap(plug: Plug) -> list[str]:
    queues = [f"queues={plug.queues}"] if plug.queues > 1 else []
    return [
        "tap",
        f"ifname={_value(plug.name)}",
        "script=no",
        "downscript=no",
        "vnet_hdr=on",
        *queues,
    ]


def _tap_notes(plug: Plug) -> tuple[str, ...]:
    said = []
    if plug.kind == "auto":
        said.append(
            f"{plug.name} is taken for a device, as no running switch was asked: "
            f"start QEMU first, then vswitch --port {plug.name} takes the end that is free"
        )
    elif not plug.driver:
        said.append(f"{plug.name} is taken for a TAP: of other devices a VM can open none")
    if plug.queues > 1:
        said.append(
            "several queues need a TAP that was made for them: "
            f"ip tuntap add dev {plug.name} mode tap multi_queue"
        )
    return (*said, "where /dev/vhost-net is, add vhost=on: the kernel moves the frames then")


def _stream(plug: Plug, version: Version) -> list[str]:
    """A listener's VMs connect; a port that connects itself needs a QEMU that listens."""
    listens = not plug.address
    where = plug.address or plug.remote
    if version < STREAM_SINCE:
        _check_old(plug, version, where)
        return ["socket", f"{'listen' if listens else 'connect'}={_value(where)}"]
    server = "server=on" if listens else "server=off"
    return ["stream", server, *_address("addr", where), *([] if listens else _reconnect(version))]


def _reconnect(version: Version) -> list[str]:
    if version >= RECONNECT_MS_SINCE:
        return [f"reconnect-ms={RECONNECT_S * 1000}"]
    return [f"reconnect={RECONNECT_S}"] if version >= RECONNECT_SINCE else []


def _dgram(plug: Plug, version: Version) -> list[str]:
    """What is the switch's own address is remote to QEMU, and the reverse."""
    if version < STREAM_SINCE:
        _check_old(plug, version, plug.address, plug.remote)
        return ["socket", f"udp={_value(plug.address)}", f"localaddr={_value(plug.remote)}"]
    _check_v4(plug, plug.address, plug.remote)
    return ["dgram", *_address("local", plug.remote), *_address("remote", plug.address)]


def _check_old(plug: Plug, version: Version, *addresses: str) -> None:
    if not all(map(inet, addresses)):
        raise ConfigError(
            f"{plug.name}: QEMU {dotted(version)} knows no unix sockets, 7.2 is the first",
            hint="a newer QEMU, or a TAP",
        )
    _check_v4(plug, *addresses)


def _check_v4(plug: Plug, *addresses: str) -> None:
    for address in addresses:
        if ":" in (inet(address) or ("",))[0]:
            raise ConfigError(
                f"{plug.name}: QEMU takes IPv4 addresses only here, not {address}",
                hint="give the port IPv4 addresses, or let the VM connect to --listen qemu:PATH",
            )


def _address(key: str, address: str) -> list[str]:
    if found := inet(address):
        host, number = found
        return [f"{key}.type=inet", f"{key}.host={_value(host)}", f"{key}.port={number}"]
    if address.startswith("@"):  # an abstract name: no file
        return [f"{key}.type=unix", f"{key}.path={_value(address[1:])}", f"{key}.abstract=on"]
    return [f"{key}.type=unix", f"{key}.path={_value(address)}"]


def _value(text: str) -> str:
    """A value as QEMU reads it: a comma is doubled, or it would end there."""
    return text.replace(",", ",,")


def _no_place(plug: Plug) -> ConfigError:
    listen = "let the VM connect to a socket: vswitch --listen qemu:PATH"
    if plug.end == "file":
        return ConfigError(
            f"{plug.name}: the switch holds the file end of this TAP, and a VM needs that itself",
            hint=f"start QEMU first, with -netdev {_wire(_tap(plug), 'n0')}; "
            f"vswitch --port {plug.name} takes the interface end then. Or {listen}",
        )
    if plug.kind == "netdev":
        return ConfigError(
            f"{plug.name} is a device of driver {plug.driver}, and a VM can only open a TAP",
            hint=listen,
        )
    socket = plug.kind in ("qemu", "dgram", "udp")
    what = "over a socket without a name" if socket else f"of kind {plug.kind}"
    return ConfigError(f"{plug.name} is a port {what}: no VM can be plugged in there", hint=listen)
