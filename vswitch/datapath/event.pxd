# Declarations of event.h for cimport.
from libc.stdint cimport uint32_t, uint64_t


cdef extern from "datapath/event.h" nogil:
    struct vsw_event:
        pass

    struct vsw_events:
        vsw_event *record
        uint64_t size
        int bell
        uint64_t lost

    uint64_t vsw_events_waiting(const vsw_events *r)
    void vsw_events_take(vsw_events *r, vsw_event *to, uint64_t n)
    bint vsw_events_rest(vsw_events *r)
