# Declarations of guard.h for cimport.
from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef extern from "datapath/guard.h" nogil:
    enum:
        VSW_GUARD_MAX
        VSW_GUARD_COPY
        VSW_GUARD_MACS
        VSW_GUARD_IP4
        VSW_GUARD_IP6
        VSW_GUARD_SERVERS
        VSW_GUARD_ROUTERS
        VSW_GUARD_COPIES
        VSW_GUARD_HOLDS
        VSW_GUARD_LINK_LOCAL

    struct vsw_guard_item:
        uint64_t high
        uint64_t low

    struct vsw_guard_set:
        uint32_t n
        vsw_guard_item *item

    struct vsw_guard:
        uint8_t checks
        vsw_guard_set macs
        vsw_guard_set ip4
        vsw_guard_set ip6
        vsw_guard_set leases
        vsw_guard_set leases6
        uint64_t *owners6
        uint64_t missed
