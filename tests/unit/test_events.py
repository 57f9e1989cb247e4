"""What a switch tells of what happens, on both cores, by a clock that stands still."""

from contextlib import contextmanager

import pytest

from support.frames import BROADCAST, frame, mac
from vswitch.control.api import Call
from vswitch.control.handlers import fdb
from vswitch.events import STATION_KINDS, Event
from vswitch.flapping import MOVES_MIN, STATIONS_MAX, WINDOW_S, Flapping
from vswitch.journal import Journal
from vswitch.service import Service
from vswitch.storms import CALM_FPS, STORM_FPS, Storms

A, B = mac(1), mac(2)


@pytest.fixture(params=["c", "python"])
def core_of_labs(request):
    return request.param


def stations(lab):
    """(kind, where it was, where it is) of all that happened to stations."""
    return [
        (e.kind, e.old_port, e.port)
        for e in lab.switch.observer.events()
        if e.kind in STATION_KINDS
    ]


def kinds(lab, *wanted):
    return [e for e in lab.switch.observer.events() if e.kind in wanted]


def hear(lab, port, *macs):
    lab.send(port, *(frame(BROADCAST, one) for one in macs))


def test_a_station_s_life(lab):
    net = lab("a", "b", ageing_s=10)

    hear(net, "a", A)
    hear(net, "a", A)
    hear(net, "b", A)
    net.clock.advance(10)
    net.switch.poll()
    net.switch.pin(A, "a")
    net.switch.unpin(A)

    assert stations(net) == [
        ("learned", None, "a"),
        ("moved", "a", "b"),
        ("expired", "b", None),
        ("pinned", None, "a"),
        ("deleted", "a", None),
    ]


def test_who_is_heard_after_its_time_expired_when_its_time_was_over(lab):
    net = lab("a", "b", ageing_s=10)
    hear(net, "a", A)
    net.clock.advance(25)

    net.ports["b"].send([frame(BROADCAST, A)])
    net.switch.poll_once()  # before any sweep
    net.switch.observer.take()

    assert stations(net) == [
        ("learned", None, "a"),
        ("expired", "a", None),
        ("learned", None, "b"),
    ]
    assert [e.time_s for e in kinds(net, "expired")] == [1010]


def test_a_flush_tells_of_each_station(lab):
    net = lab("a", "b")
    hear(net, "a", A, B)

    net.switch.flush("a")

    assert stations(net)[2:] == [("flushed", "a", None)] * 2


def test_a_port_that_goes_takes_its_stations_and_its_number_may_be_another_s(lab):
    net = lab("a", "b")
    hear(net, "b", A)
    net.switch.remove_port("b")
    del net.ports["b"]
    net.add("c")
    hear(net, "c", A)

    assert stations(net) == [
        ("learned", None, "b"),
        ("flushed", "b", None),
        ("learned", None, "c"),
    ]
    assert [(e.kind, e.port) for e in kinds(net, "port_added", "port_removed")] == [
        ("port_added", "a"),
        ("port_added", "b"),
        ("port_removed", "b"),
        ("port_added", "c"),
    ]


def test_the_history_of_an_address_is_its_own(lab):
    net = lab("a", "b")
    hear(net, "a", A, B)
    hear(net, "b", A)

    assert [e.kind for e in net.switch.observer.events(mac=A)] == ["learned", "moved"]


def test_a_limit_is_reported_once_while_refusals_go_on(lab, caplog):
    net = lab("a", "b", fdb_limit=1)
    hear(net, "a", A)

    for i in range(30):
        hear(net, "b", mac(10 + i), mac(50 + i))
        net.clock.advance(1)
    assert [(e.port, e.mac, e.count) for e in kinds(net, "limit_reached")] == [("b", mac(10), 1)]
    assert caplog.messages == [f"limit of stations reached port=b mac={mac(10).hex(':')}"]
    net.clock.advance(10)
    hear(net, "b", mac(99))

    assert len(kinds(net, "limit_reached")) == 2
    assert stations(net) == [("learned", None, "a")]


def test_a_station_that_flaps_is_reported_at_the_beginning_and_at_the_end(lab, caplog):
    net = lab("a", "b")
    for i in range(20):
        hear(net, "ab"[i % 2], A)
        net.clock.advance(1)
    for _ in range(25):
        net.clock.advance(1)
        net.switch.poll()

    flapping, ended = kinds(net, "flapping", "flapping_ended")

    assert {flapping.port, flapping.old_port} == {"a", "b"}
    assert (flapping.kind, flapping.rate, flapping.mac) == ("flapping", 1.25, A)
    assert (ended.kind, ended.count) == ("flapping_ended", 19)
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 2


def test_a_storm_of_drops_is_reported_at_its_beginning_and_its_end(lab, caplog):
    net = lab("a", "b")
    net.switch.poll()
    net.clock.advance(1)
    net.switch.poll()
    bad = frame(BROADCAST, BROADCAST)
    for _ in range(3):
        for _ in range(STORM_FPS // 100):
            net.send("a", *[bad] * 100)
        net.clock.advance(1)
    net.switch.poll()
    net.clock.advance(1)
    net.switch.poll()

    begun, over = kinds(net, "drop_storm", "drop_storm_ended")

    assert (begun.kind, begun.port, begun.reason) == ("drop_storm", "a", "bad_source")
    assert begun.rate >= STORM_FPS
    assert (over.kind, over.count) == ("drop_storm_ended", 3 * STORM_FPS)
    assert [r.levelname for r in caplog.records] == ["WARNING"] * 2


def test_what_a_switch_is_there_to_drop_is_no_storm():
    storms = Storms()
    storms.look("a", {"hairpin": 0}, 0)

    assert storms.look("a", {"hairpin": 10**6}, 1) == []


def test_one_that_hovers_about_the_threshold_is_one_storm():
    storms, n = Storms(), 0
    storms.look("a", {"runt": 0}, 0)
    found = []
    for second, rate in enumerate([STORM_FPS, CALM_FPS + 1] * 5 + [0], 1):
        n += rate
        found += storms.look("a", {"runt": n}, second)

    assert [(storm.ended, storm.frames) for storm in found] == [(False, STORM_FPS), (True, n)]


def test_a_million_stations_that_move_are_not_remembered():
    flapping = Flapping()
    for n in range(3 * STATIONS_MAX):
        move = Event("moved", 0.0, 0.0, port="a", old_port="b", mac=n.to_bytes(6, "big"))
        flapping.moved(move)

    assert len(flapping._watched) == STATIONS_MAX
    found = [flapping.moved(Event("moved", 1.0, 1.0, mac=A)) for _ in range(MOVES_MIN)]
    assert found[-1]
    assert not flapping.look(WINDOW_S + 1.0) or len(flapping._watched) <= 1


def test_a_full_journal_forgets_the_oldest_and_says_so(lab):
    net = lab("a", "b")
    net.switch.observer.journal._max = 100
    for i in range(5):
        hear(net, "a", *(mac(1000 * i + n) for n in range(30)))
        net.clock.advance(1)
    journal = net.switch.observer.journal

    assert (len(journal), journal.recorded, journal.dropped, journal.lost) == (100, 150, 50, 0)
    assert journal.complete_since_s == 1001
    assert len(net.switch.observer.stations_at(1001)) == 60
    assert len(net.switch.observer.stations_at(1004)) == 150
    assert len(kinds(net, "port_added")) == 2, "kept apart"


def test_thousands_that_flap_push_out_nothing_else(lab):
    net = lab("a", "b")
    net.switch.observer.journal = Journal(0.0, others_max=10)
    net.switch.observer.tell("link_down", port="a")
    for i in range(2 * MOVES_MIN):
        hear(net, "ab"[i % 2], *(mac(n) for n in range(30)))

    assert len(kinds(net, "flapping")) == 10, "the last"
    assert len(kinds(net, "link_down")) == 1


def test_machines_that_come_and_go_cost_the_journal_little(lab):
    net = lab(*(f"p{n}" for n in range(50)))
    for n in range(20):
        net.add("vm")
        hear(net, "vm", mac(n))
        net.switch.remove_port("vm")
    *closed, _ = net.switch.observer.journal._chunks

    assert stations(net) == [("learned", None, "vm"), ("flushed", "vm", None)] * 20
    assert {tuple(chunk.names.values()) for chunk in closed} == {("vm",)}


def test_a_journal_of_single_events_forgets_the_oldest(lab, monkeypatch):
    monkeypatch.setattr("vswitch.journal.CHUNKS_MAX", 5)
    net = lab("a")
    for n in range(20):
        net.add("vm")
        hear(net, "vm", mac(n))
        net.clock.advance(1)
        net.switch.remove_port("vm")
    journal = net.switch.observer.journal

    assert (len(journal._chunks), journal.recorded) == (5, 40)
    assert len(journal) + journal.dropped == 40
    assert journal.complete_since_s == 1017, "each second has a chunk of its own, and the flush"


def test_pollers_do_not_wait_until_each_station_was_looked_at(lab):
    net = lab("a", "b")
    hear(net, "a", A, B)
    observer, held = net.switch.observer, net.switch.paused
    running = [True]

    class Names(dict):
        def __getitem__(self, number):
            assert running[0], "a million stations would stop forwarding for seconds"
            return super().__getitem__(number)

    @contextmanager
    def paused():
        with held():
            running[0] = False
            yield
            running[0] = True

    observer._names, observer._paused = Names(observer._names), paused

    assert [place.mac for place in observer.stations_at(net.clock.precise_s())] == [A, B]


def test_what_a_full_ring_loses_is_counted(lab):
    net = lab("a", "b", fdb_limit=60_000)
    sent = 20_000
    net.clock.advance(5)
    for first in range(0, sent, 1000):
        net.ports["a"].send([frame(BROADCAST, mac(n)) for n in range(first, first + 1000)])
        while net.switch.poll_once():
            net.ports["b"].receive()
    net.switch.observer.take()
    journal = net.switch.observer.journal

    assert net.switch.fdb_counters()["learned"] == sent
    assert (len(journal), journal.lost) == (16384, sent - 16384)
    assert journal.complete_since_s == 1005


def test_stations_of_before_are_sent_a_few_at_a_time(lab, monkeypatch):
    monkeypatch.setattr(fdb, "LIST_LENGTH", 2)
    net = lab("a", "b")
    hear(net, "a", *(mac(n) for n in range(1, 6)))
    asked = Call({}, fdb.Shown(at=net.clock.wall_s()), None)

    lists = [*fdb.show(Service(net.switch, net.switch.config), asked)]

    assert [[entry.mac[-1] for entry in few] for few in lists] == [["1", "2"], ["3", "4"], ["5"]]
