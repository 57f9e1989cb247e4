"""What the control plane sets of ports: VLANs (``datapath/vlan.h``), flags (``datapath/rules.h``);
and of the switch: what happens to reserved addresses (``datapath/admit.h``).

All functions but `vlan_counters` are *parked*: to be called only while no poller is between two
gates.
"""
from libc.stdint cimport uint16_t, uint64_t
from libc.string cimport memcpy

from vswitch._fastpath cimport Datapath
from vswitch._memory cimport Memory
from vswitch._policy cimport policy_of
from vswitch.datapath.frame cimport VSW_FRAME_MAX
from vswitch.datapath.poller cimport *
from vswitch.datapath.meter cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.rules cimport *
from vswitch.datapath.shaper cimport *

VERDICTS = {"forward": VSW_FORWARD, "drop": VSW_DISCARD, "punt": VSW_PUNT}

cdef enum:
    COUNTERS = 4  # of 64 bits, per poller and VLAN


def set_reserved(Datapath dp not None, nibbles, verdict):
    """What happens to frames for 01-80-C2-00-00-0x, x in *nibbles*; *verdict* is of VERDICTS."""
    for nibble in nibbles:
        if not 0 <= nibble < 16:
            raise ValueError(f"a reserved address ends in 0..15, not {nibble}")
        dp._reserved[<unsigned>nibble] = VERDICTS[verdict]


def set_vlans(Datapath dp not None, unsigned port, vlans):
    """Have *port* do with VLANs what *vlans*, a `PortVlans`, says; None: take no notice of them."""
    cdef vsw_port *p = dp._port_at(port)
    cdef vsw_vlans *v
    if vlans is None:
        p.vlans = NULL
        _set(dp, p, VSW_VLANS, False)
        return
    v = _vlans_of(dp, port)
    v.tpid = vlans.tag_type
    _join(v, vlans.members.bitmap(), vlans.untagged.bitmap(), vlans.translate)
    _let_enter(v, vlans)
    p.vlans = v
    _set(dp, p, VSW_VLANS, True)


cdef vsw_vlans *_vlans_of(Datapath dp, unsigned port) except NULL:
    # Once per port, and freed with it: when options change, what was counted stays.
    owner = (port, "vlans")
    cdef vsw_vlans *v
    if owner not in dp._memory:
        v = <vsw_vlans *>dp._allocate(sizeof(vsw_vlans), owner)
        v.counters = <vsw_vlan_counters *>dp._allocate(
            dp._n_pollers * VSW_VIDS * COUNTERS * sizeof(uint64_t), owner
        )
    return <vsw_vlans *>(<Memory>dp._memory[owner][0]).at


cdef int _join(vsw_vlans *v, bytes members, bytes untagged, translate) except -1:
    # VLANs have their own numbers on the wire but for the pairs of wire's and ours in *translate*.
    cdef const uint64_t *bare = <const uint64_t *><const char *>untagged
    cdef unsigned i
    memcpy(v.member, <const char *>members, VSW_VIDS // 8)
    for i in range(<unsigned>VSW_VIDS):
        v.inward[i] = v.outward[i] = <uint16_t>i
    for _, ours in translate:  # not by its own number, unless that is another's translation
        v.inward[<unsigned>ours] = VSW_VID_NONE
    for wire, ours in translate:
        v.inward[<unsigned>wire] = ours
        v.outward[<unsigned>ours] = wire
    for i in range(<unsigned>VSW_VIDS):
        if vsw_vid_in(bare, <uint16_t>i):
            v.outward[i] = VSW_UNTAGGED
    return 0


cdef int _let_enter(vsw_vlans *v, vlans) except -1:
    # Whether the port filters, and which types of frames it accepts (IEEE 802.1Q-2018 6.9.1).
    cdef unsigned i
    cdef bint accepts_tags = vlans.accept != "untagged"
    cdef bint filters = vlans.ingress_filter
    v.inward[0] = VSW_VID_NONE
    if vlans.accept != "tagged" and vlans.pvid is not None:
        v.inward[0] = vlans.pvid
    for i in range(<unsigned>VSW_VIDS):
        if (i and not accepts_tags) or (filters and not vsw_vid_in(v.member, v.inward[i])):
            v.inward[i] = VSW_VID_NONE
    return 0


cdef void _set(Datapath dp, vsw_port *p, unsigned rule, bint on):
    p.rules = <uint16_t>(p.rules | rule if on else p.rules & ~rule)
    dp._list_flood()


def set_flags(Datapath dp not None, unsigned port, flags):
    """Give *port* what *flags* says, `PortSettings`; for its backup see `set_backup`."""
    cdef vsw_port *p = dp._port_at(port)
    _set(dp, p, VSW_ISOLATED, flags.isolated)
    _set(dp, p, VSW_HAIRPIN, flags.hairpin)
    _set(dp, p, VSW_NO_FLOOD, not flags.flood)
    _set(dp, p, VSW_NO_MCAST_FLOOD, not flags.mcast_flood)
    _set(dp, p, VSW_NO_BCAST_FLOOD, not flags.bcast_flood)
    _set(dp, p, VSW_LOCKED, flags.locked)
    p.mab = flags.mab
    _set(dp, p, VSW_LIMIT_DROP, flags.limit_drop)
    _set(dp, p, VSW_NEIGH_SUPPRESS, flags.neigh_suppress)


def set_backup(Datapath dp not None, unsigned port, backup):
    """Give what is for *port*, whose link is down, to port number *backup*; None: no more."""
    cdef vsw_port *p = dp._port_at(port)
    if backup is not None:
        p.backup = dp._port_at(backup).id
    _set(dp, p, VSW_BACKUP, backup is not None)


def set_meters(Datapath dp not None, unsigned port, meters):
    """Limit what enters *port* to what *meters* says, `vswitch.meters.Meters`; see ``meter.h``.

    A bucket whose meter has changed is full, the others stay as they are.
    """
    cdef vsw_port *p = dp._port_at(port)
    cdef vsw_meters *m
    cdef unsigned i
    if meters.any and (port, "meters") not in dp._memory:
        m = <vsw_meters *>dp._allocate(sizeof(vsw_meters), (port, "meters"))
        policy_of(dp, port).meters = m
    if (port, "meters") in dp._memory:
        m = <vsw_meters *>p.policy.meters
        _set_meter(&m.police, meters.police)
        for i, meter in enumerate((meters.unknown, meters.multicast, meters.broadcast)):
            _set_meter(&m.storm[i], meter)  # by enum vsw_flood
    _set(dp, p, VSW_METERED, meters.any)


def set_shaper(Datapath dp not None, unsigned port, shape):
    """Have what leaves *port* wait for its turn, as *shape* says, a `Shape`; see ``shaper.h``.

    What waits goes on waiting, as far as there is room.  None: no more, and what waits is dropped.
    """
    cdef vsw_port *p = dp._port_at(port)
    cdef vsw_shaper *s = <vsw_shaper *>p.policy.shaper if p.policy is not NULL else NULL
    cdef vsw_shaper *heir = NULL
    owner = (port, "shaper")
    if s is not NULL and shape is not None:
        if (s.rate, s.burst, s.limit) == (shape.rate, shape.burst, shape.queue):
            return
    old = dp._memory.pop(owner, [])  # what waits lies there
    try:
        if shape is not None:
            heir = _new_shaper(dp, owner, shape)
    except MemoryError:
        dp._memory[owner] = old
        raise
    vsw_shaper_end(p, heir)
    if heir is not NULL:
        vsw_shaper_begin(heir, p, dp._poller[p.queue[0].poller])


cdef vsw_shaper *_new_shaper(Datapath dp, owner, shape) except NULL:
    cdef uint64_t size = 1
    cdef vsw_shaper *s
    policy_of(dp, owner[0])  # where it is to be found
    while size < 2 * <uint64_t>shape.queue + 4 * VSW_FRAME_MAX:
        size *= 2
    s = <vsw_shaper *>dp._allocate(sizeof(vsw_shaper), owner)
    s.rate, s.burst, s.limit = shape.rate, shape.burst, shape.queue
    dp._make_ring(owner, &s.ring, size)
    return s


cdef int _set_meter(vsw_meter *m, meter) except -1:
    if meter is None:
        vsw_meter_set(m, 0, False, 0)
    elif not 1 <= meter.rate <= VSW_METER_RATE_MAX or not 1 <= meter.burst < 1 << 32:
        raise ValueError(f"no meter has {meter}")
    else:
        vsw_meter_set(m, meter.rate, meter.in_bytes, meter.burst)
    return 0


def vlan_counters(Datapath dp not None, unsigned port):
    """What *port* counted: VLAN -> (received frames, bytes, sent frames, bytes), if there was any.

    Bytes are those on the wire, tags included.
    """
    cdef vsw_vlans *v = dp._port_at(port).vlans
    cdef const uint64_t *word
    cdef uint64_t[4] total
    cdef unsigned vid, i, poller
    counted = {}
    if v is NULL:
        return counted
    for vid in range(<unsigned>VSW_VIDS):
        total = [0, 0, 0, 0]
        for poller in range(dp._n_pollers):
            word = <const uint64_t *>v.counters + (poller * VSW_VIDS + vid) * COUNTERS
            for i in range(<unsigned>COUNTERS):
                total[i] += word[i]
        if total[0] or total[2]:
            counted[vid] = (total[0], total[1], total[2], total[3])
    return counted
