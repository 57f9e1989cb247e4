# Declarations of frame.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "datapath/frame.h" nogil:
    enum:
        VSW_BURST
        VSW_VNET_LEN
        VSW_FRAME_MAX
        VSW_PIECES

    struct vsw_frame:
        const uint8_t *data
        uint32_t len
        uint8_t tagged
        uint8_t priority
        uint8_t needs
        uint8_t verdict
        uint64_t src
        uint64_t dst
        uint64_t src_hash
        uint64_t dst_hash

    bint vsw_mac_is_group(const uint8_t *mac)
    bint vsw_mac_is_broadcast(const uint8_t *mac)
