"""Who was given which address, by what DHCP servers and clients say."""

from __future__ import annotations

from vswitch.guarding import GUARD_MAX, Lease
from vswitch.questions import ASKING_MAX, ASKING_S
from vswitch.snooping import Snooping
from vswitch.wire.dhcp import FOREVER_S, REPLY, REQUEST, Kind, Message

A, B = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2))
IP_A, IP_B = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])


def said(kind, mac=A, xid=1, *, lease_s=None, requested=None, **fields):
    options = [(53, bytes([kind]))]
    options += [(51, lease_s.to_bytes(4))] if lease_s else []
    options += [(50, requested)] if requested else []
    op = REPLY if kind in (Kind.OFFER, Kind.ACK, Kind.NAK) else REQUEST
    return Message(op, xid, mac, options=tuple(options), **fields)


def ack(mac=A, xid=1, ip=IP_A, lease_s=100):
    return said(Kind.ACK, mac, xid, your_ip=ip, lease_s=lease_s)


def lease(snooping, port="a", mac=A, xid=1, ip=IP_A, *, vid=0, now_s=0, lease_s=100):
    """Let a client ask and be answered; the ports whose leases changed."""
    snooping.asked(port, vid, said(Kind.DISCOVER, mac, xid), now_s)
    snooping.asked(port, vid, said(Kind.REQUEST, mac, xid), now_s)
    return snooping.answered(vid, ack(mac, xid, ip, lease_s), now_s)


def bound(snooping):
    return {(b.port, b.lease.ip) for b in snooping.bindings.all()}


def test_an_answer_binds_the_address_to_who_asked():
    snooping = Snooping()

    assert lease(snooping, vid=7) == {"a"}
    assert snooping.bindings.leases_of("a") == {Lease(7, A, IP_A)}
    assert [b.left_s(40) for b in snooping.bindings.all()] == [60]


def test_what_nobody_asked_for_binds_nothing():
    snooping = Snooping()
    snooping.asked("a", 0, said(Kind.REQUEST), 0)

    assert snooping.answered(0, ack(xid=2), 0) == set()
    assert snooping.answered(7, ack(), 0) == set()
    assert snooping.answered(0, ack(mac=B), 0) == set()
    assert snooping.answered(0, ack(ip=bytes(4)), 0) == set()  # of an INFORM
    assert snooping.answered(0, ack(lease_s=None), 0) == set()
    assert snooping.answered(0, said(Kind.OFFER, your_ip=IP_A, lease_s=9), 0) == set()
    assert snooping.bindings.all() == []


def test_a_renewal_lengthens_and_changes_nothing_else():
    snooping = Snooping()
    lease(snooping)

    assert lease(snooping, xid=2, now_s=50) == set()
    assert [b.left_s(100) for b in snooping.bindings.all()] == [50]


def test_another_address_takes_the_place_of_the_first():
    snooping = Snooping()
    lease(snooping)

    assert lease(snooping, xid=2, ip=IP_B) == {"a"}
    assert bound(snooping) == {("a", IP_B)}


def test_a_station_that_asks_elsewhere_is_there():
    snooping = Snooping()
    lease(snooping)

    assert lease(snooping, "b", xid=2) == {"a", "b"}
    assert bound(snooping) == {("b", IP_A)}


def test_an_address_is_of_one_station():
    snooping = Snooping()
    lease(snooping)

    assert lease(snooping, "b", B, 2, IP_A) == {"a", "b"}
    assert bound(snooping) == {("b", IP_A)}


def test_who_repeats_anothers_question_gets_nothing():
    snooping = Snooping()
    snooping.asked("a", 0, said(Kind.DISCOVER), 0)
    snooping.asked("thief", 0, said(Kind.REQUEST), 1)
    snooping.answered(0, ack(), 2)

    assert bound(snooping) == {("a", IP_A)}


def test_a_question_is_forgotten_after_a_while():
    snooping = Snooping()
    snooping.asked("a", 0, said(Kind.DISCOVER), 0)
    snooping.asked("b", 0, said(Kind.DISCOVER), ASKING_S)
    snooping.answered(0, ack(), ASKING_S)
    assert bound(snooping) == {("b", IP_A)}

    snooping.expire(3 * ASKING_S)
    assert snooping.answered(0, ack(), 3 * ASKING_S) == set()


def test_a_lease_ends_with_its_time():
    snooping = Snooping()
    lease(snooping)
    lease(snooping, "b", B, 2, IP_B, lease_s=FOREVER_S)

    assert snooping.expire(99) == set()
    assert snooping.expire(100) == {"a"}
    assert bound(snooping) == {("b", IP_B)}
    assert [b.left_s(10**9) for b in snooping.bindings.all()] == [None]


def test_a_client_gives_its_address_back():
    for message in (said(Kind.RELEASE, client_ip=IP_A), said(Kind.DECLINE, requested=IP_A)):
        snooping = Snooping()
        lease(snooping)

        assert snooping.asked("a", 0, message, 5) == {"a"}
        assert snooping.bindings.all() == []


def test_nobody_gives_back_what_is_not_his():
    snooping = Snooping()
    lease(snooping)

    assert snooping.asked("b", 0, said(Kind.RELEASE, client_ip=IP_A), 5) == set()
    assert snooping.asked("a", 0, said(Kind.RELEASE, client_ip=IP_B), 5) == set()
    assert snooping.asked("a", 7, said(Kind.RELEASE, client_ip=IP_A), 5) == set()
    assert snooping.asked("a", 0, said(Kind.DECLINE), 5) == set()
    assert bound(snooping) == {("a", IP_A)}


def test_leases_go_with_their_port():
    snooping = Snooping()
    lease(snooping)
    snooping.asked("a", 0, said(Kind.REQUEST, B, 9), 0)

    assert snooping.leave("a") == {"a"}
    assert snooping.answered(0, ack(B, 9, IP_B), 1) == set()


def test_a_port_has_a_limit_of_questions_and_of_leases():
    snooping = Snooping()
    for n in range(GUARD_MAX + 3):
        lease(snooping, mac=bytes([2, 0, 0, 0, 1, n]), ip=bytes([10, 0, 1, n]))
    assert len(snooping.bindings.leases_of("a")) == GUARD_MAX
    assert snooping.bindings.refused == 3

    for xid in range(ASKING_MAX + 1):
        snooping.asked("b", 0, said(Kind.DISCOVER, B, xid), 0)
    assert snooping.answered(0, ack(B, 0), 0) == set()  # the oldest
    assert snooping.answered(0, ack(B, ASKING_MAX), 0) == {"b"}
