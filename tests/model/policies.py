"""What may be set of a port, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.model.traffic import STATIONS
from vswitch.guarding import PortGuard
from vswitch.meters import Meter, Meters, Shape
from vswitch.portsettings import PortSettings
from vswitch.vlans import ACCEPT, PLAIN, PortVlans, VidSet

vids = st.sampled_from([0, 7, 8, 4094])
# With VLANs 0 is none: on a wire it says that there is only a priority (IEEE 802.1Q-2018 9.6).
real_vids = st.sampled_from([7, 8, 4094])
vid_sets = st.sets(real_vids).map(VidSet.of)
any_vids = st.sets(vids).map(VidSet.of)
port_vlans = st.builds(
    PortVlans,
    pvid=real_vids | st.none(),
    members=vid_sets,
    untagged=vid_sets,
    accept=st.sampled_from(ACCEPT),
    ingress_filter=st.booleans(),
    tag_type=st.sampled_from([0x8100, 0x8100, 0x8100, 0x88A8]),
    translate=st.sampled_from([(), (), ((7, 8),), ((8, 4094), (7, 8))]),
) | st.just(PLAIN)
port_flags = st.builds(
    PortSettings,
    **{
        name: st.booleans()
        for name in ("isolated", "hairpin", "flood", "mcast_flood", "bcast_flood", "neigh_suppress")
    },
    locked=st.sampled_from([False, False, True]),
    mab=st.booleans(),
    limit_drop=st.booleans(),
)
port_guards = st.builds(  # of addresses and protocols: test_guard.py
    PortGuard,
    macs=st.sampled_from([frozenset(), frozenset(), frozenset(STATIONS[:3])]),
    check_ip4=st.sampled_from([False, False, True]),
    routers=st.sampled_from([True, True, False]),
    holds=st.booleans(),
)
# Some let a few of the frames below pass; the slowest are still in debt when ageing is over.
some_meters = st.none() | st.builds(
    Meter,
    rate=st.sampled_from([1, 7, 1000, 2_000_001, 400_000_000_000]),
    in_bytes=st.booleans(),
    burst=st.sampled_from([1, 5, 64, 9000]),
)
port_meters = st.builds(
    Meters, police=some_meters, broadcast=some_meters, multicast=some_meters, unknown=some_meters
)
port_shapes = st.none() | st.builds(
    Shape,
    rate=st.sampled_from([8, 800, 10_000, 2_000_001, 400_000_000_000]),
    burst=st.sampled_from([1, 60, 200, 9000]),
    queue=st.sampled_from([60, 1000, 65_568]),
)
