# Declarations of neigh.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "datapath/neigh.h" nogil:
    enum:
        VSW_NEIGH_LIMIT
        VSW_NEIGH_PLACES

    struct vsw_neigh:
        uint8_t[6] mac
        uint8_t router

    struct vsw_neighs:
        vsw_neigh *place
        uint64_t[2] salt
        uint32_t entries

    vsw_neigh vsw_neigh_made(uint16_t vid, const uint8_t *ip, uint8_t ip_len)
    int vsw_neigh_set(vsw_neighs *t, const vsw_neigh *n)
    bint vsw_neigh_unset(vsw_neighs *t, const vsw_neigh *n)
