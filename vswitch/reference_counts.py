"""What a port of the reference switch counts, and the reasons why it does not forward a frame."""

from __future__ import annotations

# Why a frame is not forwarded: counted where it came in, or where a copy of it was to leave.
RX_DROPS = (
    "runt",  # shorter than an Ethernet header, or longer than any frame
    "bad_source",  # the source is a group address or zero
    "bad_offload",  # (never here: its virtio-net header does not fit; see _slowpath.py)
    "reserved",  # sent to a link-local address
    "vlan",  # not of a VLAN of the port it came from, or without a tag there
    "guarded",  # its source may not enter there
    "policed",  # beyond the rate that may enter there
    "blocked",  # the port it came from is not forwarding
    "hairpin",  # its station is behind the port it came from
    "no_egress",  # no other port may send it
    "suppressed",  # a question about a neighbour, answered or for nobody
    "punt_full",  # the control plane did not keep up
    "rx_full",  # (never here: the kernel had no room for it before we read)
)
TX_DROPS = ("tx_full", "tx_error", "too_long", "tx_offload")

# What a port counts. Always rx_frames = forwarded + punted + the sum of RX_DROPS.
COUNTERS = (
    "rx_frames",
    "rx_bytes",
    "tx_frames",
    "tx_bytes",
    "forwarded",  # received frames handed to at least one other port
    "punted",  # received frames given to the control plane
    "flooded_unicast",
    "flooded_multicast",
    "flooded_broadcast",
    *RX_DROPS,
    *TX_DROPS,
)
