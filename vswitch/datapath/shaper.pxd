# Declarations of shaper.h for cimport.
from libc.stdint cimport uint64_t

from vswitch.datapath.poller cimport vsw_poller
from vswitch.datapath.port cimport vsw_port
from vswitch.datapath.ring cimport vsw_ring


cdef extern from "datapath/shaper.h" nogil:
    struct vsw_shaper:
        uint64_t rate
        uint64_t burst
        uint64_t limit
        vsw_ring ring

    void vsw_shapers_send(vsw_poller *p)
    void vsw_shaper_begin(vsw_shaper *s, vsw_port *port, vsw_poller *owner)
    void vsw_shaper_end(vsw_port *port, vsw_shaper *heir)
