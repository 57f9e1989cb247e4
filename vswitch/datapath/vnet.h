/* vnet.h - the virtio-net header: what a sender left undone, and whether the frame bears it out.
 *
 * Layout (virtio 1.2, 5.1.6; <linux/virtio_net.h> struct virtio_net_hdr; little endian)
 *   0 flags       NEEDS_CSUM: finish the checksum below.  Other bits say nothing to us: DATA_VALID
 *                 and RSC_INFO are remarks, and unknown ones are to be ignored (5.1.6.2.2)
 *   1 gso_type    NONE or what to cut the frame into, possibly | ECN
 *   2 hdr_len     a hint about the length of all headers; never read here
 *   4 gso_size    payload bytes of each segment, the last one excepted; of a fragment, what lies
 *                 behind its IP headers
 *   6 csum_start  where summing starts: the TCP or UDP header
 *   8 csum_offset where, counted from there, the checksum goes; it now holds the sum of the
 *                 pseudo header
 *
 * Both the header and the frame come from a stranger, who may want the switch, or the kernel
 * behind the next port, to read or write beside the frame.  vsw_vnet_check() refuses what does
 * not fit together, once; segmentation and checksum completion assume its yes.
 *
 *   finished             -> needs = 0 (nearly every frame between devices: two loads, one branch)
 *   NEEDS_CSUM           -> the field must lie within the frame
 *   NEEDS_CSUM, gso_type -> headers are walked, and must be the ones gso_type names
 *   anything else        -> -EINVAL
 *
 * The lengths inside IP and UDP headers are not compared with the frame's: segmentation replaces
 * them, and senders that segment by hardware are known to leave them zero.  A datagram's own length
 * is nobody's to replace when it is fragmented: it is the receiver's to judge.
 */
#ifndef VSW_VNET_H
#define VSW_VNET_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "datapath/frame.h"

/* From specifications. */
enum {
    VSW_VNET_NEEDS_CSUM = 1, /* flags; virtio 1.2, 5.1.6 */
    VSW_VNET_GSO_NONE = 0,   /* gso_type */
    VSW_VNET_GSO_TCPV4 = 1,
    VSW_VNET_GSO_UDP = 3,
    VSW_VNET_GSO_TCPV6 = 4,
    VSW_VNET_GSO_UDP_L4 = 5,
    VSW_VNET_GSO_ECN = 0x80,

    VSW_VNET_FLAGS = 0, /* offsets of the fields */
    VSW_VNET_GSO_TYPE = 1,
    VSW_VNET_HDR_LEN = 2,
    VSW_VNET_GSO_SIZE = 4,
    VSW_VNET_CSUM_START = 6,
    VSW_VNET_CSUM_OFFSET = 8,

    VSW_VNET_ETH_IPV4 = 0x0800,
    VSW_VNET_ETH_IPV6 = 0x86dd,
    VSW_VNET_ETH_CTAG = 0x8100, /* IEEE 802.1Q 9.5 */
    VSW_VNET_ETH_STAG = 0x88a8,

    VSW_VNET_HOPOPTS = 0, /* IPv6 extension headers; RFC 8200 4 */
    VSW_VNET_ROUTING = 43,
    VSW_VNET_DSTOPTS = 60,
    VSW_VNET_TCP = 6,
    VSW_VNET_UDP = 17,

    VSW_VNET_TCP_CSUM = 16, /* csum_offset of TCP (RFC 9293 3.1) and UDP (RFC 768) */
    VSW_VNET_UDP_CSUM = 6,
};

/* Chosen by us. */
enum {
    VSW_VNET_TAGS_MAX = 2,
    /* Hop-by-hop, destination options, routing, destination options is the longest order that
     * RFC 8200 4.1 recommends without fragment and IPsec headers; twice that is generous. */
    VSW_VNET_EXT_MAX = 8,
};

/* Where the headers of a frame are, as offsets into it. */
struct vsw_vnet_layout {
    uint32_t l3;      /* IP header, behind the tags */
    uint32_t l4;      /* TCP or UDP header, behind options and extension headers */
    uint32_t payload; /* first byte behind the TCP or UDP header */
    uint32_t fragmentable; /* first byte behind what each IP fragment repeats (RFC 8200 4.5) */
    uint32_t next_at;      /* IPv6: the byte that says what lies at fragmentable */
    uint8_t protocol; /* what lies at l4 */
    bool is_v6;
    bool is_udp;
};

/* Skip Ethernet header and tags, the one that says the frame's VLAN whatever its type: sets l3 and
 * returns the EtherType there; 0, which is none, when the frame ends before. */
static inline uint16_t vsw_vnet_parse_l2(const struct vsw_frame *f, struct vsw_vnet_layout *at)
{
    uint32_t type_at = f->tagged ? VSW_ETH_LEN + 2 : VSW_ETH_LEN - 2;
    uint16_t type = vsw_be16(f->data + type_at);

    for (int tags = 0; type == VSW_VNET_ETH_CTAG || type == VSW_VNET_ETH_STAG; tags++) {
        type_at += 4;
        if (tags == VSW_VNET_TAGS_MAX || type_at + 2 > f->len)
            return 0;
        type = vsw_be16(f->data + type_at);
    }
    at->l3 = type_at + 2;
    return type;
}

/* Sets l4 and protocol behind a whole, unfragmented IPv4 header that can state the frame's
 * length (RFC 791 3.1). */
static inline int vsw_vnet_parse_ipv4(const struct vsw_frame *f, struct vsw_vnet_layout *at)
{
    const uint8_t *ip = f->data + at->l3;
    uint32_t room = f->len - at->l3;

    if (room < 20 || room > UINT16_MAX || ip[0] >> 4 != 4)
        return -EINVAL;
    uint32_t header_len = (ip[0] & 15u) * 4;
    bool is_fragment = vsw_be16(ip + 6) & 0x3fff; /* more fragments, or an offset */

    if (header_len < 20 || header_len > room || is_fragment)
        return -EINVAL;
    at->l4 = at->fragmentable = at->l3 + header_len;
    at->protocol = ip[9];
    at->is_v6 = false;
    return 0;
}

_Static_assert(VSW_FRAME_MAX - VSW_ETH_LEN - 40 <= UINT16_MAX, "an IPv6 payload states its length");

/* The same for IPv6 (RFC 8200 3, 4).  A fragment header is not skipped and so becomes the
 * protocol, which no caller accepts. */
static inline int vsw_vnet_parse_ipv6(const struct vsw_frame *f, struct vsw_vnet_layout *at)
{
    const uint8_t *ip = f->data + at->l3;
    uint32_t room = f->len - at->l3;

    if (room < 40 || ip[0] >> 4 != 6)
        return -EINVAL;
    uint8_t next = ip[6];
    uint32_t l4 = at->l3 + 40;

    at->fragmentable = l4;
    at->next_at = at->l3 + 6;
    for (int n = 0;
         next == VSW_VNET_HOPOPTS || next == VSW_VNET_ROUTING || next == VSW_VNET_DSTOPTS; n++) {
        if (n == VSW_VNET_EXT_MAX || l4 + 8 > f->len)
            return -EINVAL;
        uint32_t end = l4 + (f->data[l4 + 1] + 1u) * 8;

        if (end > f->len)
            return -EINVAL;
        if (next != VSW_VNET_DSTOPTS) {
            at->fragmentable = end;
            at->next_at = l4;
        }
        next = f->data[l4];
        l4 = end;
    }
    at->l4 = l4;
    at->protocol = next;
    at->is_v6 = true;
    return 0;
}

/* Find the IP and L4 headers of a frame: all of @at but payload and is_udp, with l4 <= len.
 * Returns -EINVAL when they are not IP, not whole, or a fragment of IPv4. */
static inline int vsw_vnet_parse_l3(const struct vsw_frame *f, struct vsw_vnet_layout *at)
{
    uint16_t type = vsw_vnet_parse_l2(f, at);

    if (type == VSW_VNET_ETH_IPV4)
        return vsw_vnet_parse_ipv4(f, at);
    if (type == VSW_VNET_ETH_IPV6)
        return vsw_vnet_parse_ipv6(f, at);
    return -EINVAL;
}

/* Sets is_udp and payload behind a whole TCP or UDP header. */
static inline int vsw_vnet_parse_l4(const struct vsw_frame *f, struct vsw_vnet_layout *at)
{
    uint32_t room = f->len - at->l4, header_len = 8;

    at->is_udp = at->protocol == VSW_VNET_UDP;
    if (at->protocol == VSW_VNET_TCP) {
        if (room < 20)
            return -EINVAL;
        header_len = (f->data[at->l4 + 12] >> 4) * 4u; /* RFC 9293 3.1, data offset */
        if (header_len < 20)
            return -EINVAL;
    } else if (!at->is_udp) {
        return -EINVAL;
    }
    if (header_len > room)
        return -EINVAL;
    at->payload = at->l4 + header_len;
    return 0;
}

/* Does gso_type @gso_type, ECN included, describe a frame laid out like @at?  Returns its
 * VSW_* bit, or 0 for no. */
static inline uint8_t vsw_vnet_gso_bit(uint8_t gso_type, const struct vsw_vnet_layout *at)
{
    switch (gso_type & ~VSW_VNET_GSO_ECN) {
    case VSW_VNET_GSO_TCPV4:
        return !at->is_udp && !at->is_v6 ? VSW_TSO4 : 0;
    case VSW_VNET_GSO_TCPV6:
        return !at->is_udp && at->is_v6 ? VSW_TSO6 : 0;
    case VSW_VNET_GSO_UDP_L4:
        return at->is_udp && !(gso_type & VSW_VNET_GSO_ECN) ? VSW_USO : 0;
    case VSW_VNET_GSO_UDP:
        return at->is_udp && !(gso_type & VSW_VNET_GSO_ECN) ? VSW_UFO : 0;
    default: /* types yet to be invented */
        return 0;
    }
}

/* Can a datagram be cut into fragments of @gso_size?  They are cut at multiples of 8, and the first
 * has all headers (RFC 7112 5).  A size between is fine: it is a maximum, and old versions of Linux
 * sent MTU - 20 whatever that is. */
static inline bool vsw_vnet_can_fragment(uint16_t gso_size, const struct vsw_vnet_layout *at)
{
    return (gso_size & ~7u) >= at->payload - at->fragmentable;
}

/* Find all headers of a frame to be segmented and compare them with its virtio-net header.
 * Returns its VSW_TSO4, VSW_TSO6, VSW_USO or VSW_UFO, and fills @at; -EINVAL when they do not
 * agree. */
static inline int vsw_vnet_parse_gso(const struct vsw_frame *f, struct vsw_vnet_layout *at)
{
    const uint8_t *h = vsw_vnet(f);

    if (!(h[VSW_VNET_FLAGS] & VSW_VNET_NEEDS_CSUM) || vsw_le16(h + VSW_VNET_GSO_SIZE) == 0)
        return -EINVAL;
    if (vsw_vnet_parse_l3(f, at) || vsw_vnet_parse_l4(f, at))
        return -EINVAL;
    uint8_t bit = vsw_vnet_gso_bit(h[VSW_VNET_GSO_TYPE], at);
    uint16_t csum_offset = at->is_udp ? VSW_VNET_UDP_CSUM : VSW_VNET_TCP_CSUM;

    if (!bit || vsw_le16(h + VSW_VNET_CSUM_START) != at->l4 ||
        vsw_le16(h + VSW_VNET_CSUM_OFFSET) != csum_offset)
        return -EINVAL;
    if (bit == VSW_UFO && !vsw_vnet_can_fragment(vsw_le16(h + VSW_VNET_GSO_SIZE), at))
        return -EINVAL;
    return bit;
}

/* vsw_vnet_check() for a header that asks for something. */
static inline int vsw_vnet_check_unfinished(struct vsw_frame *f)
{
    const uint8_t *h = vsw_vnet(f);
    uint32_t start = vsw_le16(h + VSW_VNET_CSUM_START);
    struct vsw_vnet_layout at;

    if (h[VSW_VNET_GSO_TYPE] == VSW_VNET_GSO_NONE) { /* and so NEEDS_CSUM is set */
        if (start < VSW_ETH_LEN || start + vsw_le16(h + VSW_VNET_CSUM_OFFSET) + 2 > f->len)
            return -EINVAL;
        f->needs = VSW_CSUM;
        return 0;
    }
    int bit = vsw_vnet_parse_gso(f, &at);
    if (bit < 0)
        return bit;
    f->needs = (uint8_t)(VSW_CSUM | bit);
    if (h[VSW_VNET_GSO_TYPE] & VSW_VNET_GSO_ECN)
        f->needs |= VSW_ECN;
    return 0;
}

/* Set f->needs from the virtio-net header in front of @f, whose data and len are set, len being
 * VSW_ETH_LEN at least.  Returns 0, or -EINVAL, with needs 0, when header and frame do not fit. */
static inline int vsw_vnet_check(struct vsw_frame *f)
{
    uint16_t flags_and_type = vsw_le16(vsw_vnet(f));

    f->needs = 0;
    if (__builtin_expect(!(flags_and_type & (0xff00 | VSW_VNET_NEEDS_CSUM)), 1))
        return 0;
    return vsw_vnet_check_unfinished(f);
}

#endif
