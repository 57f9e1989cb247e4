"""What both datapaths promise to the control plane: the compiled one and the plain-Python one."""

from __future__ import annotations

import errno
import gc
import os
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from vswitch import _fastpath, _ports, _rules, _slowpath, _tables
from vswitch.core import COUNTER_WORDS
from vswitch.errors import PortLimitError
from vswitch.reference import COUNTERS, FRAME_MAX

COMPILED = SimpleNamespace(
    **{**vars(_ports), **vars(_rules), "Datapath": _fastpath.Datapath, "Fdb": _tables.Fdb}
)
FINISHED = bytes(10)
A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
BPDU = bytes.fromhex("0180c2000000")
SIZE = 1 << 18


@pytest.fixture(params=[COMPILED, _slowpath], ids=["compiled", "python"])
def core(request):
    return request.param


@pytest.fixture
def eventfd():
    fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    yield fd
    os.close(fd)


@pytest.fixture
def switch(core):
    """A switch of three ports that is polled by hand."""
    return make_switch(core, 3)


def make_switch(core, n_ports, **options):
    datapath = core.Datapath(**options)
    wires = []
    for _ in range(n_ports):
        port = core.add_memory_port(datapath, fd=-1, offloads=0, mtu=1500, size=SIZE)
        wires.append(core.Wire(datapath, port))
    return SimpleNamespace(core=core, datapath=datapath, wires=wires, fdb=core.Fdb(datapath))


def frame(destination, source, size=60):
    return (destination + source + b"\x88\xb5").ljust(size, b".")


def counters(datapath, port):
    words = memoryview(datapath.counter_memory).cast("B").cast("Q")
    return dict(zip(COUNTERS, words[port * COUNTER_WORDS :], strict=False))


def wait_for(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


# ---------------------------------------------------------------- frames and their headers


@pytest.mark.parametrize(
    "header",
    ["01000000000000000000", "00010000000000000000", "004d0000000000000000"],
    ids=["checksum outside", "gso of nothing", "gso unknown"],
)
def test_a_header_that_does_not_fit_drops_the_frame(switch, header):
    switch.wires[0].send(bytes.fromhex(header) + frame(B, A))
    switch.wires[0].send(bytes.fromhex(header) + frame(B, bytes(6)))
    switch.wires[0].send(bytes.fromhex(header) + b"runt")

    assert switch.datapath.poll(0) == 3

    c = counters(switch.datapath, 0)
    assert (c["rx_frames"], c["rx_bytes"]) == (3, 124)
    assert (c["bad_offload"], c["bad_source"], c["runt"]) == (1, 1, 1)
    assert switch.fdb.lookup(0, A, 0) is None


def test_a_remark_in_the_header_is_no_work_left_undone(switch):
    data_valid = bytes([2]) + bytes(9)

    switch.wires[0].send(data_valid + frame(B, A))
    switch.datapath.poll(0)

    assert [f for _, f in switch.wires[1].receive()] == [frame(B, A)]


def test_the_longest_frame_an_mtu_allows_passes_beside_a_longer_one(switch):
    for size in (1518, 1519, 1518):
        switch.wires[0].send(FINISHED + frame(B, A, size))

    switch.datapath.poll(0)

    assert [len(f) for _, f in switch.wires[1].receive()] == [1518, 1518]
    assert counters(switch.datapath, 1)["too_long"] == 1


@pytest.mark.parametrize("size", [0, 9, 10 + FRAME_MAX + 1])
def test_a_record_has_a_header_and_at_most_the_longest_frame(switch, size):
    with pytest.raises(ValueError, match="record must have"):
        switch.wires[0].send(bytes(size))


def test_a_full_wire_takes_no_more_and_what_cannot_be_sent_is_counted(switch):
    record = FINISHED + frame(B, A, 1514)
    sent = 0
    while switch.wires[0].send(record):
        sent += 1
    # A record: 16 bytes in front, and a multiple of 16; some more in a sanitizer build.
    assert SIZE // 1600 <= sent <= SIZE // 1536

    def forward_all():
        while switch.datapath.poll(0):
            pass

    forward_all()
    for _ in range(10):
        assert switch.wires[0].send(record)
    forward_all()

    c = counters(switch.datapath, 1)
    assert c["tx_frames"] + c["tx_full"] == sent + 10
    assert c["tx_full"] == 10
    assert len(switch.wires[1].receive()) == sent
    assert counters(switch.datapath, 0)["forwarded"] == sent + 10


def test_a_replay_reads_the_same_frames_again(switch):
    for _ in range(3):
        switch.wires[0].send(FINISHED + frame(B, A))

    switch.wires[0].replay(4, discard=False)
    switch.wires[1].replay(0, discard=True)
    received = 0
    while n := switch.datapath.poll(0):
        received += n

    assert received == 3 * 5
    assert switch.wires[1].receive() == []
    assert counters(switch.datapath, 1)["tx_frames"] == 3 * 5
    assert len(switch.wires[2].receive()) == 3 * 5


# ---------------------------------------------------------------- ports


def test_a_new_port_gets_the_lowest_number_and_fresh_counters(switch):
    switch.wires[1].send(FINISHED + frame(B, A))
    switch.datapath.poll(0)
    switch.datapath.set_port(1, fdb_limit=1)

    switch.datapath.remove_port(1)
    number = switch.core.add_memory_port(switch.datapath, fd=-1, offloads=0, mtu=1500, size=SIZE)

    assert number == 1
    assert not any(counters(switch.datapath, 1).values())
    switch.fdb.learn(0, A, 1, 0)
    switch.fdb.learn(0, B, 1, 0)
    assert switch.fdb.port_entries(1) == 2


def test_a_removed_port_takes_its_stations_along(switch):
    switch.fdb.learn(0, A, 1, 0)
    switch.fdb.pin(0, B, 1)
    switch.fdb.learn(0, C, 2, 0)

    switch.datapath.remove_port(1)

    assert [switch.fdb.lookup(0, mac, 0) for mac in (A, B, C)] == [None, None, 2]
    with pytest.raises(ValueError, match="no port 1"):
        switch.datapath.set_port(1, learning=True)


def test_frames_that_wait_on_a_removed_port_stay_readable(switch):
    switch.wires[0].send(FINISHED + frame(B, A))
    switch.datapath.poll(0)

    switch.datapath.remove_port(1)

    assert len(switch.wires[1].receive()) == 1


def test_there_is_a_largest_number_of_ports(core, eventfd):
    datapath = core.Datapath()
    for _ in range(1024):
        core.add_tap_port(datapath, [-1], offloads=0, mtu=1500)

    with pytest.raises(PortLimitError):
        core.add_tap_port(datapath, [-1], offloads=0, mtu=1500)


@pytest.mark.parametrize("fds", [[], [-1] * 17])
def test_a_port_has_one_to_sixteen_queues(core, fds):
    datapath = core.Datapath()

    with pytest.raises(ValueError, match="queues"):
        core.add_tap_port(datapath, fds, offloads=0, mtu=1500)


def test_a_descriptor_that_cannot_be_watched_leaves_no_port_behind(core, tmp_path):
    datapath = core.Datapath()
    file = tmp_path / "file"  # epoll does not take regular files
    file.touch()

    with file.open() as f, pytest.raises(OSError, match=os.strerror(errno.EPERM)):
        core.add_tap_port(datapath, [f.fileno()], offloads=0, mtu=1500)

    with pytest.raises(ValueError, match="no port 0"):
        datapath.remove_port(0)


@pytest.mark.parametrize("size", [0, 1 << 17, (1 << 18) + 1])
def test_a_ring_has_room_for_two_frames_and_a_power_of_two(core, size):
    with pytest.raises(ValueError, match="size must be a power of two"):
        core.add_memory_port(core.Datapath(), fd=-1, offloads=0, mtu=1500, size=size)


@pytest.mark.parametrize(
    "options",
    [
        {"pollers": 0},
        {"fdb_limit": 0},
        {"fdb_limit": 4_194_305},
        {"busy_poll_us": -1},
        {"salt": b"short"},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(core, options):
    with pytest.raises(ValueError, match=next(iter(options)).rstrip("s")):
        core.Datapath(**options)


def test_a_datapath_in_a_cycle_of_references_is_collected(core):
    datapath = core.Datapath()
    core.add_memory_port(datapath, fd=-1, offloads=0, mtu=1500, size=SIZE)
    cycle = [datapath, core.Fdb(datapath), core.Wire(datapath, 0)]
    cycle.append(cycle)

    del datapath, cycle

    assert gc.collect()  # it once took the memory away before the pollers were closed


def test_reserved_addresses_end_in_one_digit(core):
    with pytest.raises(ValueError, match="a reserved address ends in"):
        core.set_reserved(core.Datapath(), [16], "drop")


# ---------------------------------------------------------------- the poller's thread


@pytest.fixture
def running(core, eventfd):
    """Two ports and a poller in a thread of its own."""
    fds = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(2)]
    datapath = core.Datapath(notify_fd=eventfd)
    wires = []
    for fd in fds:
        port = core.add_memory_port(datapath, fd=fd, offloads=0, mtu=1500, size=SIZE)
        wires.append(core.Wire(datapath, port))
    poller = threading.Thread(target=datapath.run, args=(0,))
    poller.start()
    yield SimpleNamespace(
        core=core, datapath=datapath, wires=wires, poller=poller, notify_fd=eventfd
    )
    datapath.stop()
    poller.join(10)
    assert not poller.is_alive()
    for fd in fds:
        os.close(fd)


def receive_all(wire, n):
    got = []
    wait_for(lambda: got.extend(f for _, f in wire.receive()) or len(got) >= n)
    return got


def test_the_poller_forwards_without_being_asked(running):
    frames = [frame(B, A) + n.to_bytes(2, "big") for n in range(100)]
    for f in frames:
        assert running.wires[0].send(FINISHED + f)

    assert receive_all(running.wires[1], 100) == frames


def test_nothing_moves_while_paused_and_nothing_is_lost(running):
    running.datapath.pause()
    running.datapath.pause()
    running.wires[0].send(FINISHED + frame(B, A))
    running.datapath.resume()
    assert running.wires[1].receive() == []
    assert counters(running.datapath, 0)["rx_frames"] == 0

    running.datapath.resume()

    assert receive_all(running.wires[1], 1) == [frame(B, A)]


def test_a_port_can_be_removed_and_added_while_paused(running):
    running.datapath.pause()
    running.datapath.remove_port(1)
    number = running.core.add_memory_port(running.datapath, fd=-1, offloads=0, mtu=1500, size=SIZE)
    wire = running.core.Wire(running.datapath, number)
    running.datapath.resume()

    running.wires[0].send(FINISHED + frame(B, A))

    assert receive_all(wire, 1) == [frame(B, A)]


def test_a_punted_frame_wakes_the_control_plane(running):
    running.datapath.pause()
    running.core.set_reserved(running.datapath, [0], "punt")
    running.datapath.resume()
    running.wires[1].send(FINISHED + frame(BPDU, A))

    wait_for(lambda: counters(running.datapath, 1)["punted"])

    wait_for(lambda: readable(running.notify_fd))
    assert running.core.punted(running.datapath) == [(1, FINISHED, frame(BPDU, A))]
    assert running.wires[0].receive() == []


def readable(fd):
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return 0


def test_a_queue_that_fails_is_given_up_and_reported(running):
    reader, broken = os.pipe()
    os.close(reader)  # epoll reports the other end, and a read of it fails
    running.datapath.pause()
    number = running.core.add_tap_port(running.datapath, [broken], offloads=0, mtu=1500)
    running.datapath.resume()

    wait_for(lambda: running.datapath.port_error(number))

    assert running.datapath.port_error(number) == errno.EBADF
    assert running.datapath.port_error(0) == 0
    wait_for(lambda: readable(running.notify_fd))
    running.wires[0].send(FINISHED + frame(B, A))  # the rest goes on
    assert receive_all(running.wires[1], 1) == [frame(B, A)]
    assert counters(running.datapath, number)["tx_error"] == 1  # EPIPE
    os.close(broken)


def test_a_port_can_be_removed_after_its_descriptor_was_closed(core):
    datapath = core.Datapath()
    reader, writer = os.pipe()
    number = core.add_tap_port(datapath, [reader], offloads=0, mtu=1500)
    os.close(reader)
    os.close(writer)

    datapath.remove_port(number)

    assert datapath.poll(0) == 0


def test_a_stopped_datapath_takes_no_poller_any_more(core):
    datapath = core.Datapath()

    datapath.stop()

    datapath.run(0)  # returns


def test_there_is_no_second_poller(core):
    with pytest.raises(ValueError, match="poller must be in"):
        core.Datapath().run(1)


def test_a_wire_wants_a_memory_port_and_a_descriptor_a_stream(core):
    datapath = core.Datapath()
    near, far = socket.socketpair()
    with near, far:
        number = core.add_stream_port(datapath, near.fileno(), mtu=1500)
        memory = core.add_memory_port(datapath, fd=-1, offloads=0, mtu=1500, size=SIZE)

        with pytest.raises(ValueError, match="not a memory port"):
            core.Wire(datapath, number)
        with pytest.raises(ValueError, match="not a stream port"):
            core.set_fd(datapath, memory, near.fileno())
        datapath.remove_port(number)


@pytest.fixture
def pairs():
    """Two pairs of connected stream sockets."""
    made = [socket.socketpair() for _ in range(2)]
    for near, _ in made:
        near.setblocking(False)
    yield made
    for s in (s for pair in made for s in pair):
        s.close()


def test_a_port_without_a_socket_waits_for_one_and_counts_what_is_lost(running, pairs):
    near, far = pairs[0]
    running.datapath.pause()
    number = running.core.add_stream_port(running.datapath, -1, mtu=1500)
    running.datapath.resume()
    assert running.datapath.port_error(number) == errno.ENOTCONN
    running.wires[0].send(FINISHED + frame(B, A))
    wait_for(lambda: counters(running.datapath, number)["tx_error"])

    running.datapath.pause()
    running.core.set_fd(running.datapath, number, near.fileno())
    running.datapath.resume()
    far.sendall((60).to_bytes(4, "big") + frame(A, C))

    assert receive_all(running.wires[0], 1) == [frame(A, C)]
    assert running.datapath.port_error(number) == 0
    assert counters(running.datapath, number)["tx_error"] == 1
    running.datapath.pause()
    running.datapath.remove_port(number)
    running.datapath.resume()


def test_the_socket_that_was_exchanged_is_not_read_any_more(running, pairs):
    (near, far), (near2, far2) = pairs
    running.datapath.pause()
    number = running.core.add_stream_port(running.datapath, near.fileno(), mtu=1500)
    far.sendall((60).to_bytes(4, "big") + frame(A, B))
    running.core.set_fd(running.datapath, number, near2.fileno())
    running.datapath.resume()
    far2.sendall((60).to_bytes(4, "big") + frame(A, C))

    assert receive_all(running.wires[0], 1) == [frame(A, C)]
    running.datapath.pause()
    running.core.set_fd(running.datapath, number, near.fileno())
    running.datapath.resume()
    assert receive_all(running.wires[0], 1) == [frame(A, B)]
    running.datapath.pause()
    running.datapath.remove_port(number)
    running.datapath.resume()


def test_a_socket_that_cannot_be_watched_leaves_the_port_without_one(core, tmp_path):
    datapath = core.Datapath()
    number = core.add_stream_port(datapath, -1, mtu=1500)
    file = tmp_path / "file"  # epoll does not take regular files
    file.touch()

    with file.open() as f, pytest.raises(OSError, match=os.strerror(errno.EPERM)):
        core.set_fd(datapath, number, f.fileno())

    assert datapath.port_error(number)
    datapath.remove_port(number)
