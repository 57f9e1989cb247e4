/* suppress.h - questions about neighbours: answered here, and not sent where they are of no use.
 *
 * What neigh_suppress is to the Linux bridge (br_do_proxy_suppress_arp() and br_do_suppress_nd() in
 * net/bridge/br_arp_nd_proxy.c, br_flood() in br_forward.c), of frames that are flooded:
 *
 *   came in by a port with VSW_NEIGH_SUPPRESS       nothing: it goes its way
 *   says who somebody is, or asks whether somebody  not sent to ports with VSW_NEIGH_SUPPRESS
 *   has an address already (gratuitous ARP, RFC
 *   5227 probe, unsolicited advertisement, RFC
 *   4862 duplicate address detection)
 *   asks for a neighbour in neigh.h, whose station  the same; and answered, if that station is
 *   is in the forwarding database                   behind a port with VSW_NEIGH_SUPPRESS
 *   all else                                        nothing
 *
 * Who is asked alone, answers himself, as there: such a question is to find out whether he is still
 * there (RFC 1122 2.3.2.1, RFC 4861 7.3).  What RFC 826 and RFC 4861 7.1 do not call a question is none here.
 *
 * An answer is one more frame of the burst, in a place that is free there, for the port that the
 * question came from: it leaves as others do, with the tag of that port.  When there is no place, the
 * question is flooded.  Nothing is remembered of who asked, so asking costs nobody anything.
 */
#ifndef VSW_SUPPRESS_H
#define VSW_SUPPRESS_H

#include "datapath/csum.h"
#include "datapath/finish.h"
#include "datapath/neigh.h"
#include "datapath/rules.h"

/* From specifications. */
#define VSW_ARP_REQUEST 1u /* RFC 826 */
#define VSW_ARP_REPLY 2u
#define VSW_RARP_REQUEST 3u /* RFC 903 */
#define VSW_RARP_REPLY 4u
#define VSW_ND_LEN 24u /* solicitation and advertisement, RFC 4861 4.3 and 4.4 */
#define VSW_ND_HOPS 255u
#define VSW_ND_ROUTER 0x80u /* flags of an advertisement */
#define VSW_ND_SOLICITED 0x40u
#define VSW_ND_OVERRIDE 0x20u
#define VSW_ARP_ANSWER_LEN (VSW_ETH_LEN + VSW_ARP_LEN)
#define VSW_ND_ANSWER_LEN (VSW_ETH_LEN + VSW_IP6_LEN + VSW_ND_LEN + 8u)

/* Chosen by us: of one answer, with room for a tag and a virtio-net header in front. */
#define VSW_ANSWER_SIZE 128u
#define VSW_ANSWER_AT 16u

enum vsw_asks {
    VSW_ASKS_NOTHING,
    VSW_ASKS_NOBODY,   /* it only tells, or asks in vain */
    VSW_ASKS_NEIGHBOUR,
};

struct vsw_asked {
    enum vsw_asks asks;
    uint8_t ip_len;     /* 4 or 16 */
    const uint8_t *ip;  /* that is asked for */
    const uint8_t *from; /* the IP address of who asks */
    const uint8_t *mac; /* the station the answer is for */
};

static inline bool vsw_is_zero(const uint8_t *p, size_t len)
{
    static const uint8_t zero[16];

    return memcmp(p, zero, len) == 0;
}

static inline bool vsw_is_station(const uint8_t *mac)
{
    return !vsw_mac_is_group(mac) && !vsw_mac_is_zero(mac);
}

/* What @len bytes of ARP ask; @all: they are for a group. */
static inline void vsw_asked_by_arp(struct vsw_asked *q, const uint8_t *arp, uint32_t len, bool all)
{
    const uint8_t *sender = arp + 14, *target = arp + 24;
    uint16_t operation;

    /* The hardware type is not asked, as there: some say 6, IEEE 802 (RFC 1042). */
    if (len < VSW_ARP_LEN || vsw_be16(arp + 2) != VSW_TYPE_IP4 || arp[4] != 6 || arp[5] != 4)
        return;
    if (target[0] == 127 || target[0] >> 4 == 14) /* RFC 1122 3.2.1.3, RFC 1112 4 */
        return;
    operation = vsw_be16(arp + 6);
    if (operation == VSW_RARP_REQUEST || operation == VSW_RARP_REPLY ||
        (operation == VSW_ARP_REQUEST && !all))
        return;
    if (vsw_is_zero(sender, 4) || memcmp(sender, target, 4) == 0)
        q->asks = VSW_ASKS_NOBODY;
    else if (operation == VSW_ARP_REQUEST && vsw_is_station(arp + 8))
        *q = (struct vsw_asked){VSW_ASKS_NEIGHBOUR, 4, target, sender, arp + 8};
}

/* Find in the options at @at of a solicitation who asks, if they say; whether they are valid. */
static inline bool vsw_asked_options(struct vsw_asked *q, const uint8_t *at, const uint8_t *end)
{
    bool found = false;

    for (unsigned n = 0; at < end; n++) {
        if (n == VSW_GUARD_OPTIONS_MAX || end - at < 8 || !at[1] || at[1] * 8 > end - at)
            return false;
        if (at[0] == VSW_ND_SOURCE_MAC && !found) {
            if (at[1] != 1)
                return false;
            q->mac = at + 2;
            found = true;
        }
        at += at[1] * 8;
    }
    return true;
}

static inline void vsw_asked_solicit(struct vsw_asked *q, const uint8_t *ip, uint32_t len,
                                     const uint8_t *mac)
{
    const uint8_t *message = ip + VSW_IP6_LEN, *target = message + 8, *from = ip + 8;
    struct vsw_asked asked = {VSW_ASKS_NEIGHBOUR, 16, target, from, mac};

    if (vsw_is_zero(from, 16) || memcmp(from, ip + 24, 16) == 0)
        q->asks = VSW_ASKS_NOBODY;
    else if (target[0] != 0xFF && from[0] != 0xFF &&
             vsw_asked_options(&asked, message + VSW_ND_LEN, message + len) &&
             vsw_is_station(asked.mac))
        *q = asked;
}

/* The same of IPv6, of a frame with the addresses @eth. */
static inline void vsw_asked_by_nd(struct vsw_asked *q, const uint8_t *ip, uint32_t room,
                                   const uint8_t *eth)
{
    const uint8_t *message = ip + VSW_IP6_LEN;
    uint32_t len;

    if (room < VSW_IP6_LEN + VSW_ND_LEN || ip[0] >> 4 != 6 || ip[6] != VSW_PROTO_ICMP6 ||
        ip[7] != VSW_ND_HOPS || message[1])
        return;
    len = vsw_be16(ip + 4);
    if (len < VSW_ND_LEN || len > room - VSW_IP6_LEN)
        return;
    if (message[0] == VSW_ND_SOLICIT && vsw_mac_is_group(eth))
        vsw_asked_solicit(q, ip, len, eth + 6);
    else if (message[0] == VSW_ND_ADVERT && !(message[4] & VSW_ND_SOLICITED))
        q->asks = VSW_ASKS_NOBODY;
}

/* What @f, which was admitted, asks.  What is hidden behind more than the tag of its VLAN is asked
 * of nobody; of a frame in pieces the head decides, which is longer than any question. */
static inline struct vsw_asked vsw_asked_of(const struct vsw_frame *f)
{
    struct vsw_asked q = {.asks = VSW_ASKS_NOTHING};
    uint32_t at = f->tagged ? VSW_ETH_LEN + VSW_TAG_LEN : VSW_ETH_LEN, end = vsw_headers_len(f);
    uint16_t type = at <= end ? vsw_be16(f->data + at - 2) : 0;

    if (type == VSW_TYPE_ARP)
        vsw_asked_by_arp(&q, f->data + at, end - at, vsw_mac_is_group(f->data));
    else if (type == VSW_TYPE_IP6)
        vsw_asked_by_nd(&q, f->data + at, end - at, f->data);
    return q;
}

/* Write to @to the answer to @q that @n would give; its length. */
static inline uint32_t vsw_answer_arp(uint8_t *to, const struct vsw_asked *q,
                                      const struct vsw_neigh *n)
{
    static const uint8_t ethernet_and_ip4[6] = {0, 1, 8, 0, 6, 4};
    uint8_t *arp = to + VSW_ETH_LEN;

    vsw_put_be16(to + 12, VSW_TYPE_ARP);
    memcpy(arp, ethernet_and_ip4, 6);
    vsw_put_be16(arp + 6, VSW_ARP_REPLY);
    memcpy(arp + 8, n->mac, 6);
    memcpy(arp + 14, q->ip, 4);
    memcpy(arp + 18, q->mac, 6);
    memcpy(arp + 24, q->from, 4);
    return VSW_ARP_ANSWER_LEN;
}

/* The same of IPv6.  As there, what is left of the traffic class is its upper half. */
static inline uint32_t vsw_answer_nd(uint8_t *to, const struct vsw_asked *q,
                                     const struct vsw_neigh *n)
{
    uint8_t *ip = to + VSW_ETH_LEN, *message = ip + VSW_IP6_LEN;
    const uint8_t *asked = q->from - 8;
    uint64_t sum;

    vsw_put_be16(to + 12, VSW_TYPE_IP6);
    memset(ip, 0, VSW_IP6_LEN + VSW_ND_LEN + 8);
    ip[0] = (uint8_t)(0x60 | (asked[0] & 15));
    vsw_put_be16(ip + 4, VSW_ND_LEN + 8);
    ip[6] = VSW_PROTO_ICMP6;
    ip[7] = VSW_ND_HOPS;
    memcpy(ip + 8, q->ip, 16);
    memcpy(ip + 24, q->from, 16);
    message[0] = VSW_ND_ADVERT;
    message[4] = (uint8_t)(VSW_ND_SOLICITED | VSW_ND_OVERRIDE | (n->router ? VSW_ND_ROUTER : 0));
    memcpy(message + 8, q->ip, 16);
    message[VSW_ND_LEN] = VSW_ND_TARGET_MAC;
    message[VSW_ND_LEN + 1] = 1;
    memcpy(message + VSW_ND_LEN + 2, n->mac, 6);
    sum = vsw_csum_pseudo6(ip + 8, VSW_PROTO_ICMP6, VSW_ND_LEN + 8) +
          vsw_csum_copy(NULL, message, VSW_ND_LEN + 8);
    vsw_csum_put(message + 2, (uint16_t)~vsw_csum_fold(sum));
    return VSW_ND_ANSWER_LEN;
}

/* Have @src, where @f came from, get the answer to @q that @n would give; whether there was room for
 * it, and @src may send in that VLAN. */
static inline bool vsw_answer(struct vsw_poller *p, const struct vsw_port *src,
                              const struct vsw_frame *f, const struct vsw_asked *q,
                              const struct vsw_neigh *n)
{
    uint32_t i = p->burst.n;
    struct vsw_frame *answer = &p->burst.frame[i];
    uint8_t *to;

    if (i == VSW_BURST || (src->vlans && !vsw_vlan_has(src->vlans, f)))
        return false;
    to = p->answers + (size_t)i * VSW_ANSWER_SIZE + VSW_ANSWER_AT;
    memset(to - VSW_VNET_LEN, 0, VSW_VNET_LEN); /* it is finished */
    memcpy(to, q->mac, 6);
    memcpy(to + 6, n->mac, 6);
    memset(answer, 0, sizeof(*answer));
    vsw_frame_set(answer, to, q->ip_len == 4 ? vsw_answer_arp(to, q, n) : vsw_answer_nd(to, q, n));
    answer->src = vsw_fdb_key(n->vid, n->mac);
    answer->priority = f->priority;
    p->burst.mirrored[i] = 0;
    p->burst.n++;
    vsw_egress_add(p, src->id, answer);
    p->answered++;
    return true;
}

/* The port that the station of @n is behind, or VSW_PORT_NONE. */
static inline uint16_t vsw_neigh_port(const struct vsw_poller *p, struct vsw_fdb *t,
                                      const struct vsw_neigh *n)
{
    uint64_t key = vsw_fdb_key(n->vid, n->mac);

    return vsw_fdb_lookup(t, key, vsw_fdb_hash(t, key), p->now_s);
}

/* Whether @f, which came in by @src and is to be flooded, is not to leave by ports with
 * VSW_NEIGH_SUPPRESS; it may have been answered.  @t: the stations of @ports. */
static __attribute__((noinline, unused)) bool
vsw_suppress(struct vsw_poller *p, struct vsw_fdb *t, const struct vsw_port *ports,
             const struct vsw_port *src, const struct vsw_frame *f)
{
    struct vsw_asked q;

    if (src->rules & VSW_NEIGH_SUPPRESS)
        return false;
    q = vsw_asked_of(f);
    if (q.asks == VSW_ASKS_NOTHING)
        return false;
    if (q.asks == VSW_ASKS_NEIGHBOUR) {
        const struct vsw_neigh *n =
            p->neighs ? vsw_neigh_find(p->neighs, vsw_key_vid(f->src), q.ip, q.ip_len) : NULL;
        uint16_t at = n ? vsw_neigh_port(p, t, n) : (uint16_t)VSW_PORT_NONE;

        if (at == VSW_PORT_NONE)
            return false;
        if (ports[at].rules & VSW_NEIGH_SUPPRESS && !vsw_answer(p, src, f, &q, n))
            return false;
    }
    p->suppressed++;
    return true;
}

#endif
