"""What a vhost-user session does not believe, and that it leaves no descriptor behind."""

from __future__ import annotations

import os
import struct

import pytest

from support.front_end import FEATURES, FRAME, address, exchange, open_fds, region
from support.guest_memory import USER
from vswitch.errors import WireError
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request


def test_features_not_offered_are_refused(fake):
    for feature in (1 << 2, 1 << 5, 1 << 33, 1 << 63):
        with pytest.raises(WireError, match="not offered"):
            fake.front.set(Request.SET_FEATURES, FEATURES | feature)
    with pytest.raises(WireError, match="not offered"):
        fake.front.set(Request.SET_PROTOCOL_FEATURES, 1 << 12)
    with pytest.raises(WireError, match="not offered"):
        fake.front.set(Request.SET_PROTOCOL_FEATURES, 1 << 40)


def test_features_stay_while_rings_run(fake):
    fake.run()
    with pytest.raises(WireError, match="while rings run"):
        fake.front.set(Request.SET_FEATURES, FEATURES | Feature.EVENT_IDX)
    fake.front.set(Request.SET_FEATURES, FEATURES | Feature.LOG_ALL)


@pytest.mark.parametrize(
    ("request_", "payload"),
    [
        (Request.SET_VRING_NUM, struct.pack("=II", 2, 16)),
        (Request.SET_VRING_BASE, struct.pack("=II", 0xFFFFFFFF, 0)),
        (Request.GET_VRING_BASE, struct.pack("=II", 2, 0)),
        (Request.SET_VRING_ENABLE, struct.pack("=II", 256, 1)),
        (Request.SET_VRING_ADDR, struct.pack("=IIQQQQ", 2, 0, 0, 0, 0, 0)),
        (Request.SET_VRING_KICK, wire.u64(2 | wire.NO_FD)),
        (Request.SET_VRING_CALL, wire.u64(255 | wire.NO_FD)),
        (Request.SET_VRING_ERR, wire.u64(2 | wire.NO_FD)),
    ],
)
def test_a_ring_that_is_not_there_is_refused(fake, request_, payload):
    fake.run()
    with pytest.raises(WireError, match="ring"):
        fake.front.say(request_, payload)


@pytest.mark.parametrize("size", [0, 3, 48, 65536, 0xFFFFFFFF])
def test_a_size_no_ring_has_is_refused(real, size):
    machine, _ = real
    machine.front.negotiate()
    machine.front.memory(machine.memory)
    machine.rings[0].size = size
    with pytest.raises(WireError, match=r"descriptors|no size"):
        machine.front.ring(0, machine.rings[0], kick=machine.kick)


@pytest.mark.parametrize("part", ["desc", "driver", "device"])
@pytest.mark.parametrize("at", [0, -1, 1 << 40, (1 << 64) - 1 - USER])
def test_a_ring_outside_of_memory_is_refused(real, part, at):
    machine, _ = real
    machine.run()
    where = machine.memory.end if at == -1 else at
    with pytest.raises(WireError, match=r"regions|memory"):
        machine.front.say(Request.SET_VRING_ADDR, address(1, machine.rings[1], **{part: where}))


@pytest.mark.parametrize("part", ["desc", "driver", "device"])
def test_a_ring_misaligned_is_refused(real, part):
    machine, _ = real
    machine.run()
    at = getattr(machine.rings[1], part) + 1
    with pytest.raises(WireError, match="aligned"):
        machine.front.say(Request.SET_VRING_ADDR, address(1, machine.rings[1], **{part: at}))


def test_a_ring_is_not_changed_while_it_runs(fake):
    fake.run()
    for request_ in (Request.SET_VRING_NUM, Request.SET_VRING_BASE):
        with pytest.raises(WireError, match="while it runs"):
            fake.front.state(request_, 1, 8)


def test_a_ring_does_not_start_before_all_is_known(fake):
    fake.front.negotiate()
    with pytest.raises(WireError, match="no size or no address"):
        fake.front.fd(Request.SET_VRING_KICK, 1, fake.kick)
    fake.front.state(Request.SET_VRING_NUM, 0, 16)
    fake.front.say(Request.SET_VRING_ADDR, address(0, fake.rings[0]))
    with pytest.raises(WireError, match="regions"):
        fake.front.fd(Request.SET_VRING_KICK, 0, fake.kick)


def test_a_guest_that_never_kicks_is_refused(fake):
    fake.front.negotiate()
    with pytest.raises(WireError, match="kicks"):
        fake.front.fd(Request.SET_VRING_KICK, 1, -1)


@pytest.mark.parametrize("request_", [Request.SET_VRING_KICK, Request.SET_VRING_CALL])
def test_only_an_eventfd_is_a_kick_or_a_call(fake, request_):
    fake.run()
    reader, writer = os.pipe()
    for fd in (reader, writer, fake.memory.pieces[0].fd):
        with pytest.raises(WireError, match="eventfd"):
            fake.front.fd(request_, 1, fd)
    for payload, fds in ((wire.u64(0), ()), (wire.u64(0), (fake.kick, fake.kick)),
                         (wire.u64(0 | wire.NO_FD), (fake.kick,))):  # fmt: skip
        with pytest.raises(WireError, match="descriptors"):
            fake.front.say(request_, payload, fds)
    os.close(reader)
    os.close(writer)


def test_a_full_call_descriptor_does_not_hold_the_poller(real):
    machine, net = real
    machine.run()
    os.set_blocking(machine.call, True)  # the flag is its owner's as much as ours
    os.eventfd_write(machine.call, 2**64 - 2)

    assert exchange(machine, net) == ([FRAME], [FRAME])


def test_a_kick_that_cannot_be_waited_for_is_closed(fake):
    fake.run()
    fake.guest.refuse = "set_kick"
    before = open_fds()
    with pytest.raises(WireError, match="No space"):
        fake.front.fd(Request.SET_VRING_KICK, 1, fake.kick)

    assert open_fds() == before
    fake.guest.refuse = ""


@pytest.mark.parametrize(
    "said",
    [
        region(0, 1 << 21),  # more than there is
        region(0, 4096, offset=1 << 20),
        region(0, 0),
        region(0, (1 << 64) - 1, offset=(1 << 64) - 1),
        region(0, 4096, offset=(1 << 64) - 4096),
        region((1 << 64) - 4096, 4096),  # wraps
    ],
)
@pytest.mark.parametrize("request_", [Request.SET_MEM_TABLE, Request.ADD_MEM_REG])
def test_a_region_that_cannot_be_is_refused(real, request_, said):
    machine, _ = real
    machine.run()
    front = struct.pack("=II", 1, 0) if request_ == Request.SET_MEM_TABLE else bytes(8)
    with pytest.raises(WireError):
        machine.front.say(request_, front + said, (machine.memory.pieces[0].fd,))


@pytest.fixture
def endless():
    """A file that takes no memory, and has more bytes than anybody has addresses."""
    fd = os.memfd_create("endless")
    os.ftruncate(fd, 1 << 60)
    yield fd
    os.close(fd)


def test_a_guest_does_not_use_up_our_addresses(real, endless):
    machine, _ = real
    machine.front.negotiate()
    half = region(0, 2 << 40)
    machine.front.say(Request.ADD_MEM_REG, bytes(8) + half, (endless,))
    machine.front.say(Request.ADD_MEM_REG, bytes(8) + half, (endless,))
    with pytest.raises(WireError, match="more than 4 TiB"):
        machine.front.say(Request.ADD_MEM_REG, bytes(8) + region(0, 1), (endless,))
    with pytest.raises(WireError, match="more than 4 TiB"):
        machine.front.say(
            Request.SET_MEM_TABLE,
            struct.pack("=II", 2, 0) + region(0, 4 << 40) + region(1 << 50, 4096),
            (endless, endless),
        )
    with pytest.raises(WireError, match="a log of"):
        machine.front.say(Request.SET_LOG_BASE, struct.pack("=QQ", 1 << 31, 0), (endless,))


def test_regions_and_descriptors_must_be_as_many(fake):
    fake.front.negotiate()
    fd = fake.memory.pieces[0].fd
    for fds in ((), (fd, fd)):
        with pytest.raises(WireError, match="with"):
            fake.front.say(Request.SET_MEM_TABLE, struct.pack("=II", 1, 0) + region(0, 4096), fds)
        with pytest.raises(WireError, match="with"):
            fake.front.say(Request.ADD_MEM_REG, bytes(8) + region(0, 4096), fds)
        with pytest.raises(WireError, match="with"):
            fake.front.say(Request.SET_LOG_BASE, struct.pack("=QQ", 4096, 0), fds)


def test_more_regions_than_there_are_slots_are_refused(real):
    machine, _ = real
    machine.front.negotiate()
    fd = machine.memory.pieces[0].fd
    for i in range(64):
        machine.front.say(Request.ADD_MEM_REG, bytes(8) + region(i << 20, 4096), (fd,))
    with pytest.raises(WireError, match="at most 64"):
        machine.front.say(Request.ADD_MEM_REG, bytes(8) + region(64 << 20, 4096), (fd,))


@pytest.mark.parametrize(
    ("size", "offset"), [(0, 0), (1 << 21, 0), (4096, 4096), ((1 << 64) - 1, (1 << 64) - 1)]
)
def test_a_log_that_cannot_be_is_refused(fake, size, offset):
    with pytest.raises(WireError):
        fake.front.say(
            Request.SET_LOG_BASE, struct.pack("=QQ", size, offset), (fake.memory.pieces[0].fd,)
        )


@pytest.mark.parametrize("request_", ["table", "region", "log"])
def test_memory_that_another_program_may_hold_back_is_refused(fake, request_):
    fake.front.negotiate()
    said = {
        "table": (Request.SET_MEM_TABLE, struct.pack("=II", 1, 0) + region(0, 4096)),
        "region": (Request.ADD_MEM_REG, struct.pack("=Q", 0) + region(0, 4096)),
        "log": (Request.SET_LOG_BASE, struct.pack("=QQ", 4096, 0)),
    }[request_]
    with open("/proc/self/status") as strange, pytest.raises(WireError, match="is no memfd"):
        fake.front.say(*said, (strange.fileno(),))


@pytest.mark.parametrize("request_", [Request.SET_VRING_CALL, Request.SET_VRING_KICK])
def test_a_descriptor_for_no_ring_is_given_back(fake, request_):
    fake.front.negotiate()
    before = open_fds()

    with pytest.raises(WireError, match="ring 77 of 2"):
        fake.front.fd(request_, 77, fake.call)

    assert open_fds() == before
