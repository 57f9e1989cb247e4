"""The file end of TAP devices: /dev/net/tun and its ioctls (<linux/if_tun.h>).

Whoever opens /dev/net/tun under a device's name holds its *file* end: what he writes, the
device's network interface receives. A device has one queue, or several if it was made so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vswitch.errors import DeviceError

# <linux/if_tun.h>. _IOW('T', 202, int) as x86, arm and riscv encode it; mips, powerpc and a
# few others number the direction bits differently.
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
TUNGETIFF = 0x800454D2
TUNSETVNETLE = 0x400454DC
TUNGETDEVNETNS = 0x54E3
IFF_TAP = 0x0002
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFF_TUN_EXCL = 0x8000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN = 0x01, 0x02, 0x04, 0x08
TUN_F_USO4, TUN_F_USO6 = 0x20, 0x40  # Linux 6.2
IFNAMSIZ = 16  # including the terminating NUL

# What to ask for, best first: an old kernel refuses the whole set for one unknown bit.
OFFLOAD_SETS = (
    (
        TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
        ("csum", "tso4", "tso6", "ecn", "uso"),
    ),
    (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN, ("csum", "tso4", "tso6", "ecn")),
    (TUN_F_CSUM, ("csum",)),
)
TUN_DEVICE = "/dev/net/tun"


@dataclass(frozen=True, slots=True)
class TapQueue:
    """One open queue of a TAP; reads and writes are a 10-byte virtio-net header and a frame."""

    fd: int
    offloads: tuple[str, ...]


def open_queue(
    name: str, *, multi_queue: bool = False, create: bool = False, offloads: bool = True
) -> TapQueue:
    """Open one queue of the TAP *name*, non-blocking and close-on-exec.

    A device this call creates disappears when its last queue is closed.

    Args:
        name: Interface name, 1..15 bytes, as `vswitch.portconfig.check_interface_name` has them.
        multi_queue: The device has, or is to have, more than one queue.
        create: The device must not exist yet.
        offloads: Take checksums and segments unfinished, as far as the kernel gives them.

    Raises:
        DeviceError: ``errno`` is ENOENT without /dev/net/tun, EPERM or EACCES without
            permission, EBUSY when another process holds the device, EINVAL when it is not a
            TAP or has another kind of queues.
    """
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    flags |= IFF_MULTI_QUEUE if multi_queue else 0
    fd = _attach(name, flags | (IFF_TUN_EXCL if create else 0))
    try:
        # Header fields in little endian whatever the machine, as virtio 1 has them.
        fcntl.ioctl(fd, TUNSETVNETLE, struct.pack("i", 1))
        return TapQueue(fd, _set_offloads(fd) if offloads else _no_offloads(fd))
    except OSError as e:
        os.close(fd)
        raise DeviceError(name, "set up the virtio-net header", e) from e


def _attach(name: str, flags: int) -> int:
    try:
        fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise DeviceError(name, f"open {TUN_DEVICE}", e, hint=_open_hint(e.errno)) from e
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    except OSError as e:
        os.close(fd)
        raise DeviceError(name, "attach to the TAP", e, hint=_attach_hint(name, e.errno)) from e
    return fd


def _open_hint(code: int | None) -> str | None:
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return "load the module (modprobe tun), or give the container --device /dev/net/tun"
    if code in (errno.EPERM, errno.EACCES):
        return f"run as root, or let your user read and write {TUN_DEVICE}"
    return None


def _attach_hint(name: str, code: int | None) -> str | None:
    if code == errno.EBUSY:
        return f"{name} is held by {describe_holders(name)}; a TAP's file end has one holder"
    if code in (errno.EPERM, errno.EACCES):
        return (
            "run with CAP_NET_ADMIN, or have an administrator run: "
            f"ip tuntap add dev {name} mode tap user $USER && ip link set {name} up"
        )
    return None


def _set_offloads(fd: int) -> tuple[str, ...]:
    for bits, names in OFFLOAD_SETS:
        try:
            fcntl.ioctl(fd, TUNSETOFFLOAD, bits)
        except OSError as e:
            if e.errno != errno.EINVAL:
                raise
        else:
            return names
    return _no_offloads(fd)


def _no_offloads(fd: int) -> tuple[str, ...]:
    fcntl.ioctl(fd, TUNSETOFFLOAD, 0)
    return ()


def current_name(fd: int) -> str:
    """The interface's name now: it may have been renamed, or moved to another namespace.

    Raises:
        OSError: EBADFD when the device is gone.
    """
    answer = fcntl.ioctl(fd, TUNGETIFF, bytes(40))
    return answer[:IFNAMSIZ].split(b"\0", 1)[0].decode()


def device_namespace(fd: int) -> int:
    """A descriptor of the network namespace the interface is in; the caller closes it.

    Raises:
        OSError: EBADFD when the device is gone, EPERM without CAP_NET_ADMIN in the namespace.
    """
    return int(fcntl.ioctl(fd, TUNGETDEVNETNS, 0))


def restore_flags(name: str, flags: int) -> None:
    """Give a persistent TAP that nobody holds its old *flags* (IFF_*) back.

    The flags of the last opener stay with a device; opening it once more sets them.
    """
    os.close(_attach(name, flags))


def holders(name: str) -> list[tuple[int, str]]:
    """(pid, command) of the processes that hold the file end of *name*, as far as we may see."""
    return sorted(
        (int(process.name), _read(process / "comm").strip())
        for process in _processes()
        if any(_is_queue_of(name, info) for info in _entries(process / "fdinfo"))
    )


def describe_holders(name: str) -> str:
    """The holders of *name* in words."""
    return ", ".join(f"{comm} (pid {pid})" for pid, comm in holders(name)) or "another process"


def _processes() -> Iterable[Path]:
    return (p for p in Path("/proc").iterdir() if p.name.isdigit())


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # the process ended, or is not ours to look into
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _is_queue_of(name: str, fdinfo: Path) -> bool:
    # tun_chr_show_fdinfo() in the kernel's drivers/net/tun.c writes "iff:<tab>NAME".
    return f"iff:\t{name}\n" in _read(fdinfo)
