/* frame.h - a received Ethernet frame, and the virtio-net header in front of it.
 *
 * A frame is bytes from the destination address to the end of the payload, without FCS.
 * In the VSW_VNET_LEN bytes before `data` lies its virtio-net header (virtio 1.2, 5.1.6; the
 * legacy layout without num_buffers, little endian), so that a device that speaks the header
 * takes both with one write.  Every port kind provides it: all zeroes means a finished frame.
 *
 * Ownership: the bytes belong to the port or poller the frame was received by and are dead at
 * the next rx_burst of that queue.  Nobody on the way writes to them, but for the VLAN tag (vlan.h).
 * Of a frame in pieces (pieces.h) only the first lie at `data`.
 *
 * Accessors assume a frame of at least VSW_ETH_LEN bytes: the loop checks that once, after rx.
 */
#ifndef VSW_FRAME_H
#define VSW_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* From specifications. */
#define VSW_ETH_LEN 14 /* destination, source, EtherType (IEEE 802.3 3.1.1) */
#define VSW_VNET_LEN 10 /* struct virtio_net_hdr, <linux/virtio_net.h> */

/* Chosen by us. */
#define VSW_FRAME_MAX 65568u /* a 65,535-byte IP packet behind an Ethernet header and two tags */
#define VSW_BURST 128u       /* frames a queue may deliver in one round */
/* The same where a frame costs a system call, or a part of one: more would not make it cheaper,
 * and the first has to wait for the last.  A stream brings many with one call, and takes many. */
#define VSW_BURST_CALLS 32u

/* Work a sender left undone, and the same bits as what a port can take unfinished. */
enum vsw_offload {
    VSW_CSUM = 1u << 0, /* the checksum at csum_start + csum_offset is only the pseudo header's */
    VSW_TSO4 = 1u << 1, /* TCP over IPv4 longer than its MTU */
    VSW_TSO6 = 1u << 2, /* TCP over IPv6 longer than its MTU */
    VSW_ECN = 1u << 3,  /* ... whose first segment alone carries CWR */
    VSW_USO = 1u << 4,  /* UDP datagrams of equal size glued together */
    VSW_UFO = 1u << 5,  /* one UDP datagram longer than its MTU */
    VSW_PIECES = 1u << 7, /* to be put together: all but its head is where the sender has it, pieces.h */
};

#define VSW_GSO_BITS (VSW_TSO4 | VSW_TSO6 | VSW_ECN | VSW_USO | VSW_UFO) /* any of them: cut it */

struct vsw_frame {
    const uint8_t *data; /* first byte of the destination address */
    uint32_t len;        /* bytes, VSW_ETH_LEN..VSW_FRAME_MAX once admitted */
    uint8_t tagged;      /* 0/1: `data` has the tag that says its VLAN; 0 while VLAN-unaware */
    uint8_t priority;    /* of that tag: PCP and DEI, its upper four bits (IEEE 802.1Q-2018 9.6) */
    uint8_t needs;       /* enum vsw_offload bits; all but VSW_PIECES set by vsw_vnet_check() */
    uint8_t verdict;     /* enum vsw_verdict, set when the frame is admitted */
    uint64_t src, dst;   /* fdb keys, which hold its VLAN; set when the frame is admitted */
    uint64_t src_hash, dst_hash;
};
_Static_assert(sizeof(struct vsw_frame) == 48, "a burst of headers fits in 2 KiB");

/* @f is @len bytes at @data, just received. */
static inline void vsw_frame_set(struct vsw_frame *f, const uint8_t *data, uint32_t len)
{
    f->data = data;
    f->len = len;
    f->needs = 0;
}

/* Make @f a copy of @len bytes at @data and of the virtio-net header in front of them, at @at, with
 * room for a tag.  Returns where the next may be. */
static inline uint8_t *vsw_frame_copy(struct vsw_frame *f, uint8_t *at, const uint8_t *data, uint32_t len)
{
    memcpy(at + 16 - VSW_VNET_LEN, data - VSW_VNET_LEN, VSW_VNET_LEN + (size_t)len);
    vsw_frame_set(f, at + 16, len);
    return at + ((16 + (size_t)len + 63) & ~(size_t)63);
}

#define VSW_COPY_STEP 16u

/* memcpy() for short frames, in steps of 16 bytes, the last overlapping the one before.  For a
 * length it only knows to be small gcc writes `rep movs`, whose start alone takes longer. */
static inline void vsw_copy_short(uint8_t *to, const uint8_t *from, uint32_t len)
{
    if (len < VSW_COPY_STEP) {
        memcpy(to, from, len);
        return;
    }
    for (uint32_t at = 0; at + VSW_COPY_STEP < len; at += VSW_COPY_STEP)
        memcpy(to + at, from + at, VSW_COPY_STEP);
    memcpy(to + len - VSW_COPY_STEP, from + len - VSW_COPY_STEP, VSW_COPY_STEP);
}

static inline uint16_t vsw_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint16_t vsw_le16(const uint8_t *p)
{
    return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t vsw_be32(const uint8_t *p)
{
    return (uint32_t)vsw_be16(p) << 16 | vsw_be16(p + 2);
}

static inline void vsw_put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void vsw_put_be32(uint8_t *p, uint32_t v)
{
    vsw_put_be16(p, (uint16_t)(v >> 16));
    vsw_put_be16(p + 2, (uint16_t)v);
}

static inline uint16_t vsw_ethertype(const struct vsw_frame *f)
{
    return vsw_be16(f->data + 12);
}

static inline bool vsw_mac_is_group(const uint8_t *mac)
{
    return mac[0] & 1;
}

static inline bool vsw_mac_is_broadcast(const uint8_t *mac)
{
    return (mac[0] & mac[1] & mac[2] & mac[3] & mac[4] & mac[5]) == 0xFF;
}

static inline const uint8_t *vsw_vnet(const struct vsw_frame *f)
{
    return f->data - VSW_VNET_LEN;
}

#endif
