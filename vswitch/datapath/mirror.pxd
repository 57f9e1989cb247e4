# Declarations of mirror.h for cimport.
from libc.stdint cimport uint32_t, uint64_t

from vswitch.datapath.poller cimport vsw_poller
from vswitch.datapath.port cimport vsw_port


cdef extern from "datapath/mirror.h" nogil:
    enum:
        VSW_MIRRORS_MAX

    struct vsw_mirror_to:
        const vsw_port *to
        uint32_t same
        const uint64_t *vids

    struct vsw_mirror:
        uint32_t in_ "in"
        uint32_t out
        const vsw_mirror_to *all

    void vsw_mirror_in(vsw_poller *p, const vsw_port *port)
    void vsw_mirror_out(vsw_poller *p, const vsw_port *port)
