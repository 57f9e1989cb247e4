"""DHCP messages: what is encoded is read back, scapy's are understood, any bytes are judged."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from vswitch.errors import WireError
from vswitch.wire import dhcp
from vswitch.wire.dhcp import Kind, Message

MAC, IP4 = bytes([2, 0, 0, 0, 0, 1]), bytes([10, 0, 0, 5])
ips = st.binary(min_size=4, max_size=4)
messages = st.builds(
    Message,
    op=st.sampled_from([dhcp.REQUEST, dhcp.REPLY]),
    xid=st.integers(0, 2**32 - 1),
    mac=st.binary(min_size=6, max_size=6),
    client_ip=ips,
    your_ip=ips,
    relay_ip=ips,
    options=st.dictionaries(
        st.integers(1, 254).filter(lambda code: code != 52), st.binary(max_size=600), max_size=5
    ).map(lambda options: tuple(options.items())),
)


def ack(**options):
    said = [("message-type", "ack"), ("lease_time", 3600), *options.items(), "end"]
    return BOOTP(op=2, xid=7, chaddr=MAC, yiaddr="10.0.0.5") / DHCP(options=said)


def frame(message, *, sport=67, dport=68):
    return bytes(Ether(src="02:00:00:00:00:09") / IP() / UDP(sport=sport, dport=dport) / message)


@given(messages)
def test_a_message_is_read_back(message):
    assert dhcp.decode(dhcp.encode(message)) == message


@given(st.binary(max_size=400) | st.binary(max_size=80).map(lambda b: bytes(dhcp.encode(
    Message(dhcp.REPLY, 1, MAC)))[:-1] + b))  # fmt: skip
def test_any_bytes_are_a_message_or_not(data):
    try:
        message = dhcp.decode(data)
    except WireError:
        return
    assert message.kind is None or message.kind in Kind
    assert message.lease_s is None or message.lease_s >= 0


@given(st.binary(max_size=80))
def test_any_frame_carries_a_message_or_not(rest):
    for whole in (rest, frame(Raw(rest)), frame(Raw(bytes(ack()) + rest))):
        with suppress(WireError):
            assert len(dhcp.in_frame(whole).mac) == 6


def test_what_scapy_says_is_understood():
    message = dhcp.in_frame(frame(ack()))

    assert (message.op, message.xid, message.mac) == (dhcp.REPLY, 7, MAC)
    assert (message.kind, message.your_ip, message.lease_s) == (Kind.ACK, IP4, 3600)


def test_a_decline_says_which_address():
    said = [("message-type", "decline"), ("requested_addr", "10.0.0.5"), "end"]
    message = dhcp.in_frame(
        frame(BOOTP(chaddr=MAC) / DHCP(options=said), sport=68, dport=67) + bytes(9)
    )

    assert (message.kind, message.requested_ip) == (Kind.DECLINE, IP4)


def test_options_in_other_fields_are_found():
    head = BOOTP(op=2, xid=7, chaddr=MAC, file=b"\x33\x04\0\0\0\x3c\xff", sname=b"\x35\x01\x05\xff")
    message = dhcp.decode(bytes(head / DHCP(options=[("dhcp-option-overload", 3), "end"])))

    assert (message.kind, message.lease_s) == (Kind.ACK, 60)


def test_an_option_in_parts_is_one():
    message = dhcp.decode(dhcp.encode(Message(1, 1, MAC))[:-1] + b"\x0c\2ab\0\x0c\1c\xff\x0c\1d")

    assert message.option(12) == b"abc"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:200],
        lambda whole: whole.replace(b"\x63\x82\x53\x63", b"\x63\x82\x53\x64"),
        lambda whole: whole[:1] + b"\6" + whole[2:],
        lambda whole: whole[:2] + b"\7" + whole[3:],
        lambda whole: b"\3" + whole[1:],
        lambda whole: whole[:-1] + b"\x0c\5abc",
        lambda whole: whole[:-1] + b"\x0c",
        lambda whole: whole[:-1] + b"\x34\1\1\xff",  # and the file's name is no options
    ],
    ids=["short", "cookie", "type", "length", "op", "cut", "no length", "overload"],
)
def test_what_is_no_message_is_refused(damage):
    whole = bytes(BOOTP(chaddr=MAC, file=b"\x0c\xc8") / DHCP(options=["end"]))
    assert dhcp.decode(whole)

    with pytest.raises(WireError):
        dhcp.decode(damage(whole))


@pytest.mark.parametrize(
    "carrier",
    [
        IP(flags="MF") / UDP(sport=67, dport=68) / ack(),
        IP(frag=5) / UDP(sport=67, dport=68) / ack(),
        IP() / UDP(sport=67, dport=69) / ack(),
        IP() / UDP(sport=67, dport=68, len=2000) / ack(),
        IP(len=100) / UDP(sport=67, dport=68) / ack(),
        IP(proto=6) / UDP(sport=67, dport=68) / ack(),
    ],
    ids=["first fragment", "fragment", "port", "too long", "cut off", "tcp"],
)
def test_a_frame_without_a_whole_message_is_refused(carrier):
    with pytest.raises(WireError):
        dhcp.in_frame(bytes(Ether() / carrier))
