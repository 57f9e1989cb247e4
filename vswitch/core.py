"""The two implementations of one behaviour, behind one face.

``Core("c")`` is the compiled datapath, ``Core("python")`` the reference switch on the same
ports; the switch does not know which one it drives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from mmap import mmap
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vswitch._fastpath import BURST, DROP_REASONS, PORTS_MAX, PULSE_TIMES
from vswitch._guarding import COPY
from vswitch._rules import VERDICTS
from vswitch.errors import PortError
from vswitch.status import Pulse

if TYPE_CHECKING:
    import numpy as np

    from vswitch.guarding import PortGuard
    from vswitch.meters import Meters, Shape
    from vswitch.mirrors import Mirrored
    from vswitch.neighbours import Neighbour
    from vswitch.portsettings import PortSettings
    from vswitch.vlans import PortVlans

# struct vsw_counters in datapath/port.h: what is counted per poller and port, one u64 each.
COUNTER_WORDS = 32  # four cache lines
COUNTER_NAMES = (
    "rx_frames",
    "rx_bytes",
    "tx_frames",
    "tx_bytes",
    "forwarded",
    "punted",
    "flooded_unicast",
    "flooded_multicast",
    "flooded_broadcast",
)
FLOODED = {  # kinds of frames, and what counts them
    "unknown_unicast": "flooded_unicast",
    "multicast": "flooded_multicast",
    "broadcast": "flooded_broadcast",
}
__all__ = ["COPY", "COUNTER_NAMES", "COUNTER_WORDS", "DROP_NAMES", "VERDICTS", "Core"]

DROP_NAMES = tuple(name for name, _, _ in DROP_REASONS)


class Core:
    """A datapath with its tables; the arguments are those of `vswitch.Switch`."""

    def __init__(
        self,
        kind: str,
        *,
        pollers: int,
        fdb_limit: int,
        ageing_s: int,
        busy_poll_us: float,
        notify_fd: int,
        salt: bytes | None = None,
    ) -> None:
        datapath, tables, self._ports, *others = _modules(kind)
        self._rules, self._guarding, self._mirror, self._inject, self._neigh = others
        self.datapath = datapath.Datapath(
            pollers=pollers,
            fdb_limit=fdb_limit,
            ageing_s=ageing_s,
            busy_poll_us=busy_poll_us,
            notify_fd=notify_fd,
            salt=salt,
        )
        self.fdb = tables.Fdb(self.datapath)
        self.pollers = pollers
        self._flooded_before = dict.fromkeys(FLOODED, 0)  # from ports that are no more

    def _add(self, kind: str, *args: object, **options: object) -> int:
        return int(getattr(self._ports, f"add_{kind}_port")(self.datapath, *args, **options))

    def add_tap_port(self, fds: Sequence[int], *, offloads: int, mtu: int) -> int:
        return self._add("tap", fds, offloads=offloads, mtu=mtu)

    def add_packet_port(
        self, fds: Sequence[int], *, offloads: int, mtu: int, rings: Sequence[mmap | None] = ()
    ) -> int:
        return self._add("packet", fds, offloads=offloads, mtu=mtu, rings=rings)

    def add_memory_port(self, *, fd: int, offloads: int, mtu: int, size: int) -> int:
        return self._add("memory", fd=fd, offloads=offloads, mtu=mtu, size=size)

    def add_stream_port(self, fd: int, *, mtu: int) -> int:
        return self._add("stream", fd, mtu=mtu)

    def add_dgram_port(self, fd: int, *, peer: bytes, mtu: int) -> int:
        return self._add("dgram", fd, peer=peer, mtu=mtu)

    def add_pcap_port(self, fd: int, **options: Any) -> int:
        return self._add("pcap", fd, **options)

    def add_vhost_port(self, *, queues: int, mtu: int) -> int:
        if not hasattr(self._ports, "add_vhost_port"):
            raise PortError("core python has no vhost-user: C works in the guests' memory")
        return self._add("vhost", queues=queues, mtu=mtu)

    def guest(self, port: int) -> Any:
        """The guest behind vhost-user port number *port*."""
        from vswitch._guest import Guest

        return Guest(self.datapath, port)

    def set_fd(self, port: int, fd: int) -> None:
        """Give stream port number *port* another socket, -1 for none.  *Parked.*"""
        self._ports.set_fd(self.datapath, port, fd)

    def set_reserved(self, nibbles: Iterable[int], verdict: str) -> None:
        """What happens to frames for 01-80-C2-00-00-0x, x in *nibbles*.  *Parked.*"""
        self._rules.set_reserved(self.datapath, nibbles, verdict)

    def set_vlans(self, port: int, vlans: PortVlans | None) -> None:
        """What port number *port* does with VLANs; None: it takes no notice.  *Parked.*"""
        self._rules.set_vlans(self.datapath, port, vlans)

    def set_flags(self, port: int, flags: PortSettings) -> None:
        """The flags of port number *port*, but for its backup.  *Parked.*"""
        self._rules.set_flags(self.datapath, port, flags)

    def set_guard(self, port: int, guard: PortGuard) -> None:
        """Who may speak at port number *port*.  *Parked.*"""
        self._guarding.set_guard(self.datapath, port, guard)

    def missed(self, port: int) -> int:
        """How many frames its guard could not give to the control plane."""
        return int(self._guarding.missed(self.datapath, port))

    def set_backup(self, port: int, backup: int | None) -> None:
        """Give what is for *port*, whose link is down, to another; None: no more.  *Parked.*"""
        self._rules.set_backup(self.datapath, port, backup)

    def set_meters(self, port: int, meters: Meters) -> None:
        """How much may enter port number *port* in a second.  *Parked.*"""
        self._rules.set_meters(self.datapath, port, meters)

    def set_shaper(self, port: int, shape: Shape | None) -> None:
        """How what leaves port number *port* waits for its turn; None: it does not.  *Parked.*"""
        self._rules.set_shaper(self.datapath, port, shape)

    def set_mirrors(self, mirrors: Sequence[Mirrored]) -> None:
        """Mirror what *mirrors* say, and nothing else.  *Parked.*"""
        self._mirror.set_mirrors(self.datapath, mirrors)

    def inject(self, port: int, frame: bytes, *, vid: int = 0, priority: int = 0) -> bool:
        """Send a frame out of a port, as one of a VLAN; whether it was taken.  *Parked.*"""
        taken: bool = self._inject.inject(self.datapath, port, frame, vid=vid, priority=priority)
        return taken

    def set_probed(self, ports: Iterable[int], switch_id: bytes | None) -> None:
        """Punt probes of the switch called *switch_id* that come to *ports*.  *Parked.*"""
        self._inject.set_probed(self.datapath, ports, switch_id)

    def set_neighbour(self, neighbour: Neighbour) -> bool:
        """Know who has an address; False: there is no room.  *Parked.*"""
        return bool(self._neigh.set_neighbour(self.datapath, neighbour))

    def unset_neighbour(self, neighbour: Neighbour) -> bool:
        """Know it no more; whether it was.  *Parked.*"""
        return bool(self._neigh.unset_neighbour(self.datapath, neighbour))

    def neighbour_counters(self) -> tuple[int, int]:
        """Questions answered, and frames not sent to ports with neigh_suppress."""
        answered, suppressed = self._neigh.neighbour_counters(self.datapath)
        return answered, suppressed

    def vlan_counters(self, port: int) -> dict[int, tuple[int, int, int, int]]:
        """VLAN -> (received frames, bytes, sent frames, bytes) of port number *port*."""
        counted: dict[int, tuple[int, int, int, int]] = self._rules.vlan_counters(
            self.datapath, port
        )
        return counted

    def wire(self, port: int) -> Any:
        """The far end of memory port number *port*."""
        return self._ports.Wire(self.datapath, port)

    def punted(self) -> Iterable[tuple[int, bytes, bytes]]:
        """Take what was punted: (port number, virtio-net header, frame)."""
        frames: list[tuple[int, bytes, bytes]] = self._ports.punted(self.datapath)
        return frames

    def counters(self, port: int) -> tuple[dict[str, int], dict[str, int]]:
        """What port number *port* counted on all pollers, and its drops by reason."""
        words = memoryview(self.datapath.counter_memory).cast("B").cast("Q")
        blocks = range(port * COUNTER_WORDS, len(words), PORTS_MAX * COUNTER_WORDS)
        total = [sum(words[at + i] for at in blocks) for i in range(COUNTER_WORDS)]
        drops = total[len(COUNTER_NAMES) :]
        return (
            dict(zip(COUNTER_NAMES, total, strict=False)),
            dict(zip(DROP_NAMES, drops, strict=False)),
        )

    def counter_array(self) -> np.ndarray[Any, Any]:
        """All of them without a copy, as `vswitch.Switch.counters` has them."""
        import numpy as np

        block = np.dtype(
            {
                "names": [*COUNTER_NAMES, "drops"],
                "formats": [*["u8"] * len(COUNTER_NAMES), [(name, "u8") for name in DROP_NAMES]],
                "itemsize": COUNTER_WORDS * 8,
            }
        )
        array = np.frombuffer(self.datapath.counter_memory, block)
        array.flags.writeable = False
        return array.reshape(self.pollers, -1)

    def flooded(self, ports: Iterable[int]) -> dict[str, int]:
        """Frames flooded by kind, ever: from *ports*, and from those that were retired."""
        total = dict(self._flooded_before)
        for port in ports:
            counters, _ = self.counters(port)
            for kind, name in FLOODED.items():
                total[kind] += counters[name]
        return total

    def retire(self, port: int) -> None:
        """Keep what the switch has to know of a port about to be removed."""
        self._flooded_before = self.flooded([port])

    def pulses(self) -> list[Pulse]:
        """What each poller tells of itself."""
        words = memoryview(self.datapath.pulse_memory).cast("B").cast("Q")
        size = len(words) // self.pollers
        return [_pulse(words[at : at + size].tolist()) for at in range(0, len(words), size)]


def _pulse(words: Sequence[int]) -> Pulse:
    """One struct vsw_pulse of ``datapath/pulse.h``."""
    rounds, timed_ns, *rest = words
    bursts = rest[PULSE_TIMES : PULSE_TIMES + BURST + 1]
    return Pulse(rounds, tuple(bursts), tuple(rest[:PULSE_TIMES]), timed_ns)


def _modules(kind: str) -> tuple[ModuleType, ...]:
    """Where there is a Datapath, its Fdb, its ports, rules, guards, mirrors, what is said there,
    neighbours."""
    if kind == "c":
        from vswitch import _fastpath, _guarding, _inject, _mirror, _neigh, _ports, _rules, _tables

        return _fastpath, _tables, _ports, _rules, _guarding, _mirror, _inject, _neigh
    if kind == "python":
        from vswitch import _slowpath

        return (_slowpath,) * 8
    raise ValueError(f"core is 'c' or 'python', not {kind!r}")
