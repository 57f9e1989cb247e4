"""What a recipe is made of, and what it comes out as."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from vswitch.errors import ConfigError
from vswitch.options import host_port

ETHERNET_MTU = 1500  # IEEE 802.3; what a guest has unless told otherwise
QEMU_PREFIX = "52:54:00"  # locally administered; the one QEMU and libvirt give their guests


@dataclass(frozen=True, slots=True)
class Plug:
    """A port, or a listener, as far as what is plugged in there has to know it."""

    name: str
    kind: str
    end: str = ""  # of the device, which the switch holds: "file", "interface", "" if it has none
    driver: str = ""  # of the device: "tap", "veth", ...; "" if there is none or nobody looked
    address: str = ""  # where the switch listens or receives: a path, or HOST:PORT
    remote: str = ""  # where it connects or sends to
    mtu: int = ETHERNET_MTU  # bytes
    queues: int = 1
    memory: str = "512M"  # of the VM, where the switch shares it

    @property
    def has_own_mtu(self) -> bool:
        return self.mtu != ETHERNET_MTU


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to paste, and what to know."""

    text: str
    notes: tuple[str, ...] = ()  # a sentence each
    steps: tuple[str, ...] = ()  # lines for a shell, before or after


def station_address(seed: bytes) -> str:
    """The address of a guest, the same for the same *seed*.

    Every QEMU without one says it is 52:54:00:12:34:56, so two of them on a LAN are one station.
    """
    return ":".join([QEMU_PREFIX, *(f"{byte:02x}" for byte in sha256(seed).digest()[:3])])


def inet(address: str) -> tuple[str, str] | None:
    """(host, port) of HOST:PORT, None if *address* is a path, or @NAME of an abstract socket."""
    if "/" in address or address.startswith("@"):
        return None
    try:
        host, number = host_port("", address)
    except ConfigError:
        return None
    return host, str(number)
