# Declarations of meter.h for cimport.
from libc.stdint cimport uint64_t


cdef extern from "datapath/meter.h" nogil:
    const uint64_t VSW_METER_RATE_MAX

    struct vsw_meter:
        pass

    struct vsw_meters:
        vsw_meter police
        vsw_meter *storm

    void vsw_meter_set(vsw_meter *m, uint64_t rate, bint in_bytes, uint64_t burst)
