"""DPDK's virtio-user devices, of every make there is: frames go to and fro between two of them.

The counters of testpmd, which nobody here wrote, and those of the switch then say the same.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.command import Running, running
from support.lab import check_balance
from support.testpmd import Testpmd, lacking, mac
from support.wait import wait_for

FRAMES = 5_000  # to and fro, until we look
NAMES = ("a", "b")
FEATURES = ("packed_vq", "mrg_rxbuf", "in_order", "vectorized")
JUMBO = 9000
TO_AND_FRO = ("set fwd mac", *(f"set eth-peer {i} {mac(1 - i)}" for i in (0, 1)))

Dpdk = Callable[..., Testpmd]


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder for sockets, whose paths must not be long."""
    with tempfile.TemporaryDirectory(prefix="vsw") as name:
        yield Path(name)


@pytest.fixture
def dpdk(room) -> Iterator[Dpdk]:
    """Factory: ``dpdk(words, option, ...)`` starts a testpmd with two devices, both with *words*;
    it is gone after the test."""
    if reason := lacking():
        pytest.skip(reason)
    with ExitStack() as stack:

        def make(words: str, *options: str) -> Testpmd:
            devices = [f"path={room / name}.sock,{words}" for name in NAMES]
            made = Testpmd(room, devices, *options)
            stack.callback(made.close)
            return made

        yield make


def ports(room: Path, options: str = "") -> list[str]:
    """The switch's words for the two ports."""
    each = [f"vhost-user:{room / name}.sock{options},name={name}" for name in NAMES]
    return ["--port", each[0], "--port", each[1]]


def bounce(testpmd: Testpmd, switch: Running, *commands: str) -> None:
    """Have frames go to and fro until there were many, and come to rest; then both sides agree."""
    testpmd.run(*commands)
    before = [counts(switch, name) for name in NAMES]
    keep_going(testpmd, switch)
    testpmd.run("stop", "set fwd rxonly", "start")
    wait_for(lambda: agree(testpmd, switch, before), "both to have seen the last frames")
    testpmd.run("stop")


def keep_going(testpmd: Testpmd, switch: Running) -> None:
    """Have frames go to and fro without end, until there were many."""
    wait_for(lambda: is_up(switch), "links to be up")
    testpmd.run(*TO_AND_FRO, "start tx_first 1")
    start = [counts(switch, name)[0] for name in NAMES]
    for name, n in zip(NAMES, start, strict=True):
        wait_for(lambda: counts(switch, name)[0] > n + FRAMES, f"frames from {name}")  # noqa: B023


def is_up(switch: Running) -> bool:
    return all(switch.port(name).state == "forwarding" for name in NAMES)


def counts(switch: Running, name: str) -> tuple[int, int]:
    """Frames that came from there, and that went there."""
    counters = switch.port(name).counters
    return counters["rx_frames"], counters["tx_frames"]


def agree(testpmd: Testpmd, switch: Running, before: Sequence[tuple[int, int]]) -> bool:
    """Whether one has received what the other one has sent since *before*."""
    for i, name in enumerate(NAMES):
        theirs, ours = testpmd.counters(i), counts(switch, name)
        if (theirs["TX-packets"] + before[i][0], theirs["RX-packets"] + before[i][1]) != ours:
            return False
    return True


def check(testpmd: Testpmd, switch: Running) -> None:
    """Each frame is accounted for, and nothing was dropped but for want of room."""
    for i, name in enumerate(NAMES):
        theirs, port = testpmd.counters(i), switch.port(name)
        check_balance(port)
        assert {reason for reason, n in port.drops.items() if n} <= {"tx_full"}
        assert theirs["RX-errors"] == theirs["TX-errors"] == theirs["RX-nombuf"] == 0


@pytest.mark.parametrize(
    "features", list(itertools.product((0, 1), repeat=4)), ids=lambda f: "".join(map(str, f))
)
def test_devices_with_any_features_reach_each_other(dpdk, room, features):
    with running(*ports(room)) as switch:
        words = (f"{name}={on}" for name, on in zip(FEATURES, features, strict=True))
        testpmd = dpdk(",".join(words))

        bounce(testpmd, switch, "set txpkts 1514")
        check(testpmd, switch)


@pytest.mark.parametrize("packed", [0, 1])
@pytest.mark.parametrize("size", [64, 1024])
def test_rings_may_be_short_or_long(dpdk, room, packed, size):
    with running(*ports(room)) as switch:
        testpmd = dpdk(f"packed_vq={packed},queue_size={size}")

        bounce(testpmd, switch)
        check(testpmd, switch)


@pytest.mark.parametrize("packed", [0, 1])
def test_frames_in_pieces_arrive_whole(dpdk, room, packed):
    with running(*ports(room)) as switch:
        testpmd = dpdk(f"packed_vq={packed}")

        bounce(testpmd, switch, "set txpkts 64,1000,14,436")
        check(testpmd, switch)
        counters = switch.port("a").counters
        assert counters["tx_bytes"] == 1514 * counters["tx_frames"]


@pytest.mark.parametrize("packed", [0, 1])
def test_queue_pairs_are_all_served(dpdk, room, packed):
    with running(*ports(room, ",queues=2"), "--pollers", "2") as switch:
        testpmd = dpdk(f"packed_vq={packed},queues=2", "--rxq=2", "--txq=2")

        bounce(testpmd, switch)
        check(testpmd, switch)


@pytest.mark.parametrize("packed", [0, 1])
def test_the_switch_calls_devices_that_listen(dpdk, room, packed):
    with running(*ports(room, ",client")) as switch:
        testpmd = dpdk(f"packed_vq={packed},server=1")

        bounce(testpmd, switch)
        check(testpmd, switch)


@pytest.mark.parametrize("packed", [0, 1])
def test_long_frames_pass_where_the_mtu_lets_them(dpdk, room, packed):
    with running(*ports(room, f",mtu={JUMBO}")) as switch:
        testpmd = dpdk(
            f"packed_vq={packed},mrg_rxbuf=1", "--mbuf-size=10000", f"--max-pkt-len={JUMBO + 18}"
        )

        bounce(testpmd, switch, f"set txpkts {JUMBO + 14}")
        check(testpmd, switch)


def test_a_device_that_ends_makes_room_for_the_next(dpdk, room):
    with running(*ports(room)) as switch:
        for packed in (0, 1):
            testpmd = dpdk(f"packed_vq={packed}")
            bounce(testpmd, switch)
            testpmd.close()
            wait_for(lambda: switch.port("a").state == "down", "the port to be down")


@pytest.mark.parametrize("packed", [0, 1])
def test_devices_that_listen_go_on_when_the_switch_was_killed(dpdk, room, packed):
    with running(*ports(room, ",client")) as first:
        testpmd = dpdk(f"packed_vq={packed},server=1")
        keep_going(testpmd, first)
        first.process.kill()
        first.process.wait(10)
    testpmd.run("stop")

    with running(*ports(room, ",client")) as second:
        keep_going(testpmd, second)
