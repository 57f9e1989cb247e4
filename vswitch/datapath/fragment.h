/* fragment.h - a UDP datagram too long for the wire, cut into IP fragments.
 *
 * Theory of operation
 *   What lies behind the headers that routers read is cut (RFC 791 3.2, RFC 8200 4.5): the UDP
 *   header is in the first fragment only, and its checksum is that of the whole datagram.  So that
 *   is summed first.  In front of each piece stands a copy of the headers with these changed:
 *
 *     IPv4  total length, more fragments and offset, checksum.  The identification is the
 *           sender's: all fragments share it.  Options are repeated, also those that RFC 791 wants
 *           in the first fragment only, as Linux does (inet_gso_segment()): a receiver takes the
 *           first one's
 *     IPv6  payload length, and a fragment header behind the routing or hop-by-hop header
 *
 *   The sender of an IPv6 datagram has told nobody an identification.  Ours is a random number, which
 *   is one of the ways RFC 7739 recommends (5.3) and Linux's: it needs no state, pollers need not
 *   agree, it cannot be guessed from the last one, and it is as far from the numbers that the sender
 *   itself uses for what it fragments.
 *
 *   A datagram that fits one frame stays one: nothing but its checksum is filled in.
 */
#ifndef VSW_FRAGMENT_H
#define VSW_FRAGMENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "datapath/csum.h"
#include "datapath/frame.h"
#include "datapath/vnet.h"

/* From specifications. */
enum {
    VSW_FRAGMENT_LEN = 8,       /* of IPv6's fragment header (RFC 8200 4.5) */
    VSW_FRAGMENT_HEADER = 44,   /* its number */
    VSW_FRAGMENT_MORE4 = 0x2000, /* RFC 791 3.1 */
    VSW_FRAGMENT_MORE6 = 1,
};

/* What all fragments of a datagram have in common. */
struct vsw_fragment {
    uint32_t id;   /* IPv6 */
    uint16_t csum; /* UDP's, as it lies in memory */
    bool is_whole; /* there is one only, which is none */
};

/* Begin with the datagram of @len bytes at @data.  0, or -EAGAIN when there is no random number. */
static inline int vsw_fragment_begin(struct vsw_fragment *g, const uint8_t *data, uint32_t len,
                                     const struct vsw_vnet_layout *at, bool is_whole)
{
    uint16_t csum = (uint16_t)~vsw_csum_fold(vsw_csum(data + at->l4, len - at->l4));

    *g = (struct vsw_fragment){.csum = csum ? csum : 0xffff, .is_whole = is_whole};
    if (!at->is_v6 || is_whole)
        return 0;
    return getrandom(&g->id, sizeof(g->id), GRND_NONBLOCK) == sizeof(g->id) ? 0 : -EAGAIN;
}

/* How many bytes stand in front of the piece of a fragment. */
static inline uint32_t vsw_fragment_front(const struct vsw_fragment *g,
                                          const struct vsw_vnet_layout *at)
{
    return at->fragmentable + (at->is_v6 && !g->is_whole ? VSW_FRAGMENT_LEN : 0);
}

static inline void vsw_fragment_put_ipv4(const struct vsw_fragment *g,
                                         const struct vsw_vnet_layout *at, uint8_t *ip,
                                         uint32_t total_len, uint32_t offset, bool is_last)
{
    vsw_put_be16(ip + 2, (uint16_t)total_len);
    if (!g->is_whole)
        vsw_put_be16(ip + 6, (uint16_t)(offset / 8 | (is_last ? 0 : VSW_FRAGMENT_MORE4)));
    vsw_csum_put(ip + 10, 0);
    vsw_csum_put(ip + 10, (uint16_t)~vsw_csum_fold(vsw_csum(ip, at->l4 - at->l3)));
}

/* @data is the copy, whose headers are still those of the datagram. */
static inline void vsw_fragment_put_ipv6(const struct vsw_fragment *g,
                                         const struct vsw_vnet_layout *at, uint8_t *data,
                                         uint32_t len, uint32_t offset, bool is_last)
{
    uint8_t *header = data + at->fragmentable;

    vsw_put_be16(data + at->l3 + 4, (uint16_t)(len - at->l3 - 40));
    if (g->is_whole)
        return;
    header[0] = data[at->next_at];
    header[1] = 0;
    vsw_put_be16(header + 2, (uint16_t)(offset | (is_last ? 0 : VSW_FRAGMENT_MORE6)));
    memcpy(header + 4, &g->id, sizeof(g->id));
    data[at->next_at] = VSW_FRAGMENT_HEADER;
}

/* Write the fragment with the @carries bytes at @offset, a multiple of 8, to @data; the datagram's
 * frame is at @from. */
static inline void vsw_fragment_put(const struct vsw_fragment *g, const struct vsw_vnet_layout *at,
                                    const uint8_t *from, uint8_t *data, uint32_t offset,
                                    uint32_t carries, bool is_last)
{
    uint32_t front = vsw_fragment_front(g, at), len = front + carries;

    memcpy(data, from, at->fragmentable);
    memcpy(data + front, from + at->fragmentable + offset, carries);
    if (at->is_v6)
        vsw_fragment_put_ipv6(g, at, data, len, offset, is_last);
    else
        vsw_fragment_put_ipv4(g, at, data + at->l3, len - at->l3, offset, is_last);
    if (offset == 0) /* vnet.h: the first one has all headers */
        vsw_csum_put(data + front + at->l4 - at->fragmentable + VSW_VNET_UDP_CSUM, g->csum);
}

#endif
