"""Captures through a whole switch, at the times they were recorded: from files, into files.

    replay(["in.pcap@tap0", "more.pcapng@tap1"], Path("out"), ports=["tap1,access=10", "tap2"])

One port per name. Every frame enters at its recorded time, alone: it is learned from and decided
before the next one enters. Frames of one moment enter in the order of the sources, and those of
one file in its order. The clock that ages stations counts seconds since the first frame. What
leaves a port goes to OUT/NAME.pcap under the time of the frame that caused it.

Nothing in here depends on anything but the arguments, so the same bytes come out every time, on
every machine, and with both cores. The captures are held in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vswitch import captures
from vswitch.clock import FakeClock
from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.portconfig import METERS, MTU_MAX, PortConfig, check_port_name, split
from vswitch.ports import MemoryPort
from vswitch.status import PortStatus, Station
from vswitch.switch import Switch
from vswitch.wire.capture import FORMATS
from vswitch.wire.pcap import SECONDS_END
from vswitch.wire.record import NS_PER_S

RING_BYTES = 1 << 18  # of each port, each way: one frame waits at a time
BUFFER_BYTES = 1 << 18  # of each file
PROGRESS_FRAMES = 1 << 15  # between two reports
SALT = bytes(16)  # places in the forwarding database are the same every time
CLOCK_END_S = 1 << 32  # the datapath counts seconds in 32 bits

Entry = tuple[int, bytes, int]  # time_ns, frame, number of its port
Progress = Callable[[int, int], None]  # frames that entered, of how many


@dataclass(frozen=True, slots=True)
class Source:
    """A capture, and the port where its frames enter."""

    path: Path
    port: str

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``FILE@PORT``; the last ``@`` counts.

        Raises:
            ConfigError: it is none.
        """
        path, at, port = text.rpartition("@")
        if not at or not path:
            raise ConfigError(
                f"{text!r}: where its frames enter is missing", hint="as in.pcap@tap0"
            )
        check_port_name(repr(text), port)
        return cls(Path(path), port)


@dataclass(frozen=True, slots=True)
class Played:
    """What became of it."""

    frames: int  # that entered
    first_ns: int  # since 1970; 0 if there was none
    last_ns: int
    ports: tuple[PortStatus, ...]
    stations: tuple[Station, ...]  # at the time of the last frame
    files: tuple[Path, ...]  # one per port


def replay(
    sources: Iterable[str],
    out: Path | str,
    *,
    ports: Iterable[str] = (),
    config: SwitchConfig | None = None,
    form: str = "pcap",
    force: bool = False,
    progress: Progress | None = None,
) -> Played:
    """Let every frame of *sources* enter a switch, and record what leaves its ports.

    Args:
        sources: Captures and their ports, ``FILE@PORT``; a port may have several.
        out: Folder of the recordings; made if it is not there.
        ports: More ports, which only record, and what is set of ports: ``NAME[,OPTION=VALUE...]``
            with the options that ports of all kinds have, those of METERS excepted: they would
            need a clock that counts more than seconds.
        config: Of the switch: ageing, limits, reserved addresses, guards, core. Without an MTU
            ports take frames of any length, as a capture may hold segments a device had put
            together.
        form: ``pcap`` (nanoseconds) or ``pcapng``.
        force: Write into *out* though there is something in it.
        progress: Called now and then.

    Raises:
        CaptureError: a source is no capture.
        ConfigError: an argument cannot be; nothing was written.
        OSError: a recording cannot be written.
    """
    given = [Source.parse(text) for text in sources]
    said = _said(ports)
    names = list(dict.fromkeys([*(source.port for source in given), *said]))
    config = config or SwitchConfig("replay")
    _check_config(config)
    entries = _merged(given, names)
    _check_times(entries, form)
    folder = _folder(Path(out), force=force)
    _check_sources(given, folder, [f"{name}.{form}" for name in names])
    playback = _Playback(config, names, said)
    with playback.switch:
        files = playback.play(entries, folder, form, progress)
        return Played(
            len(entries),
            entries[0][0] if entries else 0,
            entries[-1][0] if entries else 0,
            tuple(playback.switch.port_statuses()),
            tuple(playback.switch.stations()),
            tuple(files),
        )


def _said(texts: Iterable[str]) -> dict[str, PortConfig]:
    """What ``--port`` says, by name."""
    said: dict[str, PortConfig] = {}
    for port in map(_port, texts):
        if port.name in said:
            raise ConfigError(
                f"port {port.name} is given twice", hint="say all that is set of it in one --port"
            )
        said[port.name] = port
    return said


def _port(text: str) -> PortConfig:
    what = f"--port {text!r}"
    kind, name, options = split(text)
    check_port_name(what, name if kind is None else f"{kind}:{name}")
    port = PortConfig.made("record", name, [("name", name), *options], what=what)
    for key, option in METERS.items():
        if getattr(port, option.field):
            raise ConfigError(f"{what}: {key}: the clock of a replay counts whole seconds")
    return port


def _check_config(config: SwitchConfig) -> None:
    """Raise ConfigError for what would be asked for in vain."""
    for what in ("ports", "listeners", "stations", "mirrors", "snooping_file"):
        if getattr(config, what):
            raise ConfigError(
                f"a replay takes no {what.replace('_', '-')} from a configuration",
                hint="its ports are those of its captures, and what --port says of them",
            )
    if config.loop_detect != "off":
        raise ConfigError("a replay has no loops, and sends no probes for them")


def _merged(sources: Sequence[Source], names: Sequence[str]) -> list[Entry]:
    """All frames in order of time; equal times in the order of sources."""
    number = {name: i for i, name in enumerate(names)}
    entries: list[Entry] = []
    for source in sources:
        to = number[source.port]
        entries += [(r.time_ns, r.frame, to) for r in captures.load(source.path)]
    entries.sort(key=lambda entry: entry[0])  # stable
    return entries


def _check_times(entries: Sequence[Entry], form: str) -> None:
    if form not in FORMATS:
        raise ConfigError(f"--format is {' or '.join(FORMATS)}, not {form!r}")
    if not entries:
        return
    first_s, last_s = entries[0][0] // NS_PER_S, entries[-1][0] // NS_PER_S
    if last_s - first_s >= CLOCK_END_S:
        raise ConfigError(
            f"the captures are {last_s - first_s} s apart, and a clock of 32 bits counts them",
            hint="one of them has wrong times",
        )
    if form == "pcap" and last_s >= SECONDS_END:
        raise ConfigError("pcap knows no time after 2106", hint="--format pcapng does")


def _folder(out: Path, *, force: bool) -> Path:
    try:
        out.mkdir(exist_ok=True)
        if os.listdir(out) and not force:
            raise ConfigError(
                f"--out {out}: there is something in it", hint="-f writes into it all the same"
            )
    except OSError as e:
        raise ConfigError(f"--out {out}: no folder to write to: {e.strerror}") from e
    return out


def _check_sources(sources: Iterable[Source], folder: Path, files: Iterable[str]) -> None:
    for path in (folder / file for file in files):
        if path.exists() and any(path.samefile(source.path) for source in sources):
            raise ConfigError(
                f"{path}: what is replayed cannot be recorded to", hint="give another folder"
            )


class _Playback:
    """A switch of memory ports whose clock stands at the frame that enters."""

    def __init__(
        self, config: SwitchConfig, names: Sequence[str], said: Mapping[str, PortConfig]
    ) -> None:
        self.clock = FakeClock()
        self.switch = Switch(
            config.name,
            ageing_s=config.ageing_s,
            fdb_limit=config.fdb_limit,
            core=config.core,
            clock=self.clock,
            salt=SALT,
        )
        try:
            self.switch.set_reserved(range(16), "drop")
            self.switch.set_reserved(config.forward, "forward")
            self.switch.set_guards(config.guards)
            self.ports = [
                self._added(said.get(name, PortConfig(name)), config.mtu) for name in names
            ]
        except BaseException:
            self.switch.close()
            raise

    def _added(self, port: PortConfig, mtu: int | None) -> MemoryPort:
        memory = MemoryPort(
            port.name, offloads=(), mtu=port.mtu or mtu or MTU_MAX, size_bytes=RING_BYTES
        )
        return self.switch.add_port(memory, port.settings)

    def play(
        self, entries: Sequence[Entry], folder: Path, form: str, progress: Progress | None
    ) -> list[Path]:
        """Let all *entries* enter; the files that hold what left."""
        paths = [folder / f"{port.name}.{form}" for port in self.ports]
        with ExitStack() as stack:
            writers = []
            for port, path in zip(self.ports, paths, strict=True):
                file = stack.enter_context(path.open("wb", buffering=BUFFER_BYTES))
                file.write(FORMATS[form].file_header(port.name))
                writers.append((port.receive, file.write))
            for begin in range(0, len(entries), PROGRESS_FRAMES):
                if progress:
                    progress(begin, len(entries))
                some = entries[begin : begin + PROGRESS_FRAMES]
                self._enter(some, entries[0][0], FORMATS[form].record, writers)
            if progress:
                progress(len(entries), len(entries))
        return paths

    def _enter(
        self,
        entries: Iterable[Entry],
        first_ns: int,
        record: Callable[[int, bytes], bytes],
        writers: Sequence[tuple[Callable[[], list[bytes]], Callable[[bytes], int]]],
    ) -> None:
        switch, ports = self.switch, self.ports
        # What DHCP says is known before the next frame, and not only with the next second.
        forward = switch.poll if switch.config.snoops else switch.poll_once
        now_s = self.clock.now_s()
        for time_ns, frame, number in entries:
            if (second := (time_ns - first_ns) // NS_PER_S) != now_s:
                self.clock.advance(second - now_s)
                now_s = second
                switch.poll()  # frees the places of stations that are too old
            ports[number].send((frame,))
            forward()
            made = b""  # the record of this frame, which most ports send as it is
            for receive, write in writers:
                for sent in receive():
                    if sent == frame:
                        made = made or record(time_ns, frame)
                        write(made)
                    else:
                        write(record(time_ns, sent))
