/* cut.h - a frame under construction, cut into segments that are looked at, for the C tests. */
#ifndef CUT_H
#define CUT_H

#include <assert.h>

#include "datapath/gso.h"
#include "super_frame.h"

enum { FIN = 0x01, PSH = 0x08, ACK = 0x10, URG = 0x20, CWR = 0x80 };

static struct super s;
static struct vsw_frame super;   /* s, in memory of its own */
static struct vsw_frame seg[64]; /* what cut() made of it */
static unsigned n_seg;
static _Alignas(16) uint8_t buf[1 << 18];

/* Cut s in one call; n_seg segments. */
static inline void cut(void)
{
    struct vsw_gso g;

    super = exact_frame(&s, s.len);
    assert(vsw_vnet_check(&super) == 0);
    assert(vsw_gso_begin(&g, &super) == 0);
    memset(buf, 0xa5, sizeof(buf));
    n_seg = vsw_gso_next(&g, buf, sizeof(buf), seg, 64);
    assert(vsw_gso_next(&g, buf, sizeof(buf), seg + n_seg, 64 - n_seg) == 0);
    release_frame(&super);
}

static inline int begin(void)
{
    struct vsw_gso g;
    struct vsw_frame f = exact_frame(&s, s.len);
    int rc = vsw_gso_begin(&g, &f);

    release_frame(&f);
    return rc;
}

static inline const uint8_t *l3_of(unsigned i)
{
    return seg[i].data + s.l3;
}

static inline const uint8_t *l4_of(unsigned i)
{
    return seg[i].data + s.l4;
}

/* Lengths, IP checksum and L4 checksum of segment i are right. */
static inline void assert_valid(unsigned i, uint8_t protocol)
{
    const uint8_t *ip = l3_of(i);
    uint32_t l4_len = seg[i].len - s.l4;

    if (ip[0] >> 4 == 4) {
        assert(vsw_be16(ip + 2) == seg[i].len - s.l3);
        assert(vsw_csum_fold(vsw_csum(ip, s.l4 - s.l3)) == 0xffff);
    } else {
        assert(vsw_be16(ip + 4) == seg[i].len - s.l3 - 40);
    }
    if (protocol == 17)
        assert(vsw_be16(l4_of(i) + 4) == l4_len);
    uint64_t sum = pseudo_sum(ip, protocol, l4_len) + vsw_csum(l4_of(i), l4_len);
    assert(vsw_csum_fold(sum) == 0xffff);
}

/* All segments are valid, no longer than allowed, and carry the payload of s in order. */
static inline void assert_all_valid(uint8_t protocol, uint32_t gso_size)
{
    uint32_t done = s.payload;

    for (unsigned i = 0; i < n_seg; i++) {
        uint32_t carries = seg[i].len - s.payload;

        assert_valid(i, protocol);
        assert(i + 1 < n_seg ? carries == gso_size : carries <= gso_size);
        assert(memcmp(seg[i].data + s.payload, super_at(&s, done), carries) == 0);
        assert(memcmp(seg[i].data, super_at(&s, 0), s.l3) == 0);
        done += carries;
    }
    assert(done == s.len);
}

#endif
