/* guard.h - who may speak at a port, and as whom.
 *
 *   macs      Ethernet sources that may enter; empty: any
 *   addresses IP addresses that may be spoken for: as source of IPv4 and IPv6, as sender of ARP
 *             (RFC 826) and RARP, as source and as target of Neighbor Discovery (RFC 4861); checked
 *             with VSW_GUARD_IP4 and VSW_GUARD_IP6
 *   leases    the same of one VLAN and one station: what DHCP gave it, for IPv4 and for IPv6
 *
 * ARP and ND also say an Ethernet address, which must be the frame's own source.  "No address yet"
 * is let through as far as somebody has to speak then: 0.0.0.0 in ARP probes (RFC 5227), DHCP and
 * IGMP; :: in duplicate address detection, for an address that may be spoken for, router solicitation
 * and MLD.  A tag beyond that of the port's VLAN could hide anything and is refused with such checks.
 *
 * VSW_GUARD_SERVERS refuses what DHCP servers say, VSW_GUARD_ROUTERS what routers say (RFC 6105, RFC
 * 7113); what may be one of these and cannot be told from its first fragment, too.
 *
 * VSW_GUARD_COPIES gives what DHCP servers and clients say to the control plane, and lets it pass; so
 * much a second of each port, so that nobody keeps the control plane by talking.
 *
 * Read by pollers, written by the control plane while they are parked.  Nothing here costs more for
 * a stranger's choice of bytes: sets and chains have a limit.
 */
#ifndef VSW_GUARD_H
#define VSW_GUARD_H

#include "datapath/headers.h"
#include "datapath/poller.h"
#include "datapath/port.h"

#include <stdatomic.h>

/* From specifications. */
#define VSW_DHCP_SERVER 67u /* RFC 2131 4.1 */
#define VSW_DHCP_CLIENT 68u
#define VSW_DHCP6_CLIENT 546u /* RFC 8415 7.2 */
#define VSW_DHCP6_SERVER 547u
#define VSW_MLD_REPORT 131u   /* <https://www.iana.org/assignments/icmpv6-parameters> */
#define VSW_MLD_DONE 132u
#define VSW_ND_ROUTER_SOLICIT 133u
#define VSW_ND_ROUTER_ADVERT 134u
#define VSW_ND_SOLICIT 135u
#define VSW_ND_ADVERT 136u
#define VSW_ND_REDIRECT 137u
#define VSW_MLD2_REPORT 143u
#define VSW_ND_SOURCE_MAC 1u /* options, RFC 4861 4.6 */
#define VSW_ND_TARGET_MAC 2u
#define VSW_ARP_LEN 28u /* for Ethernet and IPv4, RFC 826 */

/* Chosen by us. */
#define VSW_GUARD_MAX 64u         /* of each kind, per port */
#define VSW_GUARD_OPTIONS_MAX 16u /* of one ND message; what has more is refused */
#define VSW_GUARD_COPIES_MAX 256u /* a second; more than clients say, and some 10 ms for Python */
#define VSW_GUARD_ANSWERS_MAX 4096u /* the same where servers are, who answer many clients */
#define VSW_GUARD_COPY 0x8000u    /* in the port of a punted record: the frame went on as well */

enum vsw_guard_check {
    VSW_GUARD_MACS = 1u << 0,
    VSW_GUARD_IP4 = 1u << 1,
    VSW_GUARD_IP6 = 1u << 2,
    VSW_GUARD_SERVERS = 1u << 3,
    VSW_GUARD_ROUTERS = 1u << 4,
    VSW_GUARD_COPIES = 1u << 5,
    VSW_GUARD_HOLDS = 1u << 6, /* nothing from stations that are held elsewhere: vsw_may_stay() */
    VSW_GUARD_LINK_LOCAL = 1u << 7, /* fe80::/10 may be spoken for; with VSW_GUARD_IP6 */
};

/* 128 bits, most significant first: an address, or who has which. */
struct vsw_guard_item {
    uint64_t high, low;
};

struct vsw_guard_set {
    uint32_t n;
    struct vsw_guard_item item[VSW_GUARD_MAX]; /* in order */
};

struct vsw_guard {
    uint8_t checks; /* enum vsw_guard_check bits */
    struct vsw_guard_set macs;   /* 0, the address */
    struct vsw_guard_set ip4;    /* 0, the address */
    struct vsw_guard_set ip6;
    struct vsw_guard_set leases; /* VLAN << 48 | station, the address */
    struct vsw_guard_set leases6; /* the address; one may be there for several VLANs */
    uint64_t owners6[VSW_GUARD_MAX]; /* of each of these, VLAN << 48 | station */
    _Atomic uint64_t copied; /* second << 32 | copies in it */
    _Atomic uint64_t missed; /* copies that were too many, or had no room */
};

/* Where @high, @low is in @set, the first of them, or would be. */
static inline uint32_t vsw_guard_find(const struct vsw_guard_set *set, uint64_t high, uint64_t low)
{
    uint32_t first = 0, end = set->n;

    while (first < end) {
        uint32_t middle = (first + end) / 2;
        const struct vsw_guard_item *item = &set->item[middle];

        if (item->high < high || (item->high == high && item->low < low))
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static inline bool vsw_guard_is_at(const struct vsw_guard_set *set, uint32_t i, uint64_t high,
                                   uint64_t low)
{
    return i < set->n && set->item[i].high == high && set->item[i].low == low;
}

static inline bool vsw_guard_has(const struct vsw_guard_set *set, uint64_t high, uint64_t low)
{
    return vsw_guard_is_at(set, vsw_guard_find(set, high, low), high, low);
}

static inline uint64_t vsw_guard_mac(const uint8_t *mac)
{
    return (uint64_t)vsw_be16(mac) << 32 | vsw_be32(mac + 2);
}

static inline uint64_t vsw_guard_be64(const uint8_t *p)
{
    return (uint64_t)vsw_be32(p) << 32 | vsw_be32(p + 4);
}

static inline uint64_t vsw_guard_who(const struct vsw_frame *f)
{
    return (uint64_t)vsw_key_vid(f->src) << 48 | vsw_guard_mac(f->data + 6);
}

/* Whether the source of @f may speak for @ip, an IPv4 address. */
static inline bool vsw_guard_is_ip4(const struct vsw_guard *g, const struct vsw_frame *f, uint32_t ip)
{
    return vsw_guard_has(&g->ip4, 0, ip) || vsw_guard_has(&g->leases, vsw_guard_who(f), ip);
}

/* The same of an IPv6 address. */
static inline bool vsw_guard_is_ip6(const struct vsw_guard *g, const struct vsw_frame *f,
                                    const uint8_t *ip)
{
    uint64_t high = vsw_guard_be64(ip), low = vsw_guard_be64(ip + 8), who = vsw_guard_who(f);

    if (g->checks & VSW_GUARD_LINK_LOCAL && high >> 54 == 0xFE80 >> 6)
        return true;
    if (vsw_guard_has(&g->ip6, high, low))
        return true;
    for (uint32_t i = vsw_guard_find(&g->leases6, high, low);
         vsw_guard_is_at(&g->leases6, i, high, low); i++)
        if (g->owners6[i] == who)
            return true;
    return false;
}

static inline bool vsw_guard_is_own(const struct vsw_frame *f, const uint8_t *mac)
{
    return memcmp(f->data + 6, mac, 6) == 0;
}

static inline bool vsw_guard_arp(const struct vsw_guard *g, const struct vsw_frame *f,
                                 const struct vsw_headers *h)
{
    static const uint8_t ethernet_and_ip4[6] = {0, 1, 8, 0, 6, 4};
    const uint8_t *arp = f->data + h->at;
    uint32_t sender;

    if (h->at + VSW_ARP_LEN > h->end || memcmp(arp, ethernet_and_ip4, 6) != 0)
        return false;
    sender = vsw_be32(arp + 14);
    return vsw_guard_is_own(f, arp + 8) && (!sender || vsw_guard_is_ip4(g, f, sender));
}

/* Whether UDP for @port is at the upper layer. */
static inline bool vsw_guard_udp_to(const struct vsw_frame *f, const struct vsw_headers *h,
                                    uint16_t port)
{
    return vsw_headers_are(h, VSW_PROTO_UDP) && vsw_be16(f->data + h->upper + 2) == port;
}

static inline bool vsw_guard_ip4(const struct vsw_guard *g, const struct vsw_frame *f,
                                 const struct vsw_headers *h)
{
    uint32_t source;

    if (h->at + VSW_IP4_LEN > h->end)
        return false;
    source = vsw_be32(f->data + h->at + 12);
    if (source)
        return vsw_guard_is_ip4(g, f, source);
    return vsw_headers_are(h, VSW_PROTO_IGMP) || vsw_guard_udp_to(f, h, VSW_DHCP_SERVER);
}

/* Whether the Ethernet addresses in the options at @at of an ND message, of option type @kind, are
 * the frame's own. */
static inline bool vsw_guard_nd_options(const struct vsw_frame *f, const struct vsw_headers *h,
                                        uint32_t at, uint8_t kind)
{
    for (unsigned n = 0; at < h->end; n++) {
        const uint8_t *option = f->data + at;

        if (n == VSW_GUARD_OPTIONS_MAX || at + 8 > h->end || !option[1])
            return false;
        if (option[0] == kind && (option[1] != 1 || !vsw_guard_is_own(f, option + 2)))
            return false;
        at += option[1] * 8u;
    }
    return at == h->end;
}

/* Whether @f, ICMPv6 with a source that is @known, or ::, may enter. */
static inline bool vsw_guard_icmp6(const struct vsw_guard *g, const struct vsw_frame *f,
                                   const struct vsw_headers *h, bool known)
{
    const uint8_t *message = f->data + h->upper;

    switch (message[0]) {
    case VSW_MLD_REPORT:
    case VSW_MLD_DONE:
    case VSW_MLD2_REPORT:
        return true;
    case VSW_ND_ROUTER_SOLICIT:
        return !h->fragment && vsw_guard_nd_options(f, h, h->upper + 8, VSW_ND_SOURCE_MAC);
    case VSW_ND_ROUTER_ADVERT:
        return known && !h->fragment &&
               vsw_guard_nd_options(f, h, h->upper + 16, VSW_ND_SOURCE_MAC);
    case VSW_ND_SOLICIT:
        return !h->fragment && h->upper + 24 <= h->end &&
               (known || vsw_guard_is_ip6(g, f, message + 8)) &&
               vsw_guard_nd_options(f, h, h->upper + 24, VSW_ND_SOURCE_MAC);
    case VSW_ND_ADVERT:
        return known && !h->fragment && h->upper + 24 <= h->end &&
               vsw_guard_is_ip6(g, f, message + 8) &&
               vsw_guard_nd_options(f, h, h->upper + 24, VSW_ND_TARGET_MAC);
    }
    return known;
}

static inline bool vsw_guard_ip6(const struct vsw_guard *g, const struct vsw_frame *f,
                                 const struct vsw_headers *h)
{
    static const uint8_t none[16];
    const uint8_t *source = f->data + h->at + 8;
    bool known;

    if (h->at + VSW_IP6_LEN > h->end || h->state == VSW_UPPER_HIDDEN)
        return false;
    known = vsw_guard_is_ip6(g, f, source);
    if (!known && memcmp(source, none, sizeof(none)) != 0)
        return false;
    return vsw_headers_are(h, VSW_PROTO_ICMP6) ? vsw_guard_icmp6(g, f, h, known) : known;
}

/* Whether the source of @f may speak for the addresses it names. */
static inline bool vsw_guard_addresses(const struct vsw_guard *g, const struct vsw_frame *f,
                                       const struct vsw_headers *h)
{
    if (!(g->checks & (VSW_GUARD_IP4 | VSW_GUARD_IP6)))
        return true;
    if (h->stacked || !h->type)
        return false;
    if (h->type == VSW_TYPE_IP4)
        return !(g->checks & VSW_GUARD_IP4) || vsw_guard_ip4(g, f, h);
    if (h->type == VSW_TYPE_ARP || h->type == VSW_TYPE_RARP)
        return !(g->checks & VSW_GUARD_IP4) || vsw_guard_arp(g, f, h);
    if (h->type == VSW_TYPE_IP6)
        return !(g->checks & VSW_GUARD_IP6) || vsw_guard_ip6(g, f, h);
    return true;
}

/* Whether @f says, or may say, what only servers or routers may that are not at this port. */
static inline bool vsw_guard_is_offer(const struct vsw_guard *g, const struct vsw_frame *f,
                                      const struct vsw_headers *h)
{
    if (!(g->checks & (VSW_GUARD_SERVERS | VSW_GUARD_ROUTERS)))
        return false;
    if (!h->type)
        return true;
    if (h->state == VSW_UPPER_HIDDEN)
        return h->type == VSW_TYPE_IP6 || g->checks & VSW_GUARD_SERVERS;
    if (g->checks & VSW_GUARD_ROUTERS && h->type == VSW_TYPE_IP6 &&
        vsw_headers_are(h, VSW_PROTO_ICMP6) &&
        (f->data[h->upper] == VSW_ND_ROUTER_ADVERT || f->data[h->upper] == VSW_ND_REDIRECT))
        return true;
    return g->checks & VSW_GUARD_SERVERS &&
           vsw_guard_udp_to(f, h, h->type == VSW_TYPE_IP4 ? VSW_DHCP_CLIENT : VSW_DHCP6_CLIENT);
}

static inline bool vsw_guard_is_dhcp(const struct vsw_frame *f, const struct vsw_headers *h)
{
    bool v4 = h->type == VSW_TYPE_IP4;

    return (v4 || h->type == VSW_TYPE_IP6) && !h->stacked && !h->fragment &&
           (vsw_guard_udp_to(f, h, v4 ? VSW_DHCP_CLIENT : VSW_DHCP6_CLIENT) ||
            vsw_guard_udp_to(f, h, v4 ? VSW_DHCP_SERVER : VSW_DHCP6_SERVER));
}

/* Whether the control plane is to hear one more; of several pollers each may let some more pass. */
static inline bool vsw_guard_may_copy(struct vsw_guard *g, uint32_t now_s)
{
    uint32_t most = g->checks & VSW_GUARD_SERVERS ? VSW_GUARD_COPIES_MAX : VSW_GUARD_ANSWERS_MAX;
    uint64_t copied = atomic_load_explicit(&g->copied, memory_order_relaxed);

    copied = copied >> 32 == now_s ? copied + 1 : (uint64_t)now_s << 32 | 1;
    if ((uint32_t)copied > most)
        return false;
    atomic_store_explicit(&g->copied, copied, memory_order_relaxed);
    return true;
}

/* Give a copy of @f, a frame of @p's burst, to the control plane. */
static inline void vsw_guard_copy(struct vsw_poller *p, const struct vsw_port *src,
                                  const struct vsw_frame *f)
{
    struct vsw_guard *g = src->policy->guard;

    if (vsw_guard_may_copy(g, p->now_s) &&
        vsw_ring_put(&p->punt, src->id | VSW_GUARD_COPY, vsw_frame_whole(&p->burst, f)))
        vsw_poller_notify(p);
    else
        atomic_fetch_add(&g->missed, 1);
}

/* Whether @f, a frame of @p's burst, may enter by @src, which has a guard. */
static __attribute__((noinline, unused)) bool
vsw_guard_admits(struct vsw_poller *p, const struct vsw_port *src, const struct vsw_frame *f)
{
    const struct vsw_guard *g = src->policy->guard;
    struct vsw_headers h;

    if (g->checks & VSW_GUARD_MACS && !vsw_guard_has(&g->macs, 0, vsw_guard_mac(f->data + 6)))
        return false;
    if (!(g->checks & ~(unsigned)(VSW_GUARD_MACS | VSW_GUARD_HOLDS)))
        return true;
    h = vsw_headers_of(f);
    /* What is behind the head of a frame in pieces decides only here. */
    if (f->needs & VSW_PIECES &&
        (h.state == VSW_UPPER_HIDDEN || vsw_headers_are(&h, VSW_PROTO_ICMP6)))
        h = vsw_headers_of(vsw_frame_whole(&p->burst, f));
    if (!vsw_guard_addresses(g, f, &h) || vsw_guard_is_offer(g, f, &h))
        return false;
    if (g->checks & VSW_GUARD_COPIES && vsw_guard_is_dhcp(f, &h))
        vsw_guard_copy(p, src, f);
    return true;
}

#endif
