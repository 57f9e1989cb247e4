"""A switch of memory ports under a clock that stands still: no root, no thread, no sleep."""

from __future__ import annotations

import socket

from support.frames import FINISHED
from vswitch import FakeClock, MemoryPort, Port, PortStatus, Switch
from vswitch._fastpath import DROP_REASONS
from vswitch.ports import LinkState

RX_REASONS = tuple(name for name, where, _ in DROP_REASONS if where == "rx")


class Lab:
    """``lab.send("a", frame)`` returns what every port got because of it."""

    def __init__(self, *names: str, **options: object) -> None:
        self.clock = FakeClock(1000)
        self.switch = Switch("lab", clock=self.clock, **options)
        self.ports: dict[str, MemoryPort] = {}
        for name in names:
            self.add(name)

    def add(self, name: str, **options: object) -> MemoryPort:
        self.ports[name] = self.switch.add_port(MemoryPort(name, **options))
        return self.ports[name]

    def send(self, port: str, *frames: bytes, vnet: bytes = FINISHED) -> dict[str, list[bytes]]:
        """Let *port* receive frames; what came out, by port, ports with nothing left away."""
        assert self.ports[port].send(frames, vnet=vnet) == len(frames)
        self.switch.poll()
        return self.receive()

    def receive(self) -> dict[str, list[bytes]]:
        got = {name: port.receive() for name, port in self.ports.items()}
        return {name: frames for name, frames in got.items() if frames}

    def status(self, port: str) -> PortStatus:
        return self.switch.port_status(port)

    def drops(self, port: str) -> dict[str, int]:
        """The reasons *port* has dropped frames for."""
        return {reason: n for reason, n in self.status(port).drops.items() if n}

    def stations(self) -> dict[bytes, str]:
        return {s.mac: s.port for s in self.switch.stations()}

    def close(self) -> None:
        for name in self.switch.ports:
            check_balance(self.status(name))
        self.switch.close()


def check_balance(status: PortStatus) -> None:
    """Received = forwarded + dropped on the way in + punted."""
    c = status.counters
    dropped = sum(status.drops[reason] for reason in RX_REASONS)
    assert c["rx_frames"] == c["forwarded"] + dropped + c["punted"], status


class SocketPort(Port):
    """The TAP leaf, or that of packet sockets, over a datagram socket pair: `far` is the other
    end, records go both ways."""

    kind = "socket"

    def __init__(self, name: str, *, mtu: int = 1500, packet: bool = False) -> None:
        super().__init__(name, mtu=mtu, offloads=("csum", "tso4", "tso6", "ecn", "uso", "ufo"))
        self._packet = packet
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.near.setblocking(False)
        self.far.setblocking(False)

    def attach(self, core) -> int:
        add = core.add_packet_port if self._packet else core.add_tap_port
        return add([self.near.fileno()], offloads=self.offload_bits, mtu=self.mtu)

    def link(self) -> LinkState:
        return LinkState(up=True, mtu=self.mtu)

    def close(self) -> None:
        self.near.close()
        self.far.close()
