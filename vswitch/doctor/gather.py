"""Facts, from the API of switches, /proc, /sys and netlink. Nothing is changed."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vswitch.control import address
from vswitch.control.client import Client, connect
from vswitch.doctor.devices import devices
from vswitch.doctor.facts import Device, Facts, Holder, Host, SwitchFacts
from vswitch.errors import ApiError
from vswitch.linux import tun

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13  # <linux/capability.h>
HOOKS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")


def gather(name: str | None = None, *, api: Path | None = None) -> Facts:
    """The facts of this host and of a switch, or of all of this user's.

    Raises:
        ApiError: the switch that was named does not answer.
    """
    switches = [_switch(path) for path in _places(name, api).values()]
    if (name is not None or api is not None) and switches[0].silent:
        with connect(name, path=api) as client:
            client.switch()
    return Facts(_host(), tuple(switches))


def _places(name: str | None, api: Path | None) -> Mapping[str, Path]:
    if api is not None:
        return {"": api}
    if name is not None:
        return {name: address.find(name)}
    return address.running()


def _switch(path: Path) -> SwitchFacts:
    try:
        with connect(path=path) as client:
            return _asked(client, path)
    except ApiError as e:
        return SwitchFacts(path.stem, str(path), silent=str(e))


def _asked(client: Client, path: Path) -> SwitchFacts:
    info = client.switch()
    return SwitchFacts(
        name=info.name,
        api=str(path),
        pid=info.pid,
        uptime_s=info.uptime_s,
        moved=info.fdb.moved,
        ports=tuple(client.ports()),
        stations=tuple(client.fdb()),
        files=_files(info.pid),
        here=_is_here(info.pid),
    )


def _files(pid: int) -> tuple[int, int] | None:
    try:
        limits = Path(f"/proc/{pid}/limits").read_text()
        used = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    line = next(line for line in limits.splitlines() if line.startswith("Max open files"))
    soft = line.split()[3]
    return used, int(soft) if soft.isdigit() else 1 << 30


def _is_here(pid: int) -> bool:
    """Whether a process is in our network namespace; whose is not to be seen is taken for so."""
    try:
        theirs = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return True
    ours = os.stat("/proc/self/ns/net")
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _host() -> Host:
    mask = _capabilities()
    found = devices()
    return Host(
        user=_user(),
        uid=os.geteuid(),
        tun=_tun(),
        net_admin=bool(mask >> CAP_NET_ADMIN & 1),
        net_raw=bool(mask >> CAP_NET_RAW & 1),
        bridge_hooks=tuple(h for h in HOOKS if _number(f"/proc/sys/net/bridge/{h}")),
        aio=(_number("/proc/sys/fs/aio-nr"), _number("/proc/sys/fs/aio-max-nr") or 65536),
        devices=found,
        holders=_holders(found),
        sees_all=os.geteuid() == 0,
        dead=_dead(),
    )


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _tun() -> str:
    if not os.path.exists(tun.TUN_DEVICE):
        return "missing"
    return "" if os.access(tun.TUN_DEVICE, os.R_OK | os.W_OK) else "refused"


def _capabilities() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line[7:], 16) for line in status.splitlines() if line.startswith("CapEff:"))


def _number(path: str) -> int:
    """What a sysctl says, 0 if there is none."""
    with suppress(OSError):
        return int(Path(path).read_text())
    return 0


def _holders(found: Mapping[str, Device]) -> dict[str, tuple[Holder, ...]]:
    taps = [name for name, device in found.items() if device.kind == "tun"]
    return {
        name: tuple(Holder(pid, command) for pid, command in held)
        for name, held in tun.holders_of(taps).items()
    }


def _dead() -> tuple[str, ...]:
    """Sockets in this user's folder where nobody answers."""
    return tuple(
        str(path)
        for path in sorted(address.directory().glob("*.sock"))
        if path.is_socket() and address.holder(path) is None and path.exists()
    )
