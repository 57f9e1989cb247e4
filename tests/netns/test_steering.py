"""A flow stays with one poller in both directions, or its frames overtake each other."""

from __future__ import annotations

import socket

import pytest

from support.net import address

pytestmark = pytest.mark.netns
TRIPS = 100


def test_a_conversation_between_adjacent_multi_queue_ports_stays_on_one_poller(joined):
    net = joined({"queues": 2}, {"queues": 2}, pollers=2)
    with net.sides[1].entered():
        answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with net.sides[0].entered():
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with answering, asking:
        answering.bind((address(1), 7))
        asking.connect((address(1), 7))
        for s in (answering, asking):
            s.settimeout(3)
        for _ in range(TRIPS):
            asking.send(b"ping")
            data, sender = answering.recvfrom(64)
            answering.sendto(data, sender)
            asking.recv(64)

    for port in (0, 1):
        by_poller = sorted(net.switch.counters["rx_frames"][:, port].tolist())
        # The flow's first frames, ARP and other chatter may be the other poller's.
        assert by_poller[0] < TRIPS / 4, by_poller
        assert by_poller[1] >= TRIPS * 3 / 4, by_poller
