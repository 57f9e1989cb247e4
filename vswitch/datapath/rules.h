/* rules.h - what else decides what enters a port and leaves it, beyond whether it forwards.
 *
 * A port without rules costs one test of a word that is read anyway.  The names are those of
 * bridge(8); the order of the tests is that of the Linux bridge (br_handle_frame_finish(),
 * should_deliver() and br_flood() in net/bridge).
 */
#ifndef VSW_RULES_H
#define VSW_RULES_H

#include "datapath/fdb.h"
#include "datapath/guard.h"
#include "datapath/meter.h"
#include "datapath/loop.h"
#include "datapath/mab.h"
#include "datapath/punt.h"
#include "datapath/vlan.h"

enum vsw_rule {
    /* of what leaves */
    VSW_BLOCKED = 1u << 0,  /* nothing does: the port is not forwarding */
    VSW_VLANS = 1u << 1,    /* members of the VLAN only */
    VSW_ISOLATED = 1u << 2, /* nothing that came from another isolated port */
    VSW_NO_FLOOD = 1u << 3, /* no unknown unicast */
    VSW_NO_MCAST_FLOOD = 1u << 4,
    VSW_NO_BCAST_FLOOD = 1u << 5,
    VSW_BACKUP = 1u << 6,  /* its link is down: the backup gets what is for it */
    VSW_HAIRPIN = 1u << 7, /* also what came from there */
    /* of what enters */
    VSW_LOCKED = 1u << 8,      /* only from stations whose entry is here */
    VSW_LIMIT_DROP = 1u << 9,  /* nothing from stations that could not be learned */
    VSW_GUARDED_IN = 1u << 10, /* only what the port's guard admits; guard.h */
    VSW_METERED = 1u << 11,    /* no more than its meters let pass; meter.h */
    /* of both */
    VSW_MIRRORED = 1u << 12, /* mirrors look at it, mirror.h */
    VSW_ASIDE = 1u << 13,    /* the target of mirrors: nothing else leaves, and nothing enters */
    VSW_PROBED = 1u << 14,   /* of what enters, our probes are for the control plane, loop.h */
    VSW_NEIGH_SUPPRESS = 1u << 15, /* no questions that are answered here, suppress.h */
};
/* Those that are asked of the port where a frame is to leave. */
#define VSW_RULES_OUT (0xFFu | VSW_ASIDE)
#define VSW_RULES_FLOOD (VSW_RULES_OUT | VSW_NEIGH_SUPPRESS) /* if it is flooded */
#define VSW_RULES_IN (VSW_LOCKED | VSW_GUARDED_IN | VSW_METERED | VSW_ASIDE | VSW_PROBED)
#define VSW_RULES_STAY (VSW_LIMIT_DROP | VSW_GUARDED_IN)

typedef unsigned (*vsw_entrance)(struct vsw_poller *, const struct vsw_fdb *,
                                 const struct vsw_port *, struct vsw_frame *, const uint8_t *);
typedef unsigned (*vsw_question)(struct vsw_poller *, struct vsw_fdb *, const struct vsw_port *,
                                 const struct vsw_frame *);

enum vsw_flood { VSW_FLOOD_UNICAST, VSW_FLOOD_MULTICAST, VSW_FLOOD_BROADCAST };

/* What flooding @f is called. */
static inline enum vsw_flood vsw_flood_of(const struct vsw_frame *f)
{
    if (!vsw_mac_is_group(f->data))
        return VSW_FLOOD_UNICAST;
    return vsw_mac_is_broadcast(f->data) ? VSW_FLOOD_BROADCAST : VSW_FLOOD_MULTICAST;
}

/* Whether @f, which came in by @src, may leave by @dst. */
static inline bool vsw_may_leave(const struct vsw_port *src, const struct vsw_port *dst,
                                 const struct vsw_frame *f)
{
    if (dst->rules & (VSW_BLOCKED | VSW_ASIDE) || (dst == src && !(src->rules & VSW_HAIRPIN)))
        return false;
    if (src->rules & dst->rules & VSW_ISOLATED)
        return false;
    return !dst->vlans || vsw_vlan_has(dst->vlans, f);
}

/* Whether @dst, which is not where @f came from, takes all that is for it; VLANs are looked at here, as
 * they are set of every port or of none. */
static inline bool vsw_may_pass(const struct vsw_port *dst, const struct vsw_frame *f)
{
    unsigned rules = dst->rules & VSW_RULES_OUT;

    return !rules || (rules == VSW_VLANS && vsw_vlan_has(dst->vlans, f));
}

/* The same of a flooded frame, which is not for ports that have one of the rules @bar. */
static inline bool vsw_may_flood(const struct vsw_port *src, const struct vsw_port *dst,
                                 const struct vsw_frame *f, unsigned bar)
{
    return !(dst->rules & bar) && vsw_may_leave(src, dst, f);
}

/* The rule of ports to which nothing is flooded of the kind of @f. */
static inline unsigned vsw_flood_bar(const struct vsw_frame *f)
{
    return (unsigned)VSW_NO_FLOOD << vsw_flood_of(f);
}

/* The port that gets what is for @dst, as rules have it.  One step: a backup of a backup is not
 * asked, as in the Linux bridge (br_forward()). */
static inline const struct vsw_port *vsw_port_for(const struct vsw_port *ports,
                                                  const struct vsw_port *dst)
{
    return dst->rules & VSW_BACKUP ? &ports[dst->backup] : dst;
}

/* A burst of @src has come in: what its rules need to know of it. */
static inline void vsw_rules_begin(struct vsw_poller *p, const struct vsw_port *src)
{
    if (src->rules & VSW_METERED)
        vsw_poller_look_at_clock(p);
}

/* Whether @f, to be flooded, is one too many of its kind from @src. */
static inline bool vsw_is_storm(const struct vsw_poller *p, const struct vsw_port *src,
                                const struct vsw_frame *f)
{
    return src->rules & VSW_METERED && vsw_meter_drops(p, &src->policy->meters->storm[vsw_flood_of(f)], f);
}

/* Whether the source of @f is known to be at @src. */
static inline bool vsw_is_from(const struct vsw_poller *p, struct vsw_fdb *t,
                               const struct vsw_port *src, const struct vsw_frame *f)
{
    return vsw_fdb_lookup(t, f->src, f->src_hash, p->now_s) == src->id;
}

/* Let @f be known by its addresses and by VLAN @vid from here on. */
static inline void vsw_frame_key(struct vsw_frame *f, const struct vsw_fdb *t, uint16_t vid)
{
    const uint64_t src = vsw_fdb_key(vid, f->data + 6), dst = vsw_fdb_key(vid, f->data);
    const uint64_t src_hash = vsw_fdb_hash(t, src), dst_hash = vsw_fdb_hash(t, dst);

    vsw_fdb_prefetch(t, src_hash);
    vsw_fdb_prefetch(t, dst_hash);
    f->src = src; /* stored at the end: a store may be one to the table, as far as the compiler knows */
    f->dst = dst;
    f->src_hash = src_hash;
    f->dst_hash = dst_hash;
}

/* Judge @f, just received by @src, which has no VLANs, and make it known.  VSW_ADMITTED or why not. */
static inline unsigned vsw_enter(struct vsw_poller *p, const struct vsw_fdb *t,
                                 const struct vsw_port *src, struct vsw_frame *f,
                                 const uint8_t *reserved)
{
    enum vsw_drop why = vsw_admit(f, reserved);

    (void)p, (void)src; /* its twin asks them */
    if (why == VSW_ADMITTED)
        vsw_frame_key(f, t, 0);
    return why;
}

/* The same of a port that has.  VSW_PUNTED: it is of no VLAN here, and for the control plane, which speaks
 * with the neighbour on the wire, not with a station in a VLAN (LLDP, spanning tree); it has it. */
static inline unsigned vsw_enter_vlan(struct vsw_poller *p, const struct vsw_fdb *t,
                                      const struct vsw_port *src, struct vsw_frame *f,
                                      const uint8_t *reserved)
{
    enum vsw_drop why = vsw_admit(f, reserved);
    uint16_t vid;

    if (why == VSW_ADMITTED)
        why = vsw_vlan_enter(src->vlans, p, f, &vid);
    if (why == VSW_ADMITTED)
        vsw_frame_key(f, t, vid);
    if (why != VSW_DROP_VLAN || f->verdict != VSW_PUNT)
        return why;
    vsw_punt(p, &p->counters[src->id], src, f);
    return VSW_PUNTED;
}

/* Why @f may not enter by @src, VSW_PUNTED or VSW_DROP_N: asked before its source is learned. */
static inline unsigned vsw_may_enter(struct vsw_poller *p, struct vsw_fdb *t,
                                     const struct vsw_port *src, const struct vsw_frame *f)
{
    if (src->rules & VSW_ASIDE)
        return VSW_DROP_BLOCKED;
    if (src->rules & VSW_PROBED && vsw_is_probe(p, f))
        return vsw_probe_is_heard(p) ? VSW_PUNTED : (unsigned)VSW_DROP_PUNT_FULL;
    if (src->rules & VSW_LOCKED && !vsw_mab_admits(p, t, src, f))
        /* Who unlocks it has to be asked: 802.1X.  bridge(8), "non-link-local". */
        return f->verdict == VSW_PUNT ? VSW_PUNTED : (unsigned)VSW_DROP_GUARDED;
    if (src->rules & VSW_GUARDED_IN && !vsw_guard_admits(p, src, f))
        return VSW_DROP_GUARDED;
    if (src->rules & VSW_METERED && vsw_meter_drops(p, &src->policy->meters->police, f))
        return VSW_DROP_POLICED;
    return VSW_DROP_N;
}

/* The same, asked afterwards. */
static inline unsigned vsw_may_stay(struct vsw_poller *p, struct vsw_fdb *t,
                                    const struct vsw_port *src, const struct vsw_frame *f)
{
    if (src->rules & VSW_LIMIT_DROP && !vsw_is_from(p, t, src, f))
        return VSW_DROP_GUARDED;
    if (src->rules & VSW_GUARDED_IN && src->policy->guard->checks & VSW_GUARD_HOLDS &&
        vsw_fdb_is_held_elsewhere(t, f->src, f->src_hash, src->id, p->now_s))
        return VSW_DROP_GUARDED;
    return VSW_DROP_N;
}

#endif
