# Declarations of rules.h and vlan.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.fdb cimport vsw_fdb
from vswitch.datapath.frame cimport vsw_frame
from vswitch.datapath.poller cimport vsw_poller
from vswitch.datapath.port cimport vsw_egress, vsw_port


cdef extern from "datapath/vlan.h" nogil:
    enum:
        VSW_VIDS
        VSW_VID_NONE
        VSW_UNTAGGED

    struct vsw_vlan_counters:
        pass

    struct vsw_vlans:
        uint16_t tpid
        uint64_t *member
        uint16_t *inward
        uint16_t *outward
        vsw_vlan_counters *counters

    bint vsw_vid_in(const uint64_t *set, uint16_t vid)
    void vsw_vlan_leave(vsw_poller *p, const vsw_port *port, vsw_egress *out)


cdef extern from "datapath/rules.h" nogil:
    enum:
        VSW_BLOCKED
        VSW_VLANS
        VSW_ISOLATED
        VSW_NO_FLOOD
        VSW_NO_MCAST_FLOOD
        VSW_NO_BCAST_FLOOD
        VSW_BACKUP
        VSW_HAIRPIN
        VSW_LOCKED
        VSW_LIMIT_DROP
        VSW_GUARDED_IN
        VSW_METERED
        VSW_RULES_IN
        VSW_RULES_STAY
        VSW_RULES_OUT
        VSW_MIRRORED
        VSW_ASIDE
        VSW_PROBED
        VSW_NEIGH_SUPPRESS
        VSW_RULES_FLOOD

    void vsw_rules_begin(vsw_poller *p, const vsw_port *src)
    bint vsw_is_storm(const vsw_poller *p, const vsw_port *src, const vsw_frame *f)
    bint vsw_may_leave(const vsw_port *src, const vsw_port *dst, const vsw_frame *f)
    bint vsw_may_pass(const vsw_port *dst, const vsw_frame *f)
    bint vsw_may_flood(
        const vsw_port *src, const vsw_port *dst, const vsw_frame *f, unsigned bar
    )
    unsigned vsw_flood_bar(const vsw_frame *f)
    const vsw_port *vsw_port_for(const vsw_port *ports, const vsw_port *dst)
    # Of a frame just received and the port it came by: VSW_ADMITTED, why not, or VSW_PUNTED.
    ctypedef unsigned (*vsw_entrance)(
        vsw_poller *p, const vsw_fdb *t, const vsw_port *src, vsw_frame *f,
        const uint8_t *reserved,
    ) noexcept nogil
    unsigned vsw_enter(
        vsw_poller *p, const vsw_fdb *t, const vsw_port *src, vsw_frame *f,
        const uint8_t *reserved,
    )
    unsigned vsw_enter_vlan(
        vsw_poller *p, const vsw_fdb *t, const vsw_port *src, vsw_frame *f,
        const uint8_t *reserved,
    )
    # Of a frame and the port it came from: VSW_ADMITTED, or why it may not go on.
    ctypedef unsigned (*vsw_question)(
        vsw_poller *p, vsw_fdb *t, const vsw_port *src, const vsw_frame *f
    ) noexcept nogil
    unsigned vsw_may_enter(
        vsw_poller *p, vsw_fdb *t, const vsw_port *src, const vsw_frame *f
    )
    unsigned vsw_may_stay(
        vsw_poller *p, vsw_fdb *t, const vsw_port *src, const vsw_frame *f
    )
