"""A vhost-user session: what front-ends say, in their order."""

from __future__ import annotations

import os
import struct

import pytest

from support.front_end import FEATURES, FRAME, address, exchange, region
from vswitch.errors import WireError
from vswitch.ports.vhost_features import PROTOCOL_FEATURES
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request

BOTH = pytest.mark.parametrize("real", [False, True], ids=["split", "packed"], indirect=True)


# ------------------------------------------------------------------ in the usual order


@BOTH
def test_what_qemu_says_makes_frames_flow(real):
    machine, net = real
    machine.run()

    assert machine.session.rings.is_up
    assert exchange(machine, net) == ([FRAME], [FRAME])


@BOTH
def test_a_virtio_user_device_says_its_rings_before_they_are_enabled(real):
    """Call descriptors first, memory and the rest when the driver is ready."""
    machine, net = real
    front = machine.front
    front.negotiate(machine.features())
    for i in range(2):
        front.fd(Request.SET_VRING_CALL, i, machine.call)
    front.memory(machine.memory)
    for i, ring in enumerate(machine.rings):
        front.state(Request.SET_VRING_NUM, i, ring.size)
        front.state(Request.SET_VRING_BASE, i, machine.base)
        front.say(Request.SET_VRING_ADDR, address(i, ring))
        front.fd(Request.SET_VRING_KICK, i, machine.kick)
    assert exchange(machine, net) == ([], [])

    for i in range(2):
        front.state(Request.SET_VRING_ENABLE, i, 1)

    assert exchange(machine, net)[0] == [FRAME]


def test_without_protocol_features_a_ring_is_enabled_by_its_kick(real):
    machine, net = real
    machine.front.negotiate(Feature.VERSION_1 | Feature.MRG_RXBUF)
    machine.front.memory(machine.memory)
    for i, ring in enumerate(machine.rings):
        machine.front.ring(i, ring, kick=machine.kick)

    assert exchange(machine, net) == ([FRAME], [FRAME])


@BOTH
def test_a_ring_stopped_goes_on_where_it_was(real):
    machine, net = real
    machine.run()
    for n in range(1, 5):
        assert exchange(machine, net) == ([FRAME], [FRAME])
        for i, ring in enumerate(machine.rings):
            answer = machine.front.state(Request.GET_VRING_BASE, i, 0)
            index, base = struct.unpack("=II", answer)
            assert (index, base & 0xFFFF) == (i, n | machine.base)
            assert not machine.session.rings.is_up
            machine.front.ring(i, ring, base=base & 0xFFFF, kick=machine.kick, call=machine.call)


@BOTH
def test_a_driver_that_begins_anew_after_a_reboot(real):
    machine, net = real
    for _ in range(3):
        machine.run()
        assert exchange(machine, net) == ([FRAME], [FRAME])
        for i in range(2):
            machine.front.state(Request.GET_VRING_BASE, i, 0)
        machine.front.say(Request.RESET_OWNER)
        for i, ring in enumerate(machine.rings):
            machine.front.state(Request.SET_VRING_ENABLE, i, 0)
            ring.begin(machine.base)
            ring.take()
        machine.pair.reap()


@BOTH
def test_the_next_connection_begins_disabled(real):
    machine, net = real
    machine.run()
    assert exchange(machine, net) == ([FRAME], [FRAME])
    machine.session.end()
    front = machine.front
    front.negotiate(machine.features())
    front.memory(machine.memory)
    for i, ring in enumerate(machine.rings):
        front.ring(i, ring, base=ring.base, kick=machine.kick)

    assert not machine.session.rings.is_up
    assert exchange(machine, net) == ([], [])


@BOTH
def test_memory_and_addresses_change_while_rings_run(real):
    machine, net = real
    machine.run()
    for _ in range(3):
        machine.front.memory(machine.memory)
        assert exchange(machine, net) == ([FRAME], [FRAME])
        for i, ring in enumerate(machine.rings):
            machine.front.say(Request.SET_VRING_ADDR, address(i, ring, log=ring.device))
        assert exchange(machine, net) == ([FRAME], [FRAME])


@BOTH
def test_regions_come_and_go_one_by_one(real):
    machine, net = real
    other = os.memfd_create("slot")
    os.ftruncate(other, 8192)
    slot = bytes(8) + region(1 << 32, 8192)
    machine.front.negotiate(machine.features())
    [piece] = machine.memory.pieces
    machine.front.say(Request.ADD_MEM_REG, bytes(8) + region(piece.gpa, piece.size), (piece.fd,))
    machine.add_rings()
    for _ in range(3):
        machine.front.say(Request.ADD_MEM_REG, slot, (other,))
        assert exchange(machine, net) == ([FRAME], [FRAME])
        machine.front.say(Request.REM_MEM_REG, slot, ack=True)
        assert exchange(machine, net) == ([FRAME], [FRAME])
    with pytest.raises(WireError, match="not there"):
        machine.front.say(Request.REM_MEM_REG, slot)
    with pytest.raises(WireError, match="none of the guest's regions"):
        machine.front.say(Request.REM_MEM_REG, bytes(8) + region(piece.gpa, piece.size))
    os.close(other)


@BOTH
def test_the_log_goes_on_and_off_while_rings_run(real):
    machine, net = real
    machine.run()
    log = os.memfd_create("log")
    os.ftruncate(log, 4096)
    machine.front.say(Request.SET_LOG_BASE, struct.pack("=QQ", 4096, 0), (log,))
    for i, ring in enumerate(machine.rings):
        machine.front.say(Request.SET_VRING_ADDR, address(i, ring, log=ring.device))
    assert exchange(machine, net) == ([FRAME], [FRAME])
    assert os.pread(log, 4096, 0) == bytes(4096)

    machine.front.set(Request.SET_FEATURES, machine.features() | Feature.LOG_ALL)
    assert exchange(machine, net) == ([FRAME], [FRAME])
    noted = os.pread(log, 4096, 0)
    page = machine.rings[0].device // 4096
    assert noted[page // 8] >> page % 8 & 1

    machine.front.set(Request.SET_FEATURES, machine.features())
    os.pwrite(log, bytes(4096), 0)
    assert exchange(machine, net) == ([FRAME], [FRAME])
    assert os.pread(log, 4096, 0) == bytes(4096)
    os.close(log)


@BOTH
def test_what_is_written_to_a_ring_as_it_starts_is_noted(real):
    machine, _ = real
    log = os.memfd_create("log")
    os.ftruncate(log, 4096)
    machine.front.negotiate(machine.features() | Feature.LOG_ALL)
    machine.front.memory(machine.memory)
    machine.front.say(Request.SET_LOG_BASE, struct.pack("=QQ", 4096, 0), (log,))
    ring = machine.rings[0]
    machine.front.state(Request.SET_VRING_NUM, 0, ring.size)
    machine.front.state(Request.SET_VRING_BASE, 0, machine.base)
    machine.front.say(Request.SET_VRING_ADDR, address(0, ring, log=ring.device))

    machine.front.fd(Request.SET_VRING_KICK, 0, machine.kick)

    page = ring.device // 4096
    assert os.pread(log, 4096, 0)[page // 8] >> page % 8 & 1
    os.close(log)


def test_a_front_end_that_closes_without_a_word_leaves_nothing(real):
    machine, net = real
    machine.run()
    machine.session.end()

    net.to_guest(FRAME)

    assert machine.guest.stop(0) == 0
    assert not machine.session.rings.is_up


def test_what_one_front_end_agreed_on_is_not_the_next_ones(fake):
    fake.front.negotiate(FEATURES | Feature.RING_PACKED | Feature.EVENT_IDX | Feature.GUEST_CSUM)
    fake.front.set(Request.SET_STATUS, 7)
    fake.session.end()

    assert fake.front.ask(Request.GET_STATUS) == 0
    assert fake.guest.calls("set_features")[-1] == (False, False, False, False, False, 0)


# ------------------------------------------------------------------ answers


def test_questions_are_answered(fake):
    front = fake.front
    front.negotiate()

    assert front.ask(Request.GET_QUEUE_NUM) == 1
    assert front.ask(Request.GET_MAX_MEM_SLOTS) == 64
    assert front.ask(Request.GET_PROTOCOL_FEATURES) == PROTOCOL_FEATURES
    front.set(Request.SET_STATUS, 7)
    assert front.ask(Request.GET_STATUS) == 7
    config = front.say(Request.GET_CONFIG, struct.pack("=III", 6, 6, 0) + bytes(6))
    assert struct.unpack("=IIIHHH", config) == (6, 6, 0, 1, 1, 1500)  # up, pairs, MTU
    beyond = front.say(Request.GET_CONFIG, struct.pack("=III", 250, 7, 0) + bytes(7))
    assert struct.unpack("=III", beyond) == (250, 0, 0)


def test_a_wish_for_a_reply_is_granted_once_agreed_on(fake):
    assert fake.front.set(Request.SET_FEATURES, FEATURES, ack=True) is None
    fake.front.negotiate()

    assert fake.front.set(Request.SET_FEATURES, FEATURES, ack=True) == wire.u64(0)
    assert fake.front.set(Request.NET_SET_MTU, 1500, ack=True) == wire.u64(0)
    assert fake.front.set(Request.NET_SET_MTU, 1501, ack=True) == wire.u64(1)
    assert fake.front.set(Request.NET_SET_MTU, 1501) is None
    assert fake.front.say(Request.SET_BACKEND_REQ_FD, ack=True) == wire.u64(1)
    with pytest.raises(WireError, match="not agreed on"):
        fake.front.say(Request.SET_BACKEND_REQ_FD)
