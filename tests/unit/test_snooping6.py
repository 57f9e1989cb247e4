"""Who was given which IPv6 address, by what DHCPv6 servers and clients say."""

from __future__ import annotations

import pytest

from vswitch.guarding import GUARD_MAX, Lease
from vswitch.snooping6 import Snooping6
from vswitch.wire.dhcp6 import FOREVER_S, Address, Kind, Message

A, B = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2))
IP_A, IP_B = (bytes([0xFD, *bytes(14), n]) for n in (1, 2))
DUID = b"\0\3\0\1" + A


def said(kind, *addresses, xid=1, client=DUID, valid_s=100):
    return Message(kind, xid, client, tuple(Address(ip, valid_s) for ip in addresses))


def lease(
    snooping, *ips, port="a", mac=A, xid=1, kind=Kind.REQUEST, now_s=0, valid_s=100, client=DUID
):
    """Let a client ask and be answered; the ports whose leases changed."""
    snooping.asked(port, 0, mac, said(kind, xid=xid, client=client), now_s)
    answer = said(Kind.REPLY, *ips, xid=xid, valid_s=valid_s, client=client)
    return snooping.answered(0, mac, answer, now_s)


def bound(snooping):
    return {(b.port, b.lease.ip) for b in snooping.bindings.all()}


@pytest.mark.parametrize("kind", [Kind.SOLICIT, Kind.REQUEST, Kind.RENEW, Kind.REBIND])
def test_an_answer_binds_addresses_to_who_asked(kind):
    snooping = Snooping6()

    assert lease(snooping, IP_A, IP_B, kind=kind) == {"a"}
    assert snooping.bindings.leases_of("a") == {Lease(0, A, IP_A), Lease(0, A, IP_B)}
    assert [b.left_s(40) for b in snooping.bindings.all()] == [60, 60]


@pytest.mark.parametrize("kind", [Kind.CONFIRM, Kind.INFORMATION_REQUEST, Kind.RELEASE])
def test_what_is_no_question_for_an_address_gets_none(kind):
    snooping = Snooping6()

    assert lease(snooping, IP_A, kind=kind) == set()
    assert bound(snooping) == set()


def test_what_nobody_asked_for_binds_nothing():
    snooping = Snooping6()
    snooping.asked("a", 0, A, said(Kind.REQUEST), 0)

    assert snooping.answered(0, A, said(Kind.REPLY, IP_A, xid=2), 0) == set()
    assert snooping.answered(7, A, said(Kind.REPLY, IP_A), 0) == set()
    assert snooping.answered(0, B, said(Kind.REPLY, IP_A), 0) == set()
    assert snooping.answered(0, A, said(Kind.REPLY, IP_A, client=b"x"), 0) == set()
    assert snooping.answered(0, A, said(Kind.ADVERTISE, IP_A), 0) == set()
    assert lease(snooping, IP_A, client=b"", xid=9) == set()
    assert bound(snooping) == set()


def test_a_renewal_lengthens_what_it_names_and_ends_what_it_names_for_no_time():
    snooping = Snooping6()
    lease(snooping, IP_A, IP_B)

    assert lease(snooping, IP_A, xid=2, now_s=50, kind=Kind.RENEW) == set()
    assert {b.lease.ip: b.left_s(100) for b in snooping.bindings.all()} == {IP_A: 50, IP_B: 0}
    assert lease(snooping, IP_B, xid=3, now_s=60, kind=Kind.RENEW, valid_s=0) == {"a"}
    assert bound(snooping) == {("a", IP_A)}


def test_an_address_is_of_one_station():
    snooping = Snooping6()
    lease(snooping, IP_A)

    assert lease(snooping, IP_A, port="b", mac=B, xid=2) == {"a", "b"}
    assert bound(snooping) == {("b", IP_A)}


def test_who_repeats_anothers_question_gets_nothing():
    snooping = Snooping6()
    snooping.asked("a", 0, A, said(Kind.SOLICIT), 0)
    snooping.asked("thief", 0, A, said(Kind.REQUEST), 1)
    snooping.answered(0, A, said(Kind.REPLY, IP_A), 2)

    assert bound(snooping) == {("a", IP_A)}


def test_a_lease_ends_with_its_time():
    snooping = Snooping6()
    lease(snooping, IP_A)
    lease(snooping, IP_B, xid=2, valid_s=FOREVER_S)

    assert snooping.expire(99) == set()
    assert snooping.expire(100) == {"a"}
    assert [b.left_s(10**9) for b in snooping.bindings.all()] == [None]


@pytest.mark.parametrize("kind", [Kind.RELEASE, Kind.DECLINE])
def test_a_client_gives_back_what_is_his_and_nothing_else(kind):
    snooping = Snooping6()
    lease(snooping, IP_A, IP_B)
    for port, vid, mac in (("b", 0, A), ("a", 7, A), ("a", 0, B)):
        assert snooping.asked(port, vid, mac, said(kind, IP_A), 5) == set()

    assert snooping.asked("a", 0, A, said(kind, IP_A), 5) == {"a"}
    assert bound(snooping) == {("a", IP_B)}


def test_leases_and_questions_go_with_their_port():
    snooping = Snooping6()
    lease(snooping, IP_A)
    snooping.asked("a", 0, B, said(Kind.REQUEST, xid=9), 0)

    assert snooping.leave("a") == {"a"}
    assert snooping.answered(0, B, said(Kind.REPLY, IP_B, xid=9), 1) == set()


def test_a_port_has_a_limit():
    snooping = Snooping6()
    many = [bytes([0xFD, *bytes(14), n]) for n in range(GUARD_MAX + 3)]

    lease(snooping, *many)

    assert len(snooping.bindings.leases_of("a")) == GUARD_MAX
    assert snooping.bindings.refused == 3
    lease(snooping, many[0], xid=2, now_s=50)  # who is there may stay
    assert snooping.bindings.all()[0].left_s(100) == 50
