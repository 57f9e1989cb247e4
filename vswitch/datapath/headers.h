/* headers.h - what a frame carries: its protocol, and where that begins, behind all that hides it.
 *
 * For those who judge a stranger's frame.  A receiver takes off tags and SNAP headers in any number,
 * and IPv6 extension headers, before it looks at what is inside; so does this, and where it cannot
 * come to an end it says so, and whoever asks refuses.
 *
 *   addresses | tag of the port's VLAN | tags, LLC/SNAP ... | IP | extension headers | upper layer
 *                                        ^ stacked: number of  ^ at                  ^ upper
 *
 * Only what the lengths in the headers say is looked at, never the padding.
 *
 * IEEE 802-2014 clause 9 (EtherTypes, SNAP), RFC 1042, RFC 791, RFC 8200; what is hidden: RFC 7113,
 * and the CVE records 2021-27853, 2021-27854, 2021-27861 and 2021-27862.
 */
#ifndef VSW_HEADERS_H
#define VSW_HEADERS_H

#include "datapath/frame.h"
#include "datapath/pieces.h"

/* From specifications. */
#define VSW_TYPE_IP4 0x0800u
#define VSW_TYPE_ARP 0x0806u
#define VSW_TYPE_RARP 0x8035u
#define VSW_TYPE_IP6 0x86DDu
#define VSW_TYPE_MIN 0x0600u /* below are lengths (IEEE 802.3 3.2.6) */
#define VSW_PROTO_IGMP 2u    /* <https://www.iana.org/assignments/protocol-numbers> */
#define VSW_PROTO_UDP 17u
#define VSW_PROTO_ICMP6 58u
#define VSW_IP4_LEN 20u
#define VSW_IP6_LEN 40u
#define VSW_UDP_LEN 8u
#define VSW_SNAP_LEN 8u /* AA AA 03, the organization, the EtherType */

/* Chosen by us: more than anybody sends, and a frame that has more is refused by who asks. */
#define VSW_STACKED_MAX 4u
#define VSW_EXTENSIONS_MAX 8u

enum vsw_upper {
    VSW_UPPER_NONE,   /* not IP */
    VSW_UPPER_HERE,   /* at `upper`: at least 8 bytes of UDP, 4 of ICMPv6 */
    VSW_UPPER_LATER,  /* in another fragment, the first */
    VSW_UPPER_HIDDEN, /* cannot be found, though it should be here */
};

struct vsw_headers {
    uint16_t type;   /* EtherType; 0: cannot be found */
    uint8_t stacked; /* tags and SNAP headers beyond the tag of the port's VLAN */
    uint8_t proto;   /* of the upper layer, if it is here */
    uint8_t state;   /* enum vsw_upper */
    uint8_t fragment; /* 0/1: of an IP packet in several */
    uint32_t at;     /* what `type` says begins here */
    uint32_t upper;  /* the upper layer's header */
    uint32_t end;    /* of what may be looked at */
};

/* How many bytes of @f lie at its data. */
static inline uint32_t vsw_headers_len(const struct vsw_frame *f)
{
    return f->needs & VSW_PIECES && f->len > VSW_HEAD ? VSW_HEAD : f->len;
}

static inline bool vsw_is_tag_type(uint16_t type)
{
    return type == 0x8100 || type == 0x88A8 || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

/* Whether a SNAP header with an EtherType is at @p, VSW_SNAP_LEN bytes: that of RFC 1042, or of
 * IEEE 802.1H bridge tunnels. */
static inline bool vsw_is_snap(const uint8_t *p)
{
    return p[0] == 0xAA && p[1] == 0xAA && p[2] == 3 && !p[3] && !p[4] && (!p[5] || p[5] == 0xF8);
}

/* Set type, stacked and at. */
static inline void vsw_headers_peel(const struct vsw_frame *f, struct vsw_headers *h)
{
    uint32_t at = f->tagged ? VSW_ETH_LEN + 4u : VSW_ETH_LEN;

    for (h->stacked = 0;; h->stacked++) {
        uint16_t type = at <= h->end ? vsw_be16(f->data + at - 2) : 0;

        h->type = type;
        h->at = at;
        if (vsw_is_tag_type(type))
            at += 4;
        else if (type < VSW_TYPE_MIN && at + VSW_SNAP_LEN <= h->end && vsw_is_snap(f->data + at))
            at += VSW_SNAP_LEN;
        else
            return;
        if (h->stacked == VSW_STACKED_MAX) {
            h->type = 0;
            return;
        }
    }
}

static inline void vsw_headers_end_at(struct vsw_headers *h, uint32_t end)
{
    if (end < h->end)
        h->end = end;
}

/* The upper layer is at @at, unless it is cut off there. */
static inline void vsw_headers_upper(struct vsw_headers *h, uint8_t proto, uint32_t at)
{
    uint32_t need = proto == VSW_PROTO_UDP ? VSW_UDP_LEN : proto == VSW_PROTO_ICMP6 ? 4 : 0;

    h->proto = proto;
    h->upper = at;
    h->state = at + need <= h->end ? VSW_UPPER_HERE : VSW_UPPER_HIDDEN;
}

static inline void vsw_headers_ip4(const struct vsw_frame *f, struct vsw_headers *h)
{
    const uint8_t *ip = f->data + h->at;
    uint32_t len, total;

    h->state = VSW_UPPER_HIDDEN;
    if (h->at + VSW_IP4_LEN > h->end || ip[0] >> 4 != 4)
        return;
    len = (ip[0] & 15u) * 4u;
    total = vsw_be16(ip + 2); /* 0: of a super-frame that is longer than this can say */
    if (len < VSW_IP4_LEN || (total && total < len))
        return;
    if (total)
        vsw_headers_end_at(h, h->at + total);
    h->fragment = (vsw_be16(ip + 6) & 0x3FFF) != 0;
    if (vsw_be16(ip + 6) & 0x1FFF)
        h->state = VSW_UPPER_LATER;
    else
        vsw_headers_upper(h, ip[9], h->at + len);
}

/* Whether IPv6 header @next is followed by another, whose number is its first byte. */
static inline bool vsw_is_extension(uint8_t next)
{
    switch (next) {
    case 0:   /* hop-by-hop options */
    case 43:  /* routing */
    case 44:  /* fragment */
    case 51:  /* authentication, RFC 4302 */
    case 60:  /* destination options */
    case 135: /* mobility, RFC 6275 */
    case 139: /* host identity, RFC 7401 */
    case 140: /* shim6, RFC 5533 */
        return true;
    }
    return false;
}

static inline void vsw_headers_ip6(const struct vsw_frame *f, struct vsw_headers *h)
{
    const uint8_t *ip = f->data + h->at;
    uint32_t at = h->at + VSW_IP6_LEN;
    uint8_t next;

    h->state = VSW_UPPER_HIDDEN;
    if (at > h->end || ip[0] >> 4 != 6)
        return;
    if (vsw_be16(ip + 4))
        vsw_headers_end_at(h, at + vsw_be16(ip + 4));
    next = ip[6];
    for (unsigned n = 0; vsw_is_extension(next); n++) {
        const uint8_t *header;

        if (n == VSW_EXTENSIONS_MAX || at + 8 > h->end)
            return;
        header = f->data + at;
        if (next == 44) {
            h->fragment = 1;
            if (vsw_be16(header + 2) & 0xFFF8) {
                h->state = VSW_UPPER_LATER;
                return;
            }
            at += 8;
        } else {
            at += next == 51 ? (header[1] + 2u) * 4u : (header[1] + 1u) * 8u;
        }
        next = header[0];
    }
    vsw_headers_upper(h, next, at);
}

/* What @f, which was admitted, carries. */
static inline struct vsw_headers vsw_headers_of(const struct vsw_frame *f)
{
    struct vsw_headers h = {.end = vsw_headers_len(f)};

    vsw_headers_peel(f, &h);
    if (h.type == VSW_TYPE_IP4)
        vsw_headers_ip4(f, &h);
    else if (h.type == VSW_TYPE_IP6)
        vsw_headers_ip6(f, &h);
    return h;
}

static inline bool vsw_headers_are(const struct vsw_headers *h, uint8_t proto)
{
    return h->state == VSW_UPPER_HERE && h->proto == proto;
}

#endif
