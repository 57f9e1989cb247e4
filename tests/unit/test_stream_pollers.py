"""Several pollers on one stream port, and pairs of switches: the stream stays in step."""

from __future__ import annotations

import socket
import threading

from support.frames import frame, mac
from support.stream_peer import StreamPeer
from support.wait import wait_for
from vswitch import MemoryPort, QemuPort, Switch

VM, PORTS, EACH = mac(100), 4, 2000


def frame_of(number: int, i: int) -> bytes:
    """The i-th frame that port *number* sends: its bytes say whose it is, and how long."""
    size = 60 + i % 1400
    return frame(VM, mac(number), size.to_bytes(2, "big") + bytes([number]) * (size - 16))


def test_frames_of_many_pollers_never_mix_in_one_stream():
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    peer, got, sent = StreamPeer(far), [], [0] * PORTS
    with Switch(pollers=PORTS) as switch:
        ports = [switch.add_port(MemoryPort(f"m{i}")) for i in range(PORTS)]
        switch.add_port(QemuPort("vm", near))
        switch.pin(VM, "vm")

        def send(number: int) -> None:
            for i in range(EACH):
                sent[number] += ports[number].send([frame_of(number, i)])

        threads = [threading.Thread(target=send, args=(n,)) for n in range(PORTS)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            got += peer.frames()
        for thread in threads:
            thread.join()

        def all_there() -> bool:
            got.extend(peer.frames())
            status = switch.port_status("vm")
            taken = status.counters["tx_frames"]
            return taken + status.drops["tx_full"] == sum(sent) and len(got) == taken

        wait_for(all_there, "every frame counted, and every counted one here")
    assert all(f == frame_of(f[11], len(f) - 60) for f in got)
    peer.close()


def test_two_switches_over_one_stream_carry_what_is_sent_slowly_enough():
    left, right = socket.socketpair()
    with Switch("one") as one, Switch("two") as two:
        a, b = one.add_port(MemoryPort("a")), two.add_port(MemoryPort("b"))
        one.add_port(QemuPort("trunk", left))
        two.add_port(QemuPort("trunk", right))
        for i in range(200):
            sent = frame(mac(2), mac(1), i.to_bytes(2, "big"), pad_to=60 + 7 * i)
            a.send([sent])
            assert wait_for(b.receive, f"frame {i}") == [sent]
