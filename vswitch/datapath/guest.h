/* guest.h - the memory of a guest, as far as it is mapped into this process.
 *
 * A guest speaks in addresses of its own ("guest physical"); its memory comes as regions, each a
 * file mapped here.  Every address and length it gives is translated here, before use, and what does
 * not lie in a region is refused.  The guest may write all of it at any moment: who needs a value
 * twice copies it first.
 *
 * While it migrates, its hypervisor wants to know which pages we write: a bit map, one bit for
 * each 4 KiB page of guest physical address (vhost-user specification, "Migration").
 */
#ifndef VSW_GUEST_H
#define VSW_GUEST_H

#include <stddef.h>
#include <stdint.h>

#define VSW_REGIONS_MAX 64u    /* chosen by us: what we say to VHOST_USER_GET_MAX_MEM_SLOTS */
#define VSW_LOG_PAGE_SHIFT 12u /* VHOST_LOG_PAGE: 4 KiB */

struct vsw_region {
    uint64_t gpa;  /* first guest physical address */
    uint64_t size; /* bytes; gpa + size does not wrap */
    uint8_t *at;   /* where it is mapped */
};

/* Written by the control plane while the pollers are parked. */
struct vsw_guest {
    unsigned n_regions;
    uint8_t *log; /* one bit per page; NULL: nobody asks */
    uint64_t log_size; /* bytes */
    struct vsw_region region[VSW_REGIONS_MAX];
};

/* Where guest physical address @gpa is mapped; shortens @len to what follows there in one piece,
 * at least one byte.  NULL: nowhere. */
static inline uint8_t *vsw_guest_at(const struct vsw_guest *g, uint64_t gpa, uint32_t *len)
{
    for (unsigned i = 0; i < g->n_regions; i++) {
        const struct vsw_region *r = &g->region[i];
        uint64_t offset = gpa - r->gpa; /* huge when gpa lies before */

        if (offset < r->size) {
            if (*len > r->size - offset)
                *len = (uint32_t)(r->size - offset);
            return r->at + offset;
        }
    }
    return NULL;
}

/* Say that @len bytes (1 at least) from @gpa on were written, if somebody asks. */
static inline void vsw_guest_dirty(const struct vsw_guest *g, uint64_t gpa, uint32_t len)
{
    if (__builtin_expect(g->log == NULL, 1))
        return;
    for (uint64_t page = gpa >> VSW_LOG_PAGE_SHIFT;
         page <= (gpa + len - 1) >> VSW_LOG_PAGE_SHIFT && page / 8 < g->log_size; page++)
        __atomic_fetch_or(&g->log[page / 8], (uint8_t)(1u << (page % 8)), __ATOMIC_RELEASE);
}

#endif
