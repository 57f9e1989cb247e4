# Declarations of fdb.h and fdb_control.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.event cimport vsw_events


cdef extern from "datapath/fdb.h" nogil:
    enum:
        VSW_PORT_NONE
        VSW_FDB_WAYS
        VSW_FDB_STICKY

    ctypedef uint32_t vsw_atomic_u32

    struct vsw_fdb_bucket:
        pass

    struct vsw_fdb_row:
        pass

    struct vsw_fdb:
        vsw_fdb_bucket *bucket
        uint64_t mask
        uint64_t[2] salt
        uint32_t limit
        uint32_t ageing_s
        uint32_t *port_limit
        vsw_atomic_u32 *port_entries
        uint32_t entries
        uint64_t learned
        uint64_t moved
        uint64_t expired
        uint64_t refused
        uint64_t crowded
        vsw_events *events
        uint32_t ageing_since_s
        uint32_t hold_s

    uint64_t vsw_fdb_key(uint16_t vid, const uint8_t *mac)
    uint64_t vsw_fdb_hash(const vsw_fdb *t, uint64_t key)
    void vsw_fdb_prefetch(const vsw_fdb *t, uint64_t hash)
    uint16_t vsw_fdb_lookup(vsw_fdb *t, uint64_t key, uint64_t hash, uint32_t now_s)
    void vsw_fdb_learn(vsw_fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s,
                       vsw_events **events)


cdef extern from "datapath/fdb_control.h" nogil:
    int vsw_fdb_pin(vsw_fdb *t, uint64_t key, uint16_t port)
    int vsw_fdb_enter(vsw_fdb *t, uint64_t key, uint16_t port, unsigned flags, uint32_t now_s)
    bint vsw_fdb_delete(vsw_fdb *t, uint64_t key)
    uint32_t vsw_fdb_flush(vsw_fdb *t, uint16_t port, bint with_static)
    uint32_t vsw_fdb_flush_locked(vsw_fdb *t, uint16_t port)
    uint32_t vsw_fdb_sweep(vsw_fdb *t, uint64_t first, uint64_t n, uint32_t now_s)
    uint32_t vsw_fdb_expire(vsw_fdb *t, uint32_t now_s)
    uint32_t vsw_fdb_dump(vsw_fdb *t, vsw_fdb_row *row, uint32_t max, uint32_t now_s)
