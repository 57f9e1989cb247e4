"""What a port changes at the interface end of its device, and puts back at the end.

Devices are named as in the calling thread's network namespace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vswitch.errors import DeviceError, PortError
from vswitch.linux import device


@dataclass(frozen=True, slots=True)
class Settings:
    """A device as it was at one moment."""

    up: bool
    mtu: int  # bytes
    mac: bytes

    @classmethod
    def of(cls, name: str) -> Settings:
        return cls(device.is_up(name), device.mtu(name), device.mac(name))


def check_not_tun(name: str) -> None:
    """Raise PortError if an existing device is a TUN, which has Ethernet frames at neither end."""
    if device.driver(name) == ("tun", "tun"):
        raise is_tun(name, name)


def is_tun(what: str, name: str) -> PortError:
    """Why *what*, the TUN device *name*, is no port."""
    return PortError(
        f"{what} is a TUN device: it carries IP packets, and a switch port needs Ethernet frames",
        hint=f"make a TAP instead: ip tuntap add dev {name} mode tap; TUN devices are for the "
        "virtual router that a coming version has",
    )


def configure(name: str, *, mtu: int | None, mac: bytes | None) -> None:
    """Set what is given, and bring the device up.

    Raises:
        DeviceError: the kernel refused; the hint is what an administrator can run.
    """
    if mac is not None and mac != device.mac(name):
        with _explained(name, "set its address", f"address {mac.hex(':')}"):
            device.set_mac(name, mac)
    if mtu is not None and mtu != device.mtu(name):
        set_mtu(name, mtu)
    if not device.is_up(name):
        with _explained(name, "bring the interface up", "up"):
            device.set_up(name, up=True)


def set_mtu(name: str, mtu: int) -> None:
    """Change the MTU of a device; DeviceError as `configure`."""
    with _explained(name, f"set its MTU to {mtu}", f"mtu {mtu}"):
        device.set_mtu(name, mtu)


@contextmanager
def _explained(name: str, operation: str, setting: str) -> Iterator[None]:
    """Turn a refusal into a DeviceError that names the line an administrator can run."""
    try:
        yield
    except PermissionError as e:
        hint = f"run as root, or have an administrator run: ip link set dev {name} {setting}"
        raise DeviceError(name, operation, e, hint=hint) from e
    except OSError as e:
        raise DeviceError(name, operation, e) from e


def put_back(name: str, found: Settings) -> None:
    """Make the device again what it was when *found* was taken.

    Raises:
        OSError: the kernel refused.
    """
    if device.mac(name) != found.mac:
        device.set_mac(name, found.mac)
    if device.mtu(name) != found.mtu:
        device.set_mtu(name, found.mtu)
    if device.is_up(name) != found.up:
        device.set_up(name, up=found.up)
