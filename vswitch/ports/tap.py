"""TAP ports: the switch holds the file end, the kernel has the interface end.

The interface may stay on the host, or be moved into a container or namespace; the descriptor
follows it. (A TAP whose file end QEMU holds is reached at its interface end instead, by another
port kind, see ``netdev.py``.)
"""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass

from vswitch.errors import DeviceError, PortError
from vswitch.linux import device, netlink, tun
from vswitch.options import in_range
from vswitch.portconfig import QUEUES_MAX, check_interface_name
from vswitch.ports.base import Core, LinkState, Port
from vswitch.ports.ends import FileEnd
from vswitch.ports.settings import Settings, check_not_tun, configure, put_back

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """A device as it was before we came: what `close` puts back."""

    settings: Settings
    flags: int


class TapPort(Port):
    """One TAP, one descriptor per queue.

    Creates the device if there is none of that name, opens it otherwise, and brings it up.

    Raises:
        ConfigError: the name cannot be an interface's, or *queues* is not in 1..16.
        DeviceError: the kernel refused, see `vswitch.linux.tun.open_queue`.
        PortError: a device of that name is there and cannot be a port.
    """

    kind = "tap"
    has_link = True
    end = "file"
    driver = "tap"

    def __init__(
        self,
        name: str,
        *,
        queues: int = 1,
        mtu: int | None = None,
        mac: bytes | None = None,
        offloads: bool = True,
    ) -> None:
        check_interface_name(f"port {name!r}", name)
        in_range(f"{name}: queues", queues, 1, QUEUES_MAX)
        self.created = not device.exists(name)
        info = None if self.created else _look(name)
        multi_queue = info.multi_queue if info else queues > 1
        self._found = _remember(name, info) if info else None
        self._end = FileEnd()
        try:
            for i in range(queues):
                if i and not multi_queue:  # only now: who holds the one queue is the better reason
                    raise _has_one_queue(name, queues)
                queue = tun.open_queue(
                    name,
                    multi_queue=multi_queue,
                    create=self.created and i == 0,
                    offloads=offloads,
                )
                self._end.fds.append(queue.fd)
            configure(name, mtu=mtu, mac=mac)
            super().__init__(name, mtu=device.mtu(name), offloads=queue.offloads, queues=queues)
        except (PortError, OSError) as e:
            self._give_back(name)
            if isinstance(e, PortError):
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

    def is_at_home(self) -> bool:
        """Whether the device is in the calling thread's namespace and still called as the port."""
        return bool(self._end.fds) and self._end.is_at_home(self.name)

    def close(self) -> None:
        self._give_back(self.name)

    def _give_back(self, name: str) -> None:
        # A device that was moved away or renamed is another's to configure; and one that has its
        # name here now is not ours.
        restore = self._found if self._end.fds and self._end.is_at_home(name) else None
        self._end.close()
        if restore:
            _restore(name, restore)


def _look(name: str) -> netlink.TunInfo:
    """Check that an existing device can be our port."""
    check_not_tun(name)
    driver, bus = device.driver(name)
    if (driver, bus) != ("tun", "tap"):
        what = f"a {driver} device" if driver else "a device of another kind"
        raise PortError(
            f"{name} is not a TAP but {what}", hint=f"its interface end: --port netdev:{name}"
        )
    info = netlink.tun_info(name)
    if info.queues:
        raise PortError(
            f"{name}: its file end is held by {tun.describe_holders(name)}",
            hint=f"stop that program, or take its interface end: --port netdev:{name}",
        )
    return info


def _has_one_queue(name: str, queues: int) -> PortError:
    return PortError(
        f"{name} was made with one queue, so queues={queues} is not possible",
        hint=f"make it anew: ip tuntap add dev {name} mode tap multi_queue",
    )


def _remember(name: str, info: netlink.TunInfo) -> _Found:
    flags = tun.IFF_TAP
    flags |= tun.IFF_MULTI_QUEUE if info.multi_queue else 0
    flags |= tun.IFF_VNET_HDR if info.vnet_hdr else 0
    flags |= tun.IFF_NO_PI if info.no_pi else 0
    return _Found(Settings.of(name), flags)


def _restore(name: str, found: _Found) -> None:
    try:
        tun.restore_flags(name, found.flags)
        put_back(name, found.settings)
    except DeviceError as e:
        log.warning("left as it is name=%s error=%s", name, e)
    except OSError as e:
        if e.errno != errno.ENODEV:  # moved into a namespace, or deleted by somebody
            log.warning("left as it is name=%s error=%s", name, e)
