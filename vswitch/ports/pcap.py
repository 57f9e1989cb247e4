"""Ports over captures: one enters at its recorded times, what leaves is recorded.

    PcapPort("lab", Path("in.pcap"), speed=2, out=Path("out.pcapng"))
    PcapPort("tap9", out=Path("tap9.pcap"))  # only records

The first frame enters as soon as the switch forwards, the others as much later as they were
recorded, divided by *speed*; in a switch with a `FakeClock`, by that clock's seconds. When all
have entered, once or *loop* times, the port stays and goes on recording. A next time begins after
the mean distance of the frames; after a second, if all are of one moment. Recordings have the time
of day, in nanoseconds.

The capture is held in memory. Frames in it are taken for finished, of any length, and those that
were cut when they were captured enter as they are, with a warning. There are no offloads at this
port: the switch finishes what leaves, and cuts it to the MTU.
"""

from __future__ import annotations

import errno
import math
import os
import select
import stat
from array import array
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path

from vswitch import captures
from vswitch._fastpath import MTU_EXTRA
from vswitch.errors import ConfigError, DeviceError, PortError
from vswitch.linux.timer import expired_timer
from vswitch.ports.base import Core, LinkState, Port
from vswitch.wire.capture import FORMATS, format_of
from vswitch.wire.record import NS_PER_S, Record

VNET = bytes(10)  # a virtio-net header that asks for nothing
NEVER_NS = 1 << 62  # 146 years: later than anyone waits, and sums of two fit 64 bits
RECORD_OVERHEAD = 35  # VSW_PCAP_OVERHEAD in datapath/port_pcap.h


class PcapPort(Port):
    """A capture, a recording, or both.

    Args:
        name: The port's name.
        capture: What enters; none: nothing does.
        out: Where what leaves is recorded, as pcapng if it ends so; a file, which is overwritten,
            or a pipe that somebody reads.
        speed: How many times faster than recorded it enters; ``math.inf``: all at once.
        loop: How often; 0: without end.
        mtu: Longest payload that leaves here, bytes; 4043 into a pipe.

    Raises:
        CaptureError: *capture* is none.
        ConfigError: *capture* cannot be read, or is *out* as well.
        PortError: *out* cannot be written.
    """

    kind = "pcap"
    vnet_header = False

    def __init__(
        self,
        name: str,
        capture: Path | None = None,
        *,
        out: Path | None = None,
        speed: float = 1.0,
        loop: int = 1,
        mtu: int = 1500,
    ) -> None:
        super().__init__(name, mtu=mtu, offloads=())
        if speed <= 0 or loop < 0:
            raise ValueError(f"speed must be above 0 and loop not below, not {speed} and {loop}")
        records = _load(capture) if capture else []
        self._frames = b"".join(chain.from_iterable((VNET, r.frame) for r in records))
        self._index, self._period_ns = _schedule(records, speed)
        self._loop = loop
        self._timer = self._out = -1
        self._pipe, self._format = False, ""
        self.address = os.fspath(capture or out or "")
        try:
            if capture:
                self._timer = expired_timer()
            if out:
                self._open_out(out, capture)
        except BaseException:
            self.close()
            raise

    def _open_out(self, out: Path, capture: Path | None) -> None:
        if capture and out.exists() and out.samefile(capture):
            raise ConfigError(f"{out}: a capture cannot be its own recording")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._out = os.open(out, flags, 0o666)
            self._pipe = not stat.S_ISREG(os.fstat(self._out).st_mode)
            self._check_pipe(self.mtu)
            self._format = format_of(os.fspath(out))
            os.write(self._out, FORMATS[self._format].file_header(self.name))
        except OSError as e:
            hint = "it is a pipe: start first who reads it" if e.errno == errno.ENXIO else None
            raise DeviceError(self.name, f"record to {out}", e, hint=hint) from e

    def _check_pipe(self, mtu: int) -> None:
        room = select.PIPE_BUF - MTU_EXTRA - RECORD_OVERHEAD
        if self._pipe and mtu > room:
            raise PortError(
                f"{self.name}: its recording is a pipe, which takes records of up to "
                f"{select.PIPE_BUF} bytes as a whole, and an MTU of {mtu} allows for more",
                hint=f"record to a file, or with mtu={room}",
            )

    def attach(self, core: Core) -> int:
        if self._timer < 0 and self._out < 0:
            raise PortError(f"port {self.name} was closed, or has neither capture nor recording")
        begin = 0 if self._out < 0 else os.fstat(self._out).st_size
        return core.add_pcap_port(
            self._timer,
            frames=self._frames,
            index=self._index,
            times=(self._period_ns, self._loop),
            out=(self._out, begin, self._pipe, self._format == "pcapng"),
            mtu=self.mtu,
        )

    def link(self) -> LinkState:
        return LinkState(up=True, mtu=self.mtu)

    def set_mtu(self, mtu: int) -> None:
        self._check_pipe(mtu)
        self.mtu = mtu

    def close(self) -> None:
        for fd in (self._timer, self._out):
            if fd >= 0:
                os.close(fd)
        self._timer = self._out = -1


def _load(capture: Path) -> list[Record]:
    with suppress(OSError):  # the reader says it best
        mode = capture.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            # It would be waited for, and a switch that opens its ports is not to be interrupted.
            raise ConfigError(
                f"{capture}: a port replays a file, and this is a pipe or a device",
                hint="save it to a file first; vswitch replay reads pipes, too",
            )
    return captures.load(capture)


def _schedule(records: Sequence[Record], speed: float) -> tuple[bytes, int]:
    """(the entries of datapath/port_pcap.h, nanoseconds from one begin to the next)"""
    index, end = array("Q"), 0
    due_ns = [_scaled(r.time_ns - records[0].time_ns, speed) for r in records]
    for record, due in zip(records, due_ns, strict=True):
        end += len(VNET) + len(record.frame)
        index.extend((due, end))
    if math.isinf(speed) or not records:
        return index.tobytes(), 0
    last = records[-1].time_ns - records[0].time_ns
    gap = last // (len(records) - 1) if last else NS_PER_S
    return index.tobytes(), _scaled(last + gap, speed)


def _scaled(ns: int, speed: float) -> int:
    return min(ns if speed == 1 else round(ns / speed), NEVER_NS)
