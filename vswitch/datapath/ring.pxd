# Declarations of ring.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.frame cimport vsw_frame


cdef extern from "datapath/ring.h" nogil:
    struct vsw_record:
        uint32_t len
        uint16_t port
        uint8_t *vnet
        uint8_t *data

    struct vsw_ring:
        uint8_t *memory
        uint64_t size

    bint vsw_ring_put(vsw_ring *r, uint16_t port, const vsw_frame *f)
    vsw_record *vsw_ring_peek(vsw_ring *r)
    void vsw_ring_done(vsw_ring *r)
