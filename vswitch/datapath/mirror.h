/* mirror.h - copies of what passes some ports, for another one.
 *
 *   enters a source:  as it was received, once it was admitted; what is decided of it is no matter
 *   leaves a source:  as it leaves, with that port's tag; whether the port had room is no matter
 *   the target:       takes nothing else, and what it receives goes nowhere (VSW_ASIDE)
 *
 * As in Open vSwitch (mirror_packet() in ofproto/ofproto-dpif-xlate.c) a frame that is none, or is of
 * no VLAN of its port, is not mirrored, one that enters a port that does not forward is not either,
 * and no target gets a frame twice, however many mirrors and ports it passes.  Unlike there it keeps
 * the form it has at the source, whatever VLANs are set of the target: who looks for a missing tag has
 * to see it missing.
 *
 * Copies are sent at once, not with the rest of the burst, since a tag changes in place as a frame
 * leaves one port after the other.  A frame is not copied for that, only sent once more; a target
 * without room loses it (tx_full), and nobody waits.
 */
#ifndef VSW_MIRROR_H
#define VSW_MIRROR_H

#include "datapath/finish.h"
#include "datapath/rules.h"

#define VSW_MIRRORS_MAX 32u /* a bit each in a word of a frame; Open vSwitch has as many */

struct vsw_mirror_to {
    const struct vsw_port *to;
    uint32_t same;        /* a bit for each mirror to this port, its own included */
    const uint64_t *vids; /* a bit per VLAN that it takes; NULL: all, and frames of none */
};

/* Which mirrors look at a port: a bit each, numbers in `all`. */
struct vsw_mirror {
    uint32_t in, out;
    const struct vsw_mirror_to *all;
};

/* Send @m those of the burst's @n frames that it has not yet; @list: those, or NULL for all. */
static inline void vsw_mirror_send(struct vsw_poller *p, const struct vsw_mirror_to *m, unsigned n,
                                   const struct vsw_frame *const *list)
{
    unsigned touched = p->n_touched;

    if (!p->burst.is_mirrored)
        memset(p->burst.mirrored, 0, p->burst.n * sizeof(p->burst.mirrored[0]));
    p->burst.is_mirrored = true;
    if ((m->to->rules & (VSW_ASIDE | VSW_BLOCKED)) != VSW_ASIDE)
        return;
    for (unsigned i = 0; i < n; i++) {
        const struct vsw_frame *f = list ? list[i] : &p->burst.frame[i];
        uint32_t *has = &p->burst.mirrored[f - p->burst.frame];

        if (*has & m->same || (m->vids && !vsw_vid_in(m->vids, vsw_key_vid(f->src))))
            continue;
        *has |= m->same;
        vsw_egress_add(p, m->to->id, f);
    }
    p->n_touched = touched; /* it is not to wait for the others */
    if (p->egress[m->to->id].n)
        vsw_egress_send(p, m->to);
}

/* The burst has entered by @port, which some mirrors look at. */
static __attribute__((noinline, unused)) void vsw_mirror_in(struct vsw_poller *p,
                                                            const struct vsw_port *port)
{
    const struct vsw_mirror *its = port->policy->mirror;

    if (!port->forwarding)
        return;
    for (uint32_t rest = its->in; rest; rest &= rest - 1)
        vsw_mirror_send(p, &its->all[__builtin_ctz(rest)], p->burst.n, NULL);
}

/* What the burst has for @port, which some mirrors look at, is about to leave, in the form it has. */
static __attribute__((noinline, unused)) void vsw_mirror_out(struct vsw_poller *p,
                                                             const struct vsw_port *port)
{
    const struct vsw_mirror *its = port->policy->mirror;
    const struct vsw_egress *out = &p->egress[port->id];

    for (uint32_t rest = its->out; rest; rest &= rest - 1)
        vsw_mirror_send(p, &its->all[__builtin_ctz(rest)], out->n, out->frame);
}

#endif
