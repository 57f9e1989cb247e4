"""Frames and addresses that make stations meet, move and collide: few of each kind."""

from __future__ import annotations

from hypothesis import strategies as st

STATIONS = [bytes([2, 0, 0, 0, 0, n]) for n in range(1, 6)]
BROADCAST = b"\xff" * 6
GROUPS = [bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")]
RESERVED = [bytes.fromhex("0180c20000") + bytes([n]) for n in range(16)]
# Look like reserved ones and are not (GARP, MVRP, all bridges), or nearly.
ALMOST_RESERVED = [
    bytes.fromhex(mac) for mac in ("0180c2000010", "0180c2000020", "0180c200002f", "0180c2000100")
]
BAD_SOURCES = [bytes(6), BROADCAST, *GROUPS]
TAG = bytes.fromhex("81000007")
# Of another VLAN, with a priority, of none, of the one that does not exist, and of a provider.
OTHER_TAGS = [
    bytes.fromhex(t) for t in ("81000008", "8100a007", "8100e000", "81000fff", "88a80007")
]
LONGEST = 65_568

stations = st.sampled_from(STATIONS)
destinations = st.one_of(
    stations,
    stations,
    st.sampled_from([BROADCAST, *GROUPS]),
    st.sampled_from([*RESERVED, *ALMOST_RESERVED]),
)
sources = st.one_of(*[stations] * 7, st.sampled_from(BAD_SOURCES))


@st.composite
def frames(draw: st.DrawFn, lengths: st.SearchStrategy[int]) -> bytes:
    """Frames of 14 bytes or more; the last bytes tell one from another."""
    tag = draw(st.sampled_from([b"", b"", b"", TAG, TAG, TAG + TAG, *OTHER_TAGS]))
    head = draw(destinations) + draw(sources) + tag + b"\x88\xb5"
    mark = draw(st.integers(0, 2**32 - 1)).to_bytes(4, "big")
    room = max(draw(lengths) - len(head), 0)
    return head + mark.rjust(room, b".")[:room]
