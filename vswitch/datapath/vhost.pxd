# Declarations of guest.h, virtq.h, virtq_begin.h, mapping.h and port_vhost.h for cimport.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from vswitch.datapath.poller cimport vsw_caller
from vswitch.datapath.port cimport VSW_QUEUES_MAX, vsw_port_ops


cdef extern from "datapath/mapping.h" nogil:
    struct vsw_mapping:
        size_t size

    vsw_mapping *vsw_mapping_open(int fd, size_t size, uint64_t offset)
    void vsw_mapping_close(vsw_mapping *m)
    bint vsw_mapping_is_lost(const vsw_mapping *m)
    uint8_t *vsw_mapping_data(const vsw_mapping *m)


cdef extern from "datapath/guest.h" nogil:
    enum:
        VSW_REGIONS_MAX

    struct vsw_region:
        uint64_t gpa
        uint64_t size
        uint8_t *at

    struct vsw_guest:
        unsigned n_regions
        uint8_t *log
        uint64_t log_size
        vsw_region *region

    uint8_t *vsw_guest_at(const vsw_guest *g, uint64_t gpa, uint32_t *len)


cdef extern from "datapath/virtq.h" nogil:
    enum:
        VSW_VIRTQ_SIZE_MAX

    struct vsw_desc:
        pass

    struct vsw_virtq:
        const vsw_guest *guest
        vsw_desc *desc
        uint8_t *driver
        uint8_t *device
        uint64_t log_gpa
        uint64_t desc_gpa
        int call_fd
        uint16_t size
        uint8_t ready
        uint8_t enabled
        uint8_t packed
        uint8_t event_idx
        uint8_t indirect

    void vsw_virtq_disarm(vsw_virtq *vq)


cdef extern from "datapath/virtq_begin.h" nogil:
    void vsw_virtq_begin(vsw_virtq *vq, uint32_t base)
    uint32_t vsw_virtq_base(const vsw_virtq *vq)
    uint16_t vsw_virtq_used_index(const vsw_virtq *vq)
    uint32_t vsw_packed_recovered(vsw_virtq *vq, uint32_t base)


cdef extern from "datapath/port_vhost.h" nogil:
    enum:
        VSW_RING_NONE

    struct vsw_vhost:
        vsw_guest guest
        int notify_fd
        uint8_t header_len
        uint8_t mergeable
        uint8_t *to_ring
        vsw_virtq *ring

    void vsw_vhost_init(vsw_vhost *vh, const vsw_caller *caller, int notify_fd)
    const vsw_port_ops vsw_port_vhost_ops
