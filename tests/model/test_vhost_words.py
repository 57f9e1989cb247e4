"""Any words of a front-end, well-formed or not, in any order."""

from __future__ import annotations

import os
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.front_end import FEATURES, FRAME, Machine, open_fds, region
from support.guest_memory import USER
from vswitch._guest import Guest
from vswitch._ports import add_vhost_port
from vswitch.errors import WireError
from vswitch.ports.vhost_features import PROTOCOL_FEATURES
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, ProtocolFeature, Request

indices = st.sampled_from([0, 1, 2, 255, 0xFFFFFFFF])
numbers = st.sampled_from([0, 1, 16, 3, 0x8000, 0xFFFFFFFF])
places = st.sampled_from([0, 0x10000, 0x10100, 0x11000, 0x10001, (1 << 20) + 0xFFFF, 1 << 47])
sizes = st.sampled_from([0, 1, 4096, 1 << 20, (1 << 20) + 1, 1 << 63, (1 << 64) - 1])
regions = st.builds(region, places, sizes, st.sampled_from([0, 4096, (1 << 64) - 4096]))
payloads = {
    Request.SET_FEATURES: st.sampled_from(
        [FEATURES, FEATURES | Feature.RING_PACKED, FEATURES | Feature.LOG_ALL, 0, 1 << 63]
    ).map(wire.u64),
    Request.SET_PROTOCOL_FEATURES: st.sampled_from(
        [0, PROTOCOL_FEATURES, ProtocolFeature.REPLY_ACK, 1 << 12]
    ).map(wire.u64),
    Request.SET_MEM_TABLE: st.lists(regions, max_size=3).map(
        lambda r: struct.pack("=II", len(r), 0) + b"".join(r)
    ),
    Request.ADD_MEM_REG: regions.map(lambda r: bytes(8) + r),
    Request.REM_MEM_REG: regions.map(lambda r: bytes(8) + r),
    Request.SET_LOG_BASE: st.tuples(sizes, st.sampled_from([0, 4096])).map(
        lambda v: struct.pack("=QQ", *v)
    ),
    Request.SET_VRING_ADDR: st.tuples(indices, indices, places, places, places, sizes).map(
        lambda v: struct.pack("=IIQQQQ", *v[:2], *(p + USER for p in v[2:5]), v[5])
    ),
    Request.GET_CONFIG: st.tuples(numbers, st.binary(max_size=20)).map(
        lambda v: struct.pack("=III", v[0], len(v[1]), 0) + v[1]
    ),
    **{
        r: st.tuples(indices, numbers).map(lambda v: struct.pack("=II", *v))
        for r in (Request.SET_VRING_NUM, Request.SET_VRING_BASE, Request.GET_VRING_BASE,
                  Request.SET_VRING_ENABLE)
    },
    **{
        r: st.tuples(st.integers(0, 3), st.sampled_from([0, 0, wire.NO_FD])).map(
            lambda v: wire.u64(v[0] | v[1])
        )
        for r in (Request.SET_VRING_KICK, Request.SET_VRING_CALL, Request.SET_VRING_ERR)
    },
}  # fmt: skip
anything = st.tuples(st.integers(0, 64), st.binary(max_size=300))
well_formed = st.sampled_from(sorted(Request)).flatmap(
    lambda r: st.tuples(st.just(int(r)), payloads.get(r, st.binary(max_size=8)))
)
messages = st.lists(
    st.tuples(
        st.one_of(well_formed, well_formed, well_formed, anything),
        st.lists(st.sampled_from(["memory", "kick", "call", "pipe"]), max_size=2),
        st.booleans(),
    ),
    max_size=30,
)  # fmt: skip


@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(messages, st.booleans(), st.booleans())
def test_no_words_do_more_than_end_the_conversation(rig, said, runs, packed):
    """Any sequence of messages ends in WireError or not at all, and frames may flow meanwhile."""
    net = rig()
    # A poller that has met a guest keeps what it calls guests by.
    net.datapath.remove_port(add_vhost_port(net.datapath, queues=1, mtu=1500))
    before = open_fds()
    number = add_vhost_port(net.datapath, queues=1, mtu=1500)
    machine = Machine(Guest(net.datapath, number), packed=packed)
    pipe = os.pipe()
    fds = {
        "memory": machine.memory.pieces[0].fd, "kick": machine.kick, "call": machine.call,
        "pipe": pipe[0],
    }  # fmt: skip
    if runs:
        machine.run()
    for (request_, payload), names, ack in said:
        try:
            machine.front.say(request_, payload, tuple(fds[name] for name in names), ack=ack)
        except WireError:
            machine.front.give_up()
            assert not machine.session.rings.is_up
        machine.pair.memory.set_u16(machine.rings[1].driver + 2, 1)
        net.to_guest(FRAME)
        net.wire.receive()
    machine.close()
    net.poll()
    net.datapath.remove_port(number)
    os.close(pipe[0])
    os.close(pipe[1])
    assert open_fds() == before
