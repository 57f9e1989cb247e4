"""Ports at the interface end of a device: a veth, a NIC, the TAP of a running QEMU.

The host's stack stays where it was: it sees the frames as well, and answers those for addresses of
its own. So a device it uses is refused, unless one insists.
"""

from __future__ import annotations

import errno
import logging

from vswitch._fastpath import RING_SLOT
from vswitch.errors import DeviceError, PortError
from vswitch.linux import device, netlink, packet
from vswitch.ports.base import Core, LinkState, Port
from vswitch.ports.ends import InterfaceEnd
from vswitch.ports.settings import Settings, check_not_tun, configure, put_back

log = logging.getLogger(__name__)


class NetdevPort(Port):
    """One device, one packet socket per queue.

    Brings the device up. A device that is renamed is followed; one that is moved into another
    namespace is gone, as if deleted.

    Args:
        name: The device's, in the calling thread's network namespace.
        force: Take it even if it has an IP address or is part of a bridge.

    Raises:
        DeviceError: the kernel refused, see `vswitch.linux.packet.open_packet`.
        PortError: there is no such device, or it cannot or should not be a port.
    """

    kind = "netdev"
    has_link = True
    end = "interface"

    def __init__(
        self,
        name: str,
        *,
        queues: int = 1,
        mtu: int | None = None,
        mac: bytes | None = None,
        offloads: bool = True,
        force: bool = False,
    ) -> None:
        taken = packet.offloads() if offloads else ()
        try:
            _check(name, force=force)
            driver, bus = device.driver(name)
            self.driver = bus if driver == "tun" else driver  # tun(4) makes TUNs and TAPs
            self._found = Settings.of(name)
        except OSError as e:
            raise DeviceError(name, "look at the interface", e) from e
        try:
            configure(name, mtu=mtu, mac=mac)
            # The MTU is read first: nothing can fail once the sockets are open.
            super().__init__(name, mtu=device.mtu(name), offloads=taken, queues=queues)
            self._end = InterfaceEnd(packet.open_packet(name, queues=queues, ring_slot=RING_SLOT))
        except (DeviceError, OSError) as e:
            _put_back(name, self._found)
            if isinstance(e, DeviceError):
                raise
            raise DeviceError(name, "set up the interface", e) from e

    def attach(self, core: Core) -> int:
        return self._end.attach(core, offloads=self.offload_bits, mtu=self.mtu)

    def link(self) -> LinkState:
        return self._end.link()

    def watch(self) -> None:
        self._end.watch()

    def set_mtu(self, mtu: int) -> None:
        self._end.set_mtu(self.name, mtu)
        self.mtu = mtu

    def close(self) -> None:
        if not self._end.sockets:
            return
        try:
            with self._end.entered():
                _put_back(self._end.current_name(), self._found)
        except OSError as e:
            if e.errno != errno.EBADFD:  # the device is gone
                log.warning("left as it is name=%s error=%s", self.name, e)
        self._end.close()


def _check(name: str, *, force: bool) -> None:
    """Raise PortError unless the device can and should be a port."""
    if not device.exists(name):
        raise PortError(
            f"there is no device {name}", hint=f"--port {name} creates a TAP of that name"
        )
    check_not_tun(name)
    if not device.is_ethernet(name):
        raise PortError(f"{name} is not an Ethernet device")
    if force:
        return
    anyway = f"or, to take it all the same: --port {name},force"
    if device.is_wireless(name):
        raise PortError(
            f"{name} is wireless: an access point takes frames from no station behind it",
            hint=f"route there instead; {anyway}",
        )
    if master := netlink.master(name):
        raise PortError(
            f"{name} is part of {master}: both would forward its frames",
            hint=f"ip link set dev {name} nomaster; {anyway}",
        )
    if addresses := netlink.addresses(name):
        raise PortError(
            f"{name} has the address {addresses[0]}: the host answers there, beside the switch",
            hint=f"ip addr flush dev {name}; {anyway}",
        )


def _put_back(name: str, found: Settings) -> None:
    try:
        put_back(name, found)
    except OSError as e:
        if e.errno != errno.ENODEV:  # deleted by somebody
            log.warning("left as it is name=%s error=%s", name, e)
