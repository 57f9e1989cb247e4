"""Which port or listener a recipe is for: one of a running switch, or one as it will be spelled."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vswitch.cli._common import ask
from vswitch.errors import ApiError
from vswitch.recipes import ETHERNET_MTU, Plug, inet

if TYPE_CHECKING:
    from vswitch.control.client import Client
    from vswitch.control.schema import ListenerInfo, PortInfo

DEFAULT_SWITCH = "vswitch"
FIRST = "this is the socket of the first machine in the folder; -2.sock is that of the second"
FREE = "this is the socket that is free now: ask again for the next machine"


@dataclass(frozen=True, slots=True)
class Found:
    """A place to plug in, and the switch it is at."""

    plug: Plug
    switch: str
    shared: bool  # any number of VMs are plugged in there
    notes: tuple[str, ...] = ()  # which place was found


def find(spelled: str, switch: str | None, api: Path | None, *, server: bool = False) -> Found:
    """What *spelled* means: a name at a running switch, or what ``--port`` or ``--listen`` takes.

    *server*: of ``qemu:PATH``, that QEMU listens there, and not the switch.

    Raises:
        ApiError: a switch was asked, and has no port or listener of that name.
        ConfigError: it is neither a name nor a port.
    """
    if ":" in spelled or "," in spelled:
        return _to_be(spelled, switch, server=server)
    if switch is None and api is None:
        from vswitch.control import address

        if not address.running():
            return _to_be(spelled, switch, server=server)
    with ask(switch, api) as client:
        return _running(spelled, client)


def _to_be(spelled: str, switch: str | None, *, server: bool) -> Found:
    """A port that need not be there yet."""
    from vswitch.portconfig import PortConfig

    head = spelled.partition(",")[0]
    folder = head.startswith("vhost-user:") and head.endswith("/")
    listens = (head.startswith("qemu:") and not server) or folder
    config = PortConfig.parse_listener(spelled) if listens else PortConfig.parse(spelled)
    address, remote = config.address, config.remote
    if (config.kind == "qemu" and not listens) or config.client:
        address, remote = "", address
    if folder:
        address += f"{config.name}-1.sock"
    plug = Plug(
        config.name,
        config.kind,
        end={"tap": "file", "netdev": "interface"}.get(config.kind, ""),
        address=_absolute(address, os.getcwd()),
        remote=_absolute(remote, os.getcwd()),
        mtu=config.mtu or ETHERNET_MTU,
        queues=config.queues,
    )
    notes = (FIRST,) if folder else ()
    return Found(plug, switch or DEFAULT_SWITCH, listens, notes)


def _running(name: str, client: Client) -> Found:
    info, ports, listeners = client.switch(), client.ports(), client.listeners()
    folder = _folder_of(info.pid)
    for port in ports:
        if port.name == name:
            return Found(_plug(port, folder), info.name, port.kind == "qemu" and bool(port.address))
    for place in listeners:
        if place.name == name:
            if place.address.endswith("/"):
                return Found(_free_plug(place, ports, folder), info.name, True, (FREE,))
            plug = Plug(place.name, place.kind, address=place.address, mtu=place.mtu)
            return Found(plug, info.name, True)
    known = ", ".join([*(p.name for p in ports), *(place.name for place in listeners)])
    raise ApiError(
        f"switch {info.name} has no port or listener {name}",
        hint=f"it has: {known or 'none'}; or spell one as --port does, as netdev:tap0",
    )


def _free_plug(place: ListenerInfo, ports: Sequence[PortInfo], folder: str) -> Plug:
    """A port with a socket in a folder of them, where nobody is."""
    for port in ports:
        plug = _plug(port, folder)
        here = os.path.join(os.path.dirname(plug.address), "") == place.address
        if here and port.state == "down":
            return plug
    raise ApiError(
        f"{place.name}: no socket in {place.address} is free", hint="vswitch show says why"
    )


def _plug(port: PortInfo, folder: str) -> Plug:
    return Plug(
        port.name,
        port.kind,
        end=port.end,
        driver=port.driver,
        address=_absolute(port.address, folder),
        remote=_absolute(port.remote, folder),
        mtu=port.mtu,
        queues=port.queues,
    )


def _folder_of(pid: int) -> str:
    """Where the relative paths of a switch begin."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:  # another user's, or another pid namespace's
        return ""


def _absolute(address: str, folder: str) -> str:
    """A path that QEMU finds wherever it is started; HOST:PORT and @NAME as they are."""
    if address.startswith("@") or inet(address) or not address:
        return address
    return os.path.join(folder, address.removeprefix("./")) if folder else address
