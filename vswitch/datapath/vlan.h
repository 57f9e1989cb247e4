/* vlan.h - which VLAN a frame is of, whether a port is too, and which tag it leaves with.
 *
 * While no port has a VLAN option the switch takes no notice of tags: all frames are of VLAN 0, and
 * a port has no struct vsw_vlans.  Then every port has one, that of a port without options is
 * of all VLANs, with untagged frames in VLAN 0.
 *
 *   received:  tag of the port's EtherType, VID 1..4094 -> that VLAN, by way of `inward`
 *              none, or VID 0 (priority-tagged)         -> the port's PVID
 *              not acceptable, no PVID, not a member    -> VSW_DROP_VLAN
 *   sent:      to members of the VLAN only; with a tag of that port's EtherType, or with none
 *
 * Stations are learned per VLAN (independent learning, IEEE 802.1Q-2018 8.8.8): its number is part of
 * the key.
 *
 * A frame is read as it came, and a tag changed only as the frame leaves, in place: between two
 * ports that want the same form nothing is written at all.  So whoever receives for a port with
 * VLANs leaves VSW_TAG_LEN bytes free before the virtio-net header, in memory that may be written.
 * Lengths are compared with the MTU without the tag, as by the Linux bridge.
 *
 * A super-frame behind a tag that is neither of 802.1Q nor of 802.1ad, or behind a third one, is cut,
 * whatever the port can do: no kernel finds its headers there (skb_network_protocol()).
 *
 * IEEE 802.1Q-2018 6.9 (support of the service), 8.6.2 (ingress), 8.6.4 (egress).
 */
#ifndef VSW_VLAN_H
#define VSW_VLAN_H

#include "datapath/pieces.h"
#include "datapath/poller.h"
#include "datapath/port.h"
#include "datapath/tag.h"

/* From specifications. */
#define VSW_VIDS 4096u /* IEEE 802.1Q-2018 9.6: twelve bits */
#define VSW_VID_MASK 0xFFFu

/* Chosen by us. */
/* Beside enum vsw_offload, and no port can do it: a super-frame is to be cut before it leaves. */
#define VSW_CUT_HERE (1u << 6)
#define VSW_VID_NONE 4095u /* reserved by IEEE 802.1Q-2018 table 9-2: no VLAN at all */
#define VSW_UNTAGGED 0xFFFFu /* instead of a VID on the wire: without a tag */

/* Of one port and VLAN; written by one poller each. */
struct vsw_vlan_counters {
    uint64_t rx_frames; /* admitted */
    uint64_t rx_bytes;  /* with the tag, as they came */
    uint64_t tx_frames; /* handed to the port, which may have had no room */
    uint64_t tx_bytes;
};

/* Read by pollers, written by the control plane while they are parked.  What the options of a port
 * come to is in the two tables, so that one look says it. */
struct vsw_vlans {
    uint16_t tpid; /* EtherType of this port's tags */
    uint64_t member[VSW_VIDS / 64]; /* a bit per VLAN */
    uint16_t inward[VSW_VIDS]; /* VID on the wire, 0: no VLAN -> our VLAN; VSW_VID_NONE: may not enter */
    uint16_t outward[VSW_VIDS]; /* our VLAN -> VID on the wire; VSW_UNTAGGED */
    struct vsw_vlan_counters *counters; /* [poller][VSW_VIDS] */
};

static inline bool vsw_vid_in(const uint64_t *set, uint16_t vid)
{
    return set[vid / 64] >> (vid % 64) & 1;
}

/* Whether the VLAN of @f is one of @v's. */
static inline bool vsw_vlan_has(const struct vsw_vlans *v, const struct vsw_frame *f)
{
    return vsw_vid_in(v->member, vsw_key_vid(f->src));
}

/* Find the VLAN of @f, received by a port with @v, set tagged and priority, and count it.  VSW_DROP_N,
 * or why it may not enter. */
static inline enum vsw_drop vsw_vlan_enter(const struct vsw_vlans *v, const struct vsw_poller *p,
                                           struct vsw_frame *f, uint16_t *its_vid)
{
    struct vsw_vlan_counters *c = &v->counters[p->id * VSW_VIDS];
    uint16_t vid = 0, tci;

    if (vsw_ethertype(f) == v->tpid) {
        if (f->len < VSW_ETH_LEN + VSW_TAG_LEN)
            return VSW_DROP_VLAN;
        /* A checksum over the tag could not be had without it. */
        if (f->needs & VSW_CSUM && vsw_le16(vsw_vnet(f) + VSW_VNET_CSUM_START) < VSW_ETH_LEN + VSW_TAG_LEN)
            return VSW_DROP_BAD_OFFLOAD;
        tci = vsw_be16(f->data + VSW_ETH_LEN);
        vid = tci & VSW_VID_MASK;
        f->tagged = 1;
        f->priority = (uint8_t)(tci >> 12);
    }
    vid = v->inward[vid];
    if (vid == VSW_VID_NONE)
        return VSW_DROP_VLAN;
    *its_vid = vid;
    c[vid].rx_frames++;
    c[vid].rx_bytes += f->len;
    return VSW_DROP_N;
}

/* Bytes of @f without the tag that says its VLAN. */
static inline uint32_t vsw_frame_bare_len(const struct vsw_frame *f)
{
    return f->len - (f->tagged ? VSW_TAG_LEN : 0u);
}

static inline void vsw_vlan_tag(struct vsw_burst *b, struct vsw_frame *f, uint16_t tpid, uint16_t tci)
{
    uint8_t *data = (uint8_t *)(uintptr_t)f->data;

    if (!f->tagged) {
        vsw_frame_whole(b, f); /* the list of pieces has its place relative to data */
        f->data = vsw_tag_put_back(data, tpid, tci);
        f->len += VSW_TAG_LEN;
        f->tagged = 1;
    } else if (vsw_be32(data + VSW_TAG_AT) != ((uint32_t)tpid << 16 | tci)) {
        vsw_put_be32(data + VSW_TAG_AT, (uint32_t)tpid << 16 | tci);
    }
}

static inline void vsw_vlan_untag(struct vsw_burst *b, struct vsw_frame *f)
{
    if (!f->tagged)
        return;
    vsw_frame_whole(b, f);
    f->data = vsw_tag_take_out((uint8_t *)(uintptr_t)f->data);
    f->len -= VSW_TAG_LEN;
    f->tagged = 0;
}

/* Give the frames of @out from number @i on the tags they leave a port with @v with, or none, as long as
 * they are of one VLAN, and count them in @c.  Returns the number of the first that is not. */
static inline unsigned vsw_vlan_form(struct vsw_burst *b, const struct vsw_vlans *v,
                                     struct vsw_vlan_counters *c, const struct vsw_egress *out, unsigned i)
{
    uint16_t vid = vsw_key_vid(out->frame[i]->src), wire = v->outward[vid];
    unsigned first = i;
    uint64_t n_bytes = 0;

    for (; i < out->n && vsw_key_vid(out->frame[i]->src) == vid; i++) {
        struct vsw_frame *f = (struct vsw_frame *)(uintptr_t)out->frame[i]; /* it is the burst's */

        if (wire == VSW_UNTAGGED)
            vsw_vlan_untag(b, f);
        else
            vsw_vlan_tag(b, f, v->tpid, (uint16_t)(f->priority << 12 | wire));
        n_bytes += f->len;
    }
    c[vid].tx_frames += i - first;
    c[vid].tx_bytes += n_bytes;
    return i;
}

/* Lengths were taken with the tags that frames came with, and are compared without. */
static inline void vsw_vlan_measure(struct vsw_egress *out)
{
    out->longest = 0;
    for (unsigned i = 0; i < out->n; i++)
        if (!(out->frame[i]->needs & VSW_GSO_BITS) && vsw_frame_bare_len(out->frame[i]) > out->longest)
            out->longest = vsw_frame_bare_len(out->frame[i]);
}

/* Who gets a super-frame looks for its headers behind as many tags as we do, of types that are known.
 * Where that would fail, behind one more or one of 0x9100, it gets no super-frame. */
static __attribute__((noinline, unused)) void vsw_vlan_cut(struct vsw_egress *out)
{
    for (unsigned i = 0; i < out->n; i++) {
        struct vsw_frame *f = (struct vsw_frame *)(uintptr_t)out->frame[i];
        const struct vsw_frame theirs = {.data = f->data, .len = f->len};
        struct vsw_vnet_layout at;
        uint16_t type = vsw_vnet_parse_l2(&theirs, &at);

        f->needs &= (uint8_t)~VSW_CUT_HERE;
        if (f->needs & VSW_GSO_BITS && type != VSW_VNET_ETH_IPV4 && type != VSW_VNET_ETH_IPV6)
            f->needs |= VSW_CUT_HERE;
        out->needs |= f->needs;
    }
}

/* Have all frames that leave by @port, which has VLANs, do so in the form it asks for. */
static __attribute__((noinline, unused)) void
vsw_vlan_leave(struct vsw_poller *p, const struct vsw_port *port, struct vsw_egress *out)
{
    const struct vsw_vlans *v = port->vlans;
    struct vsw_vlan_counters *c = &v->counters[p->id * VSW_VIDS];

    for (unsigned i = 0; i < out->n;)
        i = vsw_vlan_form(&p->burst, v, c, out, i);
    if (out->needs & VSW_GSO_BITS)
        vsw_vlan_cut(out);
    if (out->longest > port->max_len)
        vsw_vlan_measure(out);
}

#endif
