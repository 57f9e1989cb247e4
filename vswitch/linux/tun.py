"""The file end of TAP devices: /dev/net/tun and its ioctls (<linux/if_tun.h>).

Whoever opens /dev/net/tun under a device's name holds its *file* end: what he writes, the
device's network interface receives. A device has one queue, or several if it was made so.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from vswitch.errors import DeviceError
from vswitch.linux.device import SIOCGIFHWADDR

# <linux/if_tun.h>. _IOW('T', 202, int) as x86, arm and riscv encode it; mips, powerpc and a
# few others number the direction bits differently.
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
TUNGETIFF = 0x800454D2
_FILTER = "HP"  # struct sock_fprog: how many instructions, and where
TUNATTACHFILTER = 0x400054D5 | struct.calcsize(_FILTER) << 16
TUNDETACHFILTER = TUNATTACHFILTER + 1
TUNSETVNETHDRSZ = 0x400454D8
TUNSETVNETLE = 0x400454DC
TUNGETDEVNETNS = 0x54E3
IFF_TAP = 0x0002
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFF_TUN_EXCL = 0x8000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_TSO_ECN = 0x01, 0x02, 0x04, 0x08
TUN_F_UFO = 0x10  # but not Linux 4.14
TUN_F_USO4, TUN_F_USO6 = 0x20, 0x40  # Linux 6.2
VNET_HEADER_BYTES = 10  # struct virtio_net_hdr, without num_buffers
IFNAMSIZ = 16  # including the terminating NUL

# What to ask for, best first: an old kernel refuses the whole set for one unknown bit.
_TSO = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN
OFFLOAD_SETS = (
    (
        _TSO | TUN_F_USO4 | TUN_F_USO6 | TUN_F_UFO,
        ("csum", "tso4", "tso6", "ecn", "uso", "ufo"),
    ),
    (_TSO | TUN_F_UFO, ("csum", "tso4", "tso6", "ecn", "ufo")),
    (_TSO, ("csum", "tso4", "tso6", "ecn")),
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


def adopt_queue(name: str, fd: int, *, offloads: bool = True) -> TapQueue:
    """Make a queue that another process opened as if `open_queue` had; needs no privilege.

    Raises:
        DeviceError: ``errno`` is EINVAL when it was opened with other flags, which nobody can
            change afterwards (tun.c: a second TUNSETIFF is EEXIST).
    """
    lacking: list[str] = []
    try:
        lacking += [] if flags(fd) & IFF_VNET_HDR else ["IFF_VNET_HDR"]
        lacking += ["IFF_NO_PI"] if _has_packet_info(fd) else []
        if lacking:
            raise OSError(errno.EINVAL, f"it was opened without {' and '.join(lacking)}")
        os.set_blocking(fd, False)
        fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", VNET_HEADER_BYTES))
        fcntl.ioctl(fd, TUNSETVNETLE, struct.pack("i", 1))
        return TapQueue(fd, _set_offloads(fd) if offloads else _no_offloads(fd))
    except OSError as e:
        hint = "open it with IFF_TAP | IFF_NO_PI | IFF_VNET_HDR; QEMU says vnet_hdr=on"
        raise DeviceError(name, "use the TAP", e, hint=hint if lacking else None) from e


def _has_packet_info(fd: int) -> bool:
    """Whether the queue of a TAP was opened without IFF_NO_PI."""
    if not flags(fd) & IFF_NO_PI:
        return True
    # The same bit is IFF_NOFILTER in the kernel's answer. With a filter, one that lets all through,
    # it is IFF_NO_PI again.
    program = ctypes.create_string_buffer(
        struct.pack("HBBI", 0x06, 0, 0, 0xFFFFFFFF)
    )  # BPF: return
    try:
        fcntl.ioctl(fd, TUNATTACHFILTER, struct.pack(_FILTER, 1, ctypes.addressof(program)))
    except OSError:  # a macvtap has neither filters nor packet information
        return False
    try:
        return not flags(fd) & IFF_NO_PI
    finally:
        fcntl.ioctl(fd, TUNDETACHFILTER, bytes(struct.calcsize(_FILTER)))


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


def flags(fd: int) -> int:
    """How a queue was opened, IFF_*; but IFF_NO_PI is set of every queue without a filter.

    Raises:
        OSError: ENOTTY of what is no TUN or TAP, EBADFD of one without a device.
    """
    return int(struct.unpack_from("H", fcntl.ioctl(fd, TUNGETIFF, bytes(40)), IFNAMSIZ)[0])


def current_name(fd: int) -> str:
    """The interface's name now: it may have been renamed, or moved to another namespace.

    Raises:
        OSError: EBADFD when the device is gone.
    """
    answer = fcntl.ioctl(fd, TUNGETIFF, bytes(40))
    return answer[:IFNAMSIZ].split(b"\0", 1)[0].decode()


def mac(fd: int) -> bytes:
    """The interface's Ethernet address, in whatever namespace it is.

    Raises:
        OSError: EBADFD when the device is gone.
    """
    return fcntl.ioctl(fd, SIOCGIFHWADDR, bytes(40))[18:24]


def device_namespace(fd: int) -> int:
    """A descriptor of the network namespace the interface is in; the caller closes it.

    Raises:
        OSError: EBADFD when the device is gone, EPERM without CAP_NET_ADMIN in the namespace, or
            of a macvtap, which tells nobody.
    """
    try:
        return int(fcntl.ioctl(fd, TUNGETDEVNETNS, 0))
    except OSError as e:
        if e.errno == errno.EINVAL:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM)) from e
        raise


def restore_flags(name: str, flags: int) -> None:
    """Give a persistent TAP that nobody holds its old *flags* (IFF_*) back.

    The flags of the last opener stay with a device; opening it once more sets them.
    """
    os.close(_attach(name, flags))


def holders(name: str) -> list[tuple[int, str]]:
    """(pid, command) of the processes that hold the file end of *name*, as far as we may see."""
    return holders_of([name])[name]


def holders_of(names: Collection[str]) -> dict[str, list[tuple[int, str]]]:
    """The same of many, with one look at each process."""
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in names}
    for process in _processes() if names else ():
        held = {_device_of(info) for info in _entries(process / "fdinfo")}
        for name in held & found.keys():
            found[name].append((int(process.name), _read(process / "comm").strip()))
    return {name: sorted(processes) for name, processes in found.items()}


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


def _device_of(fdinfo: Path) -> str:
    """The TUN or TAP a descriptor is a queue of, or nothing."""
    # tun_chr_show_fdinfo() in the kernel's drivers/net/tun.c writes "iff:<tab>NAME".
    _, _, rest = _read(fdinfo).partition("iff:\t")
    return rest.partition("\n")[0]
