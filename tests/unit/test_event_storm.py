"""More new stations than anyone can follow, with poller threads: forwarding goes on, and what could
not be kept is counted to the last one."""

import threading

import pytest

from support.frames import frame, mac
from support.wait import wait_for
from vswitch import MemoryPort, Switch
from vswitch.subscription import WAITING_MAX, Subscription

STRANGERS = 120_000
PINNED = 4  # stations that are there before: one behind each port
BURST = 500
FRAMES = 20_000


@pytest.fixture
def busy():
    """A switch with a station behind each of its ports a, b, c, d."""
    with Switch("busy", pollers=2, fdb_limit=200_000) as switch:
        ports = [switch.add_port(MemoryPort(name)) for name in "abcd"]
        for i, port in enumerate(ports):
            switch.pin(mac(1 + i), port.name)
        yield switch, ports


def send_all(port, frames):
    """Send *frames* as fast as the port takes them."""
    at = 0
    while at < len(frames):
        at += port.send(frames[at : at + BURST])


def storm(port, sink):
    for first in range(0, STRANGERS, BURST):
        send_all(port, [frame(mac(4), mac(1000 + first + i)) for i in range(BURST)])
        sink.receive()


def test_a_storm_of_strangers_takes_no_frame_from_the_others(busy):
    switch, (a, b, c, d) = busy
    observer = switch.observer
    subscription = Subscription(lambda: None)
    observer.subscribe(subscription)
    stranger = threading.Thread(target=storm, args=(a, d))
    stranger.start()

    known = [frame(mac(3), mac(2))] * BURST
    received = []
    for i in range(FRAMES // BURST):
        if i % 8 == 0:  # somebody reads what is being written
            assert {e.kind for e in observer.events(mac=mac(2))} <= {"pinned"}
        sent = len(received) + BURST
        send_all(b, known)
        wait_for(
            lambda sent=sent: received.extend(c.receive()) or len(received) == sent, "every frame"
        )
    stranger.join()

    wait_for(lambda: switch.fdb_counters()["learned"] == STRANGERS, "the last stranger")
    observer.events(mac=mac(1))  # takes what waits
    journal = observer.journal
    assert journal.recorded + journal.lost == STRANGERS + PINNED
    assert len(journal) == min(100_000, journal.recorded)
    events, lost = subscription.take()
    assert len(events) <= WAITING_MAX
    assert len(events) + lost == STRANGERS
    assert [e.port for e in observer.events() if e.kind == "port_added"] == list("abcd")


def test_now_is_what_the_table_says_whoever_learns(busy):
    switch, (a, b, _, d) = busy
    threads = [
        threading.Thread(
            target=send_all,
            args=(port, [frame(mac(4), mac(2000 + n % 3000)) for n in range(6000)]),
        )
        for port in (a, b)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: d.receive() or True, "room")
    wait_for(
        lambda: sum(switch.port_status(p).counters["rx_frames"] for p in "ab") == 12_000, "them all"
    )

    now = {(s.mac, s.port) for s in switch.stations() if not s.static}
    last = {e.mac: e.port for e in switch.observer.events() if e.kind in ("learned", "moved")}

    assert switch.observer.journal.lost == 0
    assert set(last.items()) == now
    begin_s = switch.observer.journal.complete_since_s
    assert switch.observer.stations_at(begin_s) == []


def test_the_bell_is_not_rung_for_every_event(busy):
    switch, (a, _, _, d) = busy
    looks = []
    take = switch.observer.take
    switch.observer.take = lambda: looks.append(1) or take()

    storm(a, d)

    wait_for(lambda: switch.fdb_counters()["learned"] == STRANGERS, "the last stranger")
    wait_for(lambda: switch.observer._rings_due_s is None, "rest")
    assert len(looks) < STRANGERS / 50
    a.send([frame(mac(4), mac(900))])
    wait_for(lambda: switch.observer._rings_due_s is not None or len(looks) > 2, "the next one")
