"""The host's own place on the switch: a TAP whose interface end stays with the host.

    switch.add_port(LocalPort("br0", switch="lab", ips=[ip_interface("10.0.0.1/24")]))

As ``br0`` of a Linux bridge with an address: what the host sends there enters the switch, and
frames for its address reach the host. The address is static in the forwarding database as long as
the port exists: it does not age, and no station takes it over by claiming it.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from vswitch.errors import DeviceError, PortError
from vswitch.linux import device, netlink
from vswitch.ports.base import Core, LinkState, Port
from vswitch.ports.settings import check_not_tun
from vswitch.ports.tap import TapPort

log = logging.getLogger(__name__)

MACHINE_ID = Path("/etc/machine-id")  # machine-id(5)
Interface = IPv4Interface | IPv6Interface


class LocalPort(Port):
    """A TAP called *name*, up, with the addresses *ips*; it goes with the port.

    A TAP of that name that nobody holds is taken as it is, so that an administrator can prepare it
    for a user: what it has already needs no privilege, and it is put back at the end.

    Args:
        name: The device's, in the calling thread's network namespace.
        switch: The name of the switch, of which `stable_mac` makes the address.
        ips: Added to the device, if it does not have them.
        mac: The device's address; by default `stable_mac` of a new device, and of one that
            exists what it has.

    Raises:
        ConfigError: the name cannot be an interface's.
        DeviceError: the kernel refused; the hint is what an administrator can run.
        PortError: a device of that name is there and is not a TAP that nobody holds.
    """

    kind = "local"
    driver = "tap"
    has_link = True

    def __init__(
        self,
        name: str,
        *,
        switch: str,
        ips: Sequence[Interface] = (),
        queues: int = 1,
        mtu: int | None = None,
        mac: bytes | None = None,
        offloads: bool = True,
    ) -> None:
        if device.exists(name):
            _check(name)
        elif mac is None:
            mac = stable_mac(switch, name)
        try:
            self._tap = TapPort(name, queues=queues, mtu=mtu, mac=mac, offloads=offloads)
        except DeviceError as e:
            if e.operation == "attach to the TAP" and not device.exists(name):
                e.hint = _preparation(name, mac, ips)
            raise
        super().__init__(name, mtu=self._tap.mtu, offloads=self._tap.offloads, queues=queues)
        self.created = self._tap.created
        self.ips = tuple(map(str, ips))
        self._added: list[Interface] = []
        try:
            self._add_addresses(ips)
            self.station = device.mac(name)
        except (DeviceError, OSError) as e:
            self.close()
            if isinstance(e, DeviceError):
                raise
            raise DeviceError(name, "set up the interface", e) from e

    def _add_addresses(self, ips: Sequence[Interface]) -> None:
        for ip in ips:
            try:
                netlink.add_address(self.name, ip)
            except OSError as e:
                if e.errno == errno.EEXIST or str(ip.ip) in netlink.addresses(self.name):
                    continue
                raise DeviceError(
                    self.name, f"add the address {ip}", e, hint=_address_hint(self.name, ip, e)
                ) from e
            self._added.append(ip)

    def attach(self, core: Core) -> int:
        return self._tap.attach(core)

    def link(self) -> LinkState:
        return self._tap.link()

    def watch(self) -> None:
        self._tap.watch()

    def set_mtu(self, mtu: int) -> None:
        self._tap.set_mtu(mtu)
        self.mtu = mtu

    def close(self) -> None:
        # A device that we made takes them along; and a namesake of one that was moved has its own.
        if self._added and not self.created and self._tap.is_at_home():
            for ip in self._added:
                try:
                    netlink.remove_address(self.name, ip)
                except OSError as e:  # another took it off, or took the device
                    log.debug("address not removed name=%s address=%s error=%s", self.name, ip, e)
        self._added = []
        self._tap.close()


def stable_mac(switch: str, port: str, *, machine: str | None = None) -> bytes:
    """The Ethernet address of the host's port called *port* on the switch called *switch*.

    The first six bytes of the SHA-256 of ``vswitch/MACHINE/SWITCH/PORT``, made locally administered
    and unicast (IEEE 802-2014, 8.4): the same after every start. *machine* is the line in
    /etc/machine-id, or nothing without that file: two hosts on one LAN, whose switches both have
    the default name, must not have the same address.
    """
    if machine is None:
        machine = _machine_id()
    digest = bytearray(hashlib.sha256(f"vswitch/{machine}/{switch}/{port}".encode()).digest()[:6])
    digest[0] = digest[0] & 0xFC | 0x02
    return bytes(digest)


def _machine_id() -> str:
    try:
        return MACHINE_ID.read_text().strip()
    except OSError:
        return ""


def _check(name: str) -> None:
    """Raise PortError unless the existing device can be the host's port."""
    check_not_tun(name)
    driver, bus = device.driver(name)
    if (driver, bus) == ("tun", "tap"):
        return  # the TAP port finds out whether somebody holds it
    what = f"a {driver} device" if driver else "a device of another kind"
    raise PortError(
        f"{name} exists and is {what}: the host's own port is a TAP, which the switch makes",
        hint="give it another name: --local NAME",
    )


def _preparation(name: str, mac: bytes | None, ips: Sequence[Interface]) -> str:
    """What an administrator runs once, so that an ordinary user can have this port."""
    address = f"address {mac.hex(':')} " if mac else ""
    lines = [
        f"ip tuntap add dev {name} mode tap user $USER",
        f"ip link set dev {name} {address}up",
        *(f"ip addr add {ip} dev {name}" for ip in ips),
    ]
    return f"run with CAP_NET_ADMIN, or have an administrator run: {' && '.join(lines)}"


def _address_hint(name: str, ip: Interface, cause: OSError) -> str | None:
    if cause.errno == errno.EPERM:
        return f"run as root, or have an administrator run: ip addr add {ip} dev {name}"
    if ip.version == 6 and cause.errno in (errno.EACCES, errno.EINVAL, errno.ENODEV):
        return (
            f"IPv6 needs an MTU of 1280, and to be switched on: "
            f"sysctl -w net.ipv6.conf.{name}.disable_ipv6=0"
        )
    return None
