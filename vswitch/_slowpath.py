"""The datapath in plain Python: `vswitch.reference` behind the face of the compiled one.

``vswitch --core python`` takes `Datapath`, `Fdb`, `Wire` and `punted` from here instead of from
``_fastpath``, ``_ports`` and ``_tables``: methods, arguments and errors are theirs, and so is the
layout of the counters and rows in memory.  What differs:

- There is one poller, the kernel is not asked what it lost before a read (``rx_full``), and there
  are no ports over captures. Bursts are counted and not timed: that would be Python's time.
- A frame that comes with work left undone (``datapath/vnet.h``) is dropped as ``bad_offload``:
  open TAPs without offloads, then the kernel finishes every frame. Only of packet sockets one
  cannot ask that; their port finishes frames before the switch sees them (``_slowfinish.py``).
- The virtio-net header of what is sent and punted is always zero.

One lock guards all that changes; the poller takes it for a burst, the control plane for a call.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from mmap import mmap

from vswitch._slowcounters import CounterRow
from vswitch._slowevents import ToldFdb
from vswitch._slowfdb import Fdb
from vswitch._slowgate import Gate
from vswitch._slowneigh import neighbour_counters, set_neighbour, unset_neighbour
from vswitch._slowports import (
    VNET_LEN,
    SlowMemoryPort,
    SlowPort,
    SlowTapPort,
    clear,
    signal,
)
from vswitch._slowsockets import SlowDgramPort, SlowPacketPort, SlowStreamPort
from vswitch._slowwire import Wire, punted
from vswitch.clock import Clock
from vswitch.errors import PortError, PortLimitError
from vswitch.guarding import GUARD_MAX, PortGuard
from vswitch.meters import Meters, Shape
from vswitch.mirrors import MIRRORS_MAX, Mirrored, check_apart
from vswitch.portsettings import PortSettings
from vswitch.reference import FRAME_MAX, ReferenceSwitch
from vswitch.reference_loop import Probes
from vswitch.reference_mirror import Mirrors
from vswitch.reference_shaper import due_in_s
from vswitch.vlans import PortVlans

NEEDS_CSUM = 1  # flag of struct virtio_net_hdr (virtio 1.2, 5.1.6)

# Chosen by us, and the same in datapath/*.h.
PORTS_MAX = 1024
QUEUES_MAX = 16
FDB_LIMIT_MAX = 4_194_304
COUNTER_WORDS = 32  # of 64 bits, per port (struct vsw_counters)
NS_PER_S = 1_000_000_000
PULSE_WORDS, PULSE_ROUNDS, PULSE_BURSTS = 160, 0, 26  # of 64 bits (struct vsw_pulse); two of them

Bytes = bytes | bytearray | memoryview
__all__ = ["Datapath", "Fdb", "Wire", "punted"]  # and what others have as functions, below
__all__ += ["neighbour_counters", "set_neighbour", "unset_neighbour"]


# ---------------------------------------------------------------- the datapath


class Datapath:
    """Ports, forwarding database and one poller; see `vswitch._fastpath.Datapath`.

    *busy_poll_us* and *salt* have no meaning here and are accepted.
    """

    def __init__(
        self,
        *,
        pollers: int = 1,
        fdb_limit: int = 65_536,
        ageing_s: int = 300,
        busy_poll_us: float = 50,
        salt: bytes | None = None,
        notify_fd: int = -1,
    ) -> None:
        if pollers != 1:
            raise ValueError(f"the datapath in plain Python has 1 poller, not {pollers}")
        if not 1 <= fdb_limit <= FDB_LIMIT_MAX:
            raise ValueError(f"fdb_limit must be in 1..{FDB_LIMIT_MAX}, not {fdb_limit}")
        if not 0 <= busy_poll_us <= 1e6:
            raise ValueError(f"busy_poll_us must be in 0..1000000, not {busy_poll_us}")
        if salt is not None and len(salt) != 16:
            raise ValueError(f"salt must have 16 bytes, not {len(salt)}")
        self.lock = threading.RLock()
        self.switch = ReferenceSwitch(fdb_limit=fdb_limit, ageing_s=ageing_s)
        self.fdb = ToldFdb(limit=fdb_limit, ageing_s=ageing_s, bell=lambda: signal(notify_fd))
        self.switch.fdb = self.fdb
        self.counter_memory = bytearray(PORTS_MAX * COUNTER_WORDS * 8)  # as vsw_counters[1][...]
        self._counter_words = memoryview(self.counter_memory).cast("Q")
        self.pulse_memory = bytearray(PULSE_WORDS * 8)  # as vsw_pulse[1]
        self._pulse = memoryview(self.pulse_memory).cast("Q")
        self._ports: dict[int, SlowPort] = {}
        self._watched: dict[int, tuple[int, int]] = {}  # descriptor -> port, queue
        self._active: set[int] = set()  # worth reading, until a read comes back empty
        self._notify_fd = notify_fd
        self._clock = Clock()
        self._gate = Gate()
        self._epoll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake_fd, select.EPOLLIN)
        weakref.finalize(self, os.close, self._wake_fd)

    # ------------------------------------------------------------ the frame path

    def run(self, poller: int) -> None:
        """Be the poller until `stop`; *poller* is 0."""
        if poller != 0:
            raise ValueError(f"poller must be in 0..0, not {poller}")
        if not self._gate.enter():
            return
        try:
            while self._gate.stand():
                self._round()
                self._pulse[PULSE_ROUNDS] += 1
        except BaseException:
            self._gate.leave()  # or `pause` would wait for a dead thread
            raise

    def _round(self) -> None:
        self._release(self._clock.now_ns())
        sleep_s = due_in_s([p.shaper for p in self._ports.values()], self._clock.now_ns())
        for fd, _ in self._epoll.poll(0 if self._active else sleep_s):
            if fd == self._wake_fd:
                clear(fd)
            else:
                self._active.add(fd)
        for fd in list(self._active):
            if not self._receive(*self._watched[fd], self._clock.now_s(), self._clock.now_ns()):
                self._active.discard(fd)

    def poll(self, now_s: int) -> int:
        """Give every queue one burst, in order of ports; return the number of frames received."""
        self._pulse[PULSE_ROUNDS] += 1
        self._release(now_s * NS_PER_S)
        return sum(
            self._receive(number, queue, now_s, now_s * NS_PER_S)
            for number, port in sorted(self._ports.items())
            for queue in range(len(port.fds))
            if not port.errors[queue]
        )

    def _release(self, now_ns: int) -> None:
        with self.lock:
            self.switch.release(now_ns)

    def _receive(self, number: int, queue: int, now_s: int, now_ns: int) -> int:
        port = self._ports[number]
        with self.lock:
            try:
                records = port.read(queue)
            except OSError as e:
                self._fail(port, queue, e.errno or errno.EIO)
                return 0
            waiting = len(self.switch.punted)
            frames = [r[VNET_LEN:] for r in records if not self._drop_unfinished(port, r)]
            self.switch.receive(number, frames, now_s, now_ns)
            if len(self.switch.punted) > waiting:
                signal(self._notify_fd)
        self._pulse[PULSE_BURSTS + len(records)] += bool(records)
        return len(records)

    def _drop_unfinished(self, port: SlowPort, record: bytes) -> bool:
        header, frame = record[:VNET_LEN], record[VNET_LEN:]
        if not frame or not (header[0] & NEEDS_CSUM or header[1]):
            return False
        if self.switch.judge(frame) in ("runt", "bad_source"):
            return False
        port.count("rx_frames")
        port.count("rx_bytes", len(frame))
        port.count("bad_offload")
        return True

    def _fail(self, port: SlowPort, queue: int, error: int) -> None:
        """The queue cannot be read any more: forget it, and say so."""
        port.errors[queue] = error
        self._unwatch(port.fds[queue])
        signal(self._notify_fd)

    def _watch(self, fd: int, number: int, queue: int) -> None:
        if fd >= 0:
            self._epoll.register(fd, select.EPOLLIN)
            self._watched[fd] = (number, queue)

    def _unwatch(self, fd: int) -> None:
        self._active.discard(fd)
        if self._watched.pop(fd, None):
            with suppress(OSError):  # closed already, and so not watched either
                self._epoll.unregister(fd)

    # ------------------------------------------------------------ the poller

    def wake(self) -> None:
        """Have the poller make a round soon, whether frames wait or not."""
        signal(self._wake_fd)

    def pause(self) -> None:
        """Return once the poller stands between two rounds; nests with `resume`."""
        self._gate.close()
        self.wake()
        self._gate.wait()

    def resume(self) -> None:
        """Undo one `pause`."""
        self._gate.open()

    def stop(self) -> None:
        """Send the poller home, for good."""
        self._gate.stop()
        self.wake()

    # ------------------------------------------------------------ ports

    def add_tap_port(self, fds: Sequence[int], *, offloads: int, mtu: int) -> int:
        """Attach the open, non-blocking queues of a TAP; return the port number.  *Parked.*

        *offloads* must be 0 for the device.  The descriptors stay the caller's.
        """
        if not 1 <= len(fds) <= QUEUES_MAX:
            raise ValueError(f"a port has 1..{QUEUES_MAX} queues, not {len(fds)}")
        return self._attach(SlowTapPort(fds, mtu=mtu))

    def add_packet_port(
        self, fds: Sequence[int], *, offloads: int, mtu: int, rings: Sequence[mmap | None] = ()
    ) -> int:
        """The same for packet sockets, bound to one device; their rings are not used."""
        for ring in filter(None, rings):
            ring.close()
        return self._attach(SlowPacketPort(fds, mtu=mtu))

    def add_memory_port(self, *, fd: int, offloads: int, mtu: int, size: int) -> int:
        """Add a port of two rings of *size* bytes, a power of two; return its number.  *Parked.*"""
        if size < 2 * FRAME_MAX or size & (size - 1):
            raise ValueError(f"size must be a power of two above {2 * FRAME_MAX}, not {size}")
        return self._attach(SlowMemoryPort(fd, mtu=mtu, size=size))

    def add_stream_port(self, fd: int, *, mtu: int) -> int:
        """Attach a stream socket with frames behind their lengths; return its number.  *Parked.*

        *fd* -1: there is none yet, see `set_fd`.
        """
        port = SlowStreamPort(fd, mtu=mtu)
        port.want_room = lambda wanted: self._want_room(port.fds[0], wanted)
        return self._attach(port)

    def add_dgram_port(self, fd: int, *, peer: bytes, mtu: int) -> int:
        """Attach a datagram socket, connected or with *peer*, a path; its number.  *Parked.*"""
        return self._attach(SlowDgramPort(fd, peer=peer, mtu=mtu))

    def _want_room(self, fd: int, wanted: bool) -> None:
        if fd in self._watched:
            self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def add_pcap_port(self, fd: int, **options: object) -> int:
        """There is none here: PortError."""
        raise PortError(
            "the readable core has no pcap ports", hint="leave --core away, or see vswitch replay"
        )

    def add_vhost_port(self, **options: object) -> int:
        """There is none here: PortError."""
        raise PortError("the readable core has no vhost-user ports", hint="leave core away")

    def _attach(self, port: SlowPort) -> int:
        if len(self._ports) == PORTS_MAX:
            port.close()
            raise PortLimitError(PORTS_MAX)
        with self.lock:
            number = self.switch.add_port(port)
            self._ports[number] = port
            at = number * COUNTER_WORDS
            port.counters = CounterRow(self._counter_words[at : at + COUNTER_WORDS])
            try:
                for queue, fd in enumerate(port.fds):
                    self._watch(fd, number, queue)
            except OSError:
                self.remove_port(number)
                raise
            return number

    def set_port(
        self,
        port: int,
        *,
        learning: bool | None = None,
        forwarding: bool | None = None,
        mtu: int | None = None,
        fdb_limit: int | None = None,
    ) -> None:
        """Change what is given.  *Parked.*  *fdb_limit* 0: only the switch's limit counts."""
        p = self.port_at(port)
        with self.lock:
            if learning is not None:
                p.learning = bool(learning)
            if forwarding is not None:
                p.forwarding = bool(forwarding)
            if mtu is not None:
                p.mtu = mtu
            if fdb_limit is not None:
                self.switch.fdb.port_limit[port] = fdb_limit

    def set_vlans(self, port: int, vlans: PortVlans | None) -> None:
        """See `vswitch._rules.set_vlans`.  *Parked.*"""
        self.port_at(port)
        with self.lock:
            self.switch.set_vlans(port, vlans)

    def set_flags(self, port: int, flags: PortSettings) -> None:
        """See `vswitch._rules.set_flags`.  *Parked.*"""
        with self.lock:
            self.switch.set_flags(port, flags, backup=self.port_at(port).backup)

    def set_guard(self, port: int, guard: PortGuard) -> None:
        """See `vswitch._guarding.set_guard`.  *Parked.*"""
        ips = [of(length) for of in (guard.ips_of, guard.leases_of) for length in (4, 16)]
        for items in (guard.macs, *ips):
            if len(items) > GUARD_MAX:
                raise ValueError(f"a guard has {GUARD_MAX} addresses of a kind, not {len(items)}")
        with self.lock:
            self.port_at(port).guard = guard

    def missed(self, port: int) -> int:
        """See `vswitch._guarding.missed`."""
        return self.port_at(port).copies.missed

    def set_backup(self, port: int, backup: int | None) -> None:
        """See `vswitch._rules.set_backup`.  *Parked.*"""
        with self.lock:
            if backup is not None:
                self.port_at(backup)
            self.switch.set_flags(port, self.port_at(port).flags, backup=backup)

    def set_meters(self, port: int, meters: Meters) -> None:
        """See `vswitch._rules.set_meters`.  *Parked.*"""
        with self.lock:
            self.port_at(port).meters.change(meters)

    def set_shaper(self, port: int, shape: Shape | None) -> None:
        """See `vswitch._rules.set_shaper`.  *Parked.*"""
        with self.lock:
            self.port_at(port)
            self.switch.set_shape(port, shape)

    def set_mirrors(self, mirrors: Sequence[Mirrored]) -> None:
        """See `vswitch._mirror.set_mirrors`.  *Parked.*"""
        if len(mirrors) > MIRRORS_MAX:
            raise ValueError(f"a switch has 0..{MIRRORS_MAX} mirrors, not {len(mirrors)}")
        for mirror in mirrors:
            for port in (mirror.target, *mirror.into, *mirror.out):
                self.port_at(port)
        check_apart(mirrors)
        with self.lock:
            self.switch.mirrors = Mirrors(mirrors)

    def inject(self, port: int, frame: bytes, *, vid: int = 0, priority: int = 0) -> bool:
        """See `vswitch._inject.inject`.  *Parked.*"""
        self.port_at(port)
        if not 14 <= len(frame) <= FRAME_MAX:
            raise ValueError(f"a frame has 14..{FRAME_MAX} bytes, not {len(frame)}")
        if not (0 <= vid <= 4094 and 0 <= priority <= 15):
            raise ValueError(
                f"vid must be in 0..4094 and priority in 0..15, not {vid} and {priority}"
            )
        with self.lock:
            return bool(self.switch.inject(port, frame, vid=vid, priority=priority)[port])

    def set_probed(self, ports: Iterable[int], switch_id: bytes | None) -> None:
        """See `vswitch._inject.set_probed`.  *Parked.*"""
        if switch_id is not None and len(switch_id) != 8:
            raise ValueError(f"an id has 8 bytes, not {len(switch_id)}")
        numbers = frozenset(ports) if switch_id is not None else frozenset()
        for number in numbers:
            self.port_at(number)
        with self.lock:
            self.switch.probes = Probes(switch_id, numbers)

    def vlan_counters(self, port: int) -> dict[int, tuple[int, int, int, int]]:
        """See `vswitch._rules.vlan_counters`."""
        p = self.port_at(port)
        with self.lock:
            if p.vlans is None:
                return {}
            return {vid: (c[0], c[1], c[2], c[3]) for vid, c in sorted(p.vlan_counters.items())}

    def remove_port(self, port: int) -> None:
        """Forget a port with its stations, static ones too.  *Parked.*"""
        with self.lock:
            for fd in self.port_at(port).fds:
                self._unwatch(fd)
            self.switch.remove_port(port)
            self._ports.pop(port).close()
            self.switch.probes.ports -= {port}  # its number may be another port's soon

    def set_fd(self, port: int, fd: int) -> None:
        """Give a stream port another socket, -1 for none; the old is still open.  *Parked.*"""
        p = self.port_at(port)
        if not isinstance(p, SlowStreamPort):
            raise ValueError(f"port {port} is not a stream port")
        with self.lock:
            self._unwatch(p.fds[0])
            p.begin(-1)
            self._watch(fd, port, 0)
            p.begin(fd)

    def port_error(self, port: int) -> int:
        """The errno that ended reception on a queue of the port, 0 while all live."""
        return next((error for error in self.port_at(port).errors if error), 0)

    def port_at(self, port: int) -> SlowPort:
        if port not in self._ports:
            raise ValueError(f"no port {port}")
        return self._ports[port]

    def set_reserved(self, nibbles: Iterable[int], verdict: str) -> None:
        """What happens to frames for 01-80-C2-00-00-0x, x in *nibbles*.  *Parked.*"""
        if verdict not in ("forward", "drop", "punt"):
            raise KeyError(verdict)
        for nibble in nibbles:
            if not 0 <= nibble < 16:
                raise ValueError(f"a reserved address ends in 0..15, not {nibble}")
            self.switch.reserved[nibble] = verdict


# ---------------------------------------------------------------- what the control plane reads


# What ``_ports`` has as functions.
add_tap_port, add_packet_port = Datapath.add_tap_port, Datapath.add_packet_port
add_memory_port, add_pcap_port = Datapath.add_memory_port, Datapath.add_pcap_port
add_vhost_port = Datapath.add_vhost_port
add_stream_port, add_dgram_port = Datapath.add_stream_port, Datapath.add_dgram_port
set_fd = Datapath.set_fd
# The same of ``_rules``.
set_reserved = Datapath.set_reserved
set_vlans, set_flags, set_backup = Datapath.set_vlans, Datapath.set_flags, Datapath.set_backup
set_guard, missed = Datapath.set_guard, Datapath.missed  # of ``_guarding``
vlan_counters = Datapath.vlan_counters
set_meters, set_shaper = Datapath.set_meters, Datapath.set_shaper
set_mirrors, inject, set_probed = Datapath.set_mirrors, Datapath.inject, Datapath.set_probed
