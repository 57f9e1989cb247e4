"""DHCPv6 messages: what scapy says is understood, and any bytes are judged."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_RelayForward,
    DHCP6_RelayReply,
    DHCP6_Reply,
    DHCP6_Request,
    DHCP6_Solicit,
    DHCP6OptClientId,
    DHCP6OptIA_NA,
    DHCP6OptIA_PD,
    DHCP6OptIA_TA,
    DHCP6OptIAAddress,
    DHCP6OptServerId,
    DHCP6OptStatusCode,
)
from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from vswitch.errors import WireError
from vswitch.wire import dhcp6
from vswitch.wire.dhcp6 import ADDRESSES_MAX, Address, Kind, Message

DUID = bytes(DUID_LL(lladdr="02:00:00:00:00:01"))
WHO = DHCP6OptClientId(duid=DUID_LL(lladdr="02:00:00:00:00:01"))
IP, OTHER = (ip_address(text).packed for text in ("fd00::5", "fd00::6"))


def lent(ip="fd00::5", valid_s=3600, preferred_s=600, options=()):
    return DHCP6OptIAAddress(addr=ip, validlft=valid_s, preflft=preferred_s, iaaddropts=[*options])


def na(*options):
    return DHCP6OptIA_NA(iaid=1, ianaopts=[*options])


def failed(code=2):
    return DHCP6OptStatusCode(statuscode=code)


def reply(*options, xid=7):
    made = DHCP6_Reply(trid=xid) / DHCP6OptServerId(duid=DUID_LL()) / WHO
    for option in options:
        made /= option
    return made


def addresses(*options):
    return dhcp6.decode(bytes(reply(*options))).addresses


def frame(message, *, sport=547, dport=546):
    return bytes(Ether() / IPv6() / UDP(sport=sport, dport=dport) / message)


def test_a_reply_says_who_may_use_what_and_for_how_long():
    message = dhcp6.decode(bytes(reply(na(lent()), xid=0xABCDEF)))

    assert message == Message(Kind.REPLY, 0xABCDEF, DUID, (Address(IP, 3600),))


def test_all_addresses_of_a_client_are_told():
    ta = DHCP6OptIA_TA(iaid=2, iataopts=[lent("fd00::6", 60, 60)])

    assert addresses(na(lent(), lent("fd00::7")), ta) == (
        Address(IP, 3600),
        Address(ip_address("fd00::7").packed, 3600),
        Address(OTHER, 60),
    )


@pytest.mark.parametrize(
    "options",
    [
        (),
        (na(),),
        (failed(), na(lent())),
        (na(lent(), failed()),),
        (na(lent(options=[failed()])),),
        (na(lent(preferred_s=601, valid_s=600)),),
        (DHCP6OptIA_PD(iaid=1),),
        (lent(),),  # of no identity association
    ],
)
def test_what_is_not_lent_is_left_out(options):
    assert addresses(*options) == ()


def test_success_may_be_said():
    assert len(addresses(failed(0), na(lent(options=[failed(0)]), failed(0)))) == 1


@pytest.mark.parametrize("message", [DHCP6_RelayForward(), DHCP6_RelayReply()])
def test_what_relays_say_is_left_alone(message):
    with pytest.raises(WireError, match=r"no DHCPv6 message of clients and servers: type 1[23]"):
        dhcp6.decode(bytes(message / reply(na(lent()))))


@pytest.mark.parametrize("cut", range(1, 40))
def test_what_is_cut_off_is_no_message(cut):
    whole = bytes(reply(na(lent())))

    with pytest.raises(WireError):
        dhcp6.decode(whole[:-cut])


def test_an_inner_option_ends_within_the_outer_one():
    data = bytearray(bytes(reply(na(lent()))))
    at = data.index(b"\x00\x05\x00\x18")  # the address's length
    data[at + 3] += 1

    with pytest.raises(WireError, match="option 5 is cut off"):
        dhcp6.decode(bytes(data))


def test_a_message_has_a_limit():
    assert len(addresses(na(*[lent()] * ADDRESSES_MAX))) == ADDRESSES_MAX
    with pytest.raises(WireError, match="64 addresses"):
        addresses(na(*[lent()] * (ADDRESSES_MAX + 1)))
    with pytest.raises(WireError, match="a DUID has 130"):
        dhcp6.decode(b"\1\0\0\7\0\1\0\x83" + bytes(131))


def test_a_message_is_found_in_its_frame():
    assert dhcp6.in_frame(frame(reply(na(lent())))).addresses == (Address(IP, 3600),)
    asked = dhcp6.in_frame(frame(DHCP6_Solicit(trid=1) / WHO, sport=546, dport=547) + bytes(9))
    assert asked == Message(Kind.SOLICIT, 1, DUID)


@pytest.mark.parametrize(
    "strange",
    [
        frame(reply(), dport=53),
        frame(Raw(b"")),
        frame(reply())[:-1],
        bytes(Ether() / IPv6() / IPv6ExtHdrDestOpt() / UDP(dport=546) / reply()),
        bytes(Ether() / IPv6(nh=6) / Raw(bytes(20))),
        b"",
    ],
)
def test_what_else_a_frame_carries_is_no_message(strange):
    with pytest.raises(WireError):
        dhcp6.in_frame(strange)


def test_the_length_of_the_packet_counts_and_not_the_padding():
    whole = bytearray(frame(reply(na(lent()))))
    whole[18:20] = (int.from_bytes(whole[18:20]) - 8).to_bytes(2)

    with pytest.raises(WireError, match="does not fit"):
        dhcp6.in_frame(bytes(whole))


pieces = st.lists(
    st.sampled_from([bytes(o) for o in (WHO, na(lent()), na(lent(), failed()), failed(0), lent())])
    | st.binary(max_size=30),
    max_size=4,
).map(b"".join)
damaged = st.builds(
    lambda data, at, by: data[: at % len(data)] + by + data[at % len(data) + len(by) :],
    st.builds(lambda kind, rest: bytes([kind]) + b"\0\0\7" + rest, st.integers(1, 13), pieces),
    st.integers(0, 400),
    st.binary(max_size=3),
)


@given(damaged | st.binary(max_size=200))
def test_any_bytes_are_a_message_or_not(data):
    with suppress(WireError):
        message = dhcp6.decode(data)
        assert len(message.addresses) <= ADDRESSES_MAX
        assert all(len(a.ip) == 16 and 0 <= a.valid_s < 2**32 for a in message.addresses)
        assert len(message.client) <= 130


@given(damaged.map(lambda data: frame(Raw(data))) | st.binary(max_size=120), st.integers(0, 200))
def test_any_frame_is_judged(data, cut):
    with suppress(WireError):
        dhcp6.in_frame(data[: len(data) - cut])


def test_a_question_names_its_client():
    message = dhcp6.decode(bytes(DHCP6_Request(trid=5) / WHO / na(lent())))

    assert (message.kind, message.client) == (Kind.REQUEST, DUID)
