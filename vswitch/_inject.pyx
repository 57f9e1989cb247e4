"""What the control plane says on the ports, and what of it comes back (``datapath/loop.h``).

Both functions are *parked*: to be called only while no poller is between two gates.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from vswitch._fastpath cimport Datapath
from vswitch.datapath.fdb cimport vsw_fdb_key
from vswitch.datapath.frame cimport *
from vswitch.datapath.poller cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.rules cimport *


def inject(Datapath dp not None, unsigned port, bytes frame not None, *, unsigned vid=0,
           unsigned priority=0):
    """Send *frame*, which has no tag, out of *port* as one of VLAN *vid*; whether it was taken.

    It leaves as any other: with the port's tag for that VLAN, counted, mirrored; but out of a
    blocked port as well, since protocols speak there.  *priority* is of its tag, 0..15 (PCP and
    DEI).

    Raises:
        ValueError: there is no such port, or it is no frame.
    """
    cdef vsw_port *to = dp._port_at(port)
    cdef vsw_poller *p = dp._poller[0]
    cdef vsw_frame *f = &p.burst.frame[0]  # nothing lives there between two rounds
    cdef uint8_t *at = p.burst.arena + 64  # with room for a tag in front
    cdef uint64_t before = p.counters[port].tx_frames
    if not 14 <= len(frame) <= VSW_FRAME_MAX:
        raise ValueError(f"a frame has 14..{VSW_FRAME_MAX} bytes, not {len(frame)}")
    if vid > 4094 or priority > 15:
        raise ValueError(f"vid must be in 0..4094 and priority in 0..15, not {vid} and {priority}")
    memset(f, 0, sizeof(vsw_frame))
    memset(at - VSW_VNET_LEN, 0, VSW_VNET_LEN)
    memcpy(at, <const char *>frame, len(frame))
    f.data = at
    f.len = <uint32_t>len(frame)
    f.src = vsw_fdb_key(<uint16_t>vid, at + 6)
    f.priority = <uint8_t>priority
    p.burst.n = 1
    p.burst.is_mirrored = False
    vsw_egress_add(p, to.id, f)
    dp._transmit(p)
    return p.counters[port].tx_frames > before


def set_probed(Datapath dp not None, ports, switch_id):
    """Punt probes of the switch called *switch_id*, 8 bytes, that come back to one of *ports*.

    At other ports they are frames like any; None: everywhere.
    """
    cdef unsigned i
    cdef uint8_t *its = NULL
    if switch_id is not None and len(switch_id) != VSW_PROBE_ID_LEN:
        raise ValueError(f"an id has {VSW_PROBE_ID_LEN} bytes, not {len(switch_id)}")
    numbers = {dp._port_at(port).id for port in ports} if switch_id is not None else set()
    for i in range(dp._n_pollers):
        dp._poller[i].probe_id = NULL
        dp._poller[i].probes_s = <uint64_t>-1  # no second has that number
    dp._memory.pop("probe", None)
    if switch_id is not None:
        its = <uint8_t *>dp._allocate(VSW_PROBE_ID_LEN, "probe")
        memcpy(its, <const char *>(<bytes>switch_id), VSW_PROBE_ID_LEN)
    for i in range(dp._n_pollers):
        dp._poller[i].probe_id = its
    for i in range(dp._ports_end):
        dp._port[i].rules = <uint16_t>(
            dp._port[i].rules | VSW_PROBED if i in numbers else dp._port[i].rules & ~VSW_PROBED
        )
    dp._list_flood()
