/* mapping.h - somebody else's file in our address space, which he may shrink at any moment.
 *
 * Reading behind the new end of such a file is a SIGBUS, and the end of the process.  So mappings
 * are listed, and a handler puts empty memory in the place of one that faults; who works on it goes on with
 * zeroes, and finds `lost` set when he looks (as QEMU and DPDK do not).  A SIGBUS elsewhere stays
 * what it was.
 */
#ifndef VSW_MAPPING_H
#define VSW_MAPPING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define VSW_MAPPINGS_MAX 8192u /* of all guests together */

struct vsw_mapping {
    _Atomic(uint8_t *) at; /* NULL: this place is free */
    size_t size;
    size_t mapped; /* the same in whole pages of its file */
    atomic_bool lost; /* the file was shrunk */
};

/* Map @size bytes of @fd from @offset on, shared and writable; NULL, with errno set, upon failure:
 * ENOSPC when the list is full, EINVAL when the file is shorter, EMEDIUMTYPE when its file system is
 * none of those whose pages the kernel provides by itself. */
struct vsw_mapping *vsw_mapping_open(int fd, size_t size, uint64_t offset);
void vsw_mapping_close(struct vsw_mapping *m);

static inline int vsw_mapping_is_lost(const struct vsw_mapping *m)
{
    return atomic_load_explicit(&m->lost, memory_order_acquire);
}

static inline uint8_t *vsw_mapping_data(const struct vsw_mapping *m)
{
    return atomic_load_explicit(&m->at, memory_order_relaxed);
}

#endif
