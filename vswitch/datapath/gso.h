/* gso.h - finish in software what a sender left to the device: cut and sum.
 *
 * Theory of operation
 *   A frame with VSW_TSO4, VSW_TSO6 or VSW_USO carries one set of headers and many segments'
 *   worth of payload; one with VSW_UFO is a datagram to be fragmented, see fragment.h.  Each segment gets a copy of the headers with these fields replaced:
 *
 *     IPv4  total length, identification (first + n, with DF set or not, as Linux does), checksum
 *     IPv6  payload length
 *     TCP   sequence number; FIN and PSH on the last segment only; CWR on the first only
 *           (RFC 3168 6.1.2: it answers one congestion signal); checksum
 *     UDP   length, checksum
 *
 *   Everything in front of IP (tags) and all options are repeated as they are.
 *
 *   What never changes is summed once, in vsw_gso_begin(); per segment only the changed words
 *   and the payload are added, the latter while it is copied.  The pseudo header's sum is taken
 *   from the checksum field, where the sender put it, minus the super-frame's length: behind an
 *   IPv6 routing header or an IPv4 source route only the sender knows the address that counts.
 *
 * Records: segments are written one behind the other, each as
 *
 *     | 6 unused | virtio-net header, zeroes | segment | 0..15 unused |
 *     16 k                                   16 k + 16                16 m
 *
 *   with offsets counted from the caller's buffer, so that a segment is aligned to 16 if that is.
 *   The caller sends what one call wrote before it asks for more, so one buffer of
 *   VSW_GSO_BUF_SIZE serves any frame.
 *
 * Ownership: the super-frame is read until the last segment is made, and never written.  Segments
 * belong to the caller's buffer.
 */
#ifndef VSW_GSO_H
#define VSW_GSO_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "datapath/csum.h"
#include "datapath/fragment.h"
#include "datapath/frame.h"
#include "datapath/vnet.h"

/* Chosen by us. */

/* From the start of a record to its first frame byte: the virtio-net header, aligned. */
#define VSW_GSO_HEADROOM 16u
/* Room for any one record, and so what makes every vsw_gso_next() progress. */
#define VSW_GSO_BUF_SIZE (VSW_GSO_HEADROOM + VSW_FRAME_MAX)
/* The most segments one frame may become.  Linux sends no TCP segments of fewer than 48 bytes
 * (TCP_MIN_SND_MSS, chosen after CVE-2019-11479), nor more than 128 UDP datagrams at once.
 * Without a bound, gso_size 1 would let a sender have one frame turned into 65,000. */
#define VSW_GSO_SEGMENTS_MAX (65535u / 48u)

_Static_assert(VSW_GSO_HEADROOM >= VSW_VNET_LEN, "the virtio-net header lies in the headroom");
_Static_assert(VSW_GSO_BUF_SIZE % 16 == 0, "the longest record needs no padding");

/* A super-frame being cut.  Private to the functions below. */
struct vsw_gso {
    const uint8_t *data; /* the super-frame */
    uint32_t len;
    uint32_t next;     /* offset of the first byte not yet in a segment */
    uint32_t front;    /* bytes in front of what each segment carries */
    uint32_t segments; /* still to be made */
    uint32_t seq;      /* TCP: of the next segment */
    uint16_t gso_size;
    uint16_t id;       /* IPv4: of the next segment */
    bool is_ufo;
    struct vsw_fragment fragment;
    struct vsw_vnet_layout at;
    uint64_t l3_sum; /* IPv4 header but total length, identification and checksum */
    uint64_t l4_sum; /* pseudo and L4 header but lengths, sequence number, word of TCP flags */
};

/* Sum what all IPv4 headers have in common, and find the first identification. */
static inline void vsw_gso_begin_ipv4(struct vsw_gso *g)
{
    const uint8_t *ip = g->data + g->at.l3;

    g->id = vsw_be16(ip + 4);
    g->l3_sum = vsw_csum(ip, g->at.l4 - g->at.l3) + vsw_csum_minus(vsw_csum_get(ip + 2)) +
                vsw_csum_minus(vsw_csum_get(ip + 4)) + vsw_csum_minus(vsw_csum_get(ip + 10));
}

/* Sum what all L4 headers have in common.  The checksum field is left in: it is the sum of the
 * pseudo header, and its length is taken out.  For UDP that is what the header says, for TCP
 * what there is: with frames that lie about it, too, segments are then the ones Linux makes. */
static inline void vsw_gso_begin_l4(struct vsw_gso *g)
{
    const uint8_t *l4 = g->data + g->at.l4;

    g->l4_sum = vsw_csum(l4, g->at.payload - g->at.l4);
    if (g->at.is_udp) {
        g->l4_sum += 2ull * vsw_csum_minus(vsw_csum_get(l4 + 4));
        return;
    }
    g->seq = vsw_be32(l4 + 4);
    g->l4_sum += (uint64_t)vsw_csum_minus(vsw_csum_get(l4 + 4)) +
                 vsw_csum_minus(vsw_csum_get(l4 + 6)) + vsw_csum_minus(vsw_csum_get(l4 + 12)) +
                 vsw_csum_minus(vsw_csum_be16((uint16_t)(g->len - g->at.l4)));
}

/* The same for fragments; 0 or -errno.  One of IPv6 may be longer than the datagram it is of. */
static inline int vsw_gso_begin_ufo(struct vsw_gso *g)
{
    int err = vsw_fragment_begin(&g->fragment, g->data, g->len, &g->at, g->segments == 1);

    g->front = vsw_fragment_front(&g->fragment, &g->at);
    if (g->segments > 1 && g->front + g->gso_size > VSW_FRAME_MAX)
        return -EINVAL;
    return err;
}

/* Find what is cut, and into how many; 0 or -EINVAL. */
static inline int vsw_gso_count(struct vsw_gso *g, uint16_t gso_size)
{
    uint32_t first = g->is_ufo ? g->at.fragmentable : g->at.payload, whole = g->len - first;

    g->next = g->front = first;
    g->gso_size = g->is_ufo && whole > gso_size ? gso_size & 0xfff8 : gso_size;
    uint32_t segments = (whole + g->gso_size - 1) / g->gso_size;

    g->segments = segments ? segments : 1; /* headers alone are a segment, too */
    return segments > VSW_GSO_SEGMENTS_MAX ? -EINVAL : 0;
}

/* Start cutting @f, which must stay as it is until the last segment is made.  Returns 0, or
 * -EINVAL when @f is not to be segmented, does not fit its virtio-net header, or would give
 * more than VSW_GSO_SEGMENTS_MAX; -EAGAIN as vsw_fragment_begin(). */
static inline int vsw_gso_begin(struct vsw_gso *g, const struct vsw_frame *f)
{
    *g = (struct vsw_gso){.data = f->data, .len = f->len};
    int bit = vsw_vnet_parse_gso(f, &g->at);

    g->is_ufo = bit == VSW_UFO;
    if (bit < 0 || vsw_gso_count(g, vsw_le16(vsw_vnet(f) + VSW_VNET_GSO_SIZE)) < 0)
        return -EINVAL;
    if (g->is_ufo)
        return vsw_gso_begin_ufo(g);
    if (!g->at.is_v6)
        vsw_gso_begin_ipv4(g);
    vsw_gso_begin_l4(g);
    return 0;
}

/* The longest segment there will be, after vsw_gso_begin(). */
static inline uint32_t vsw_gso_longest(const struct vsw_gso *g)
{
    return g->segments == 1 ? g->len : g->front + g->gso_size;
}

/* Replace what differs in the IP header of the segment of @len bytes at @data. */
static inline void vsw_gso_put_l3(struct vsw_gso *g, uint8_t *data, uint32_t len)
{
    uint8_t *ip = data + g->at.l3;

    if (g->at.is_v6) {
        vsw_put_be16(ip + 4, (uint16_t)(len - g->at.l3 - 40));
        return;
    }
    uint16_t total_len = (uint16_t)(len - g->at.l3);
    uint64_t sum = g->l3_sum + vsw_csum_be16(total_len) + vsw_csum_be16(g->id);

    vsw_put_be16(ip + 2, total_len);
    vsw_put_be16(ip + 4, g->id++);
    vsw_csum_put(ip + 10, (uint16_t)~vsw_csum_fold(sum));
}

/* Replace what differs in the UDP header of a segment; its payload sums up to @sum. */
static inline void vsw_gso_put_udp(const struct vsw_gso *g, uint8_t *udp, uint16_t len,
                                   uint64_t sum)
{
    uint16_t csum = (uint16_t)~vsw_csum_fold(sum + g->l4_sum + 2ull * vsw_csum_be16(len));

    vsw_put_be16(udp + 4, len);
    vsw_csum_put(udp + 6, csum ? csum : 0xffff); /* 0 means none (RFC 768) */
}

/* The same for TCP.  @len is its length with payload, of which the segment carries @carries
 * bytes; g->segments still counts this one. */
static inline void vsw_gso_put_tcp(struct vsw_gso *g, uint8_t *tcp, uint16_t len, uint64_t sum,
                                   uint32_t carries)
{
    enum { FIN = 0x01, PSH = 0x08, CWR = 0x80 };

    if (g->segments > 1)
        tcp[13] &= (uint8_t) ~(FIN | PSH);
    if (g->next != g->at.payload)
        tcp[13] &= (uint8_t)~CWR;
    vsw_put_be32(tcp + 4, g->seq);
    sum += g->l4_sum + vsw_csum_be16(len) + vsw_csum_be32(g->seq) + vsw_csum_get(tcp + 12);
    vsw_csum_put(tcp + 16, (uint16_t)~vsw_csum_fold(sum));
    g->seq += carries;
}

/* Write the next segment, with @carries bytes of payload, to @data. */
static inline void vsw_gso_put(struct vsw_gso *g, uint8_t *data, uint32_t carries)
{
    if (g->is_ufo) {
        vsw_fragment_put(&g->fragment, &g->at, g->data, data, g->next - g->at.fragmentable,
                         carries, g->segments == 1);
        return;
    }
    uint32_t len = g->at.payload + carries;
    uint16_t l4_len = (uint16_t)(len - g->at.l4);

    memcpy(data, g->data, g->at.payload);
    uint64_t sum = vsw_csum_copy(data + g->at.payload, g->data + g->next, carries);

    vsw_gso_put_l3(g, data, len);
    if (g->at.is_udp)
        vsw_gso_put_udp(g, data + g->at.l4, l4_len, sum);
    else
        vsw_gso_put_tcp(g, data + g->at.l4, l4_len, sum, carries);
}

/* Write at most @max of the segments still to be made into the @size bytes at @buf, as records,
 * and describe each in @out: data, len, needs 0.  Returns how many; 0 when
 * all are made, provided that @max is not 0 and @size at least VSW_GSO_BUF_SIZE. */
static inline unsigned vsw_gso_next(struct vsw_gso *g, uint8_t *buf, size_t size,
                                    struct vsw_frame *out, unsigned max)
{
    unsigned n = 0;

    while (g->segments && n < max) {
        uint32_t left = g->len - g->next;
        uint32_t carries = left < g->gso_size ? left : g->gso_size;
        size_t record = (VSW_GSO_HEADROOM + g->front + carries + 15u) & ~(size_t)15;

        if (record > size)
            break;
        memset(buf, 0, VSW_GSO_HEADROOM);
        vsw_gso_put(g, buf + VSW_GSO_HEADROOM, carries);
        out[n++] = (struct vsw_frame){.data = buf + VSW_GSO_HEADROOM,
                                      .len = g->front + carries};
        g->next += carries;
        g->segments--;
        buf += record;
        size -= record;
    }
    return n;
}

/* Would a checksum of 0 at csum_start of @f be read as "none"?  Only UDP's.  What lies inside a
 * tunnel is not parsed here; the offset decides, as 0xffff is right there for any protocol. */
static inline bool vsw_csum_is_udp(const struct vsw_frame *f, uint32_t start, uint32_t offset)
{
    struct vsw_vnet_layout at;

    if (offset != VSW_VNET_UDP_CSUM)
        return false;
    return vsw_vnet_parse_l3(f, &at) || at.l4 != start || at.protocol == VSW_VNET_UDP;
}

/* Copy @f, whose needs are VSW_CSUM alone, into the f->len + VSW_GSO_HEADROOM bytes at @buf, as
 * a record with the checksum finished, and describe it in @out: @f with new data and needs 0.
 * Returns the bytes of @buf used, padding not included. */
static inline uint32_t vsw_csum_complete(const struct vsw_frame *f, uint8_t *buf,
                                         struct vsw_frame *out)
{
    uint32_t start = vsw_le16(vsw_vnet(f) + VSW_VNET_CSUM_START);
    uint32_t offset = vsw_le16(vsw_vnet(f) + VSW_VNET_CSUM_OFFSET);
    uint8_t *data = buf + VSW_GSO_HEADROOM;

    memset(buf, 0, VSW_GSO_HEADROOM);
    memcpy(data, f->data, start);
    uint64_t sum = vsw_csum_copy(data + start, f->data + start, f->len - start);
    uint16_t csum = (uint16_t)~vsw_csum_fold(sum);

    if (csum == 0 && vsw_csum_is_udp(f, start, offset))
        csum = 0xffff;
    vsw_csum_put(data + start + offset, csum);
    *out = *f;
    out->data = data;
    out->needs = 0;
    return VSW_GSO_HEADROOM + f->len;
}

#endif
