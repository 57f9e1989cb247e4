/* loop.h - probes of the loop detector, recognised when they come back.
 *
 * wire/loop.py has the format, and why it is that.  Here a probe is only known by its address, its
 * EtherType and the id of the switch that sent it; whether it is genuine is judged by the control
 * plane, with a key.  Those of other switches are frames like any.  A probe may have got tags on its
 * way: they are passed over.
 */
#ifndef VSW_LOOP_H
#define VSW_LOOP_H

#include "datapath/poller.h"
#include "datapath/tag.h"

/* Of wire/loop.py. */
#define VSW_PROBE_TYPE 0x9000u
#define VSW_PROBE_ID_LEN 8u
#define VSW_PROBE_ID_AT 8u /* behind the EtherType */

/* Chosen by us. */
#define VSW_PROBE_TAGS 2u /* that are passed over */
/* To know of a loop one is enough; a poller may hear many more, when a loop elsewhere multiplies them,
 * or somebody sends what looks like one.  As many as the switch sends at most (loopsweep.py), or a loop
 * in all VLANs would hide another in one. */
#define VSW_PROBES_A_SECOND 2048u

/* Whether @f is a probe with the id of our switch. */
static inline bool vsw_is_probe(const struct vsw_poller *p, const struct vsw_frame *f)
{
    static const uint8_t group[6] = {0x03, 'V', 'S', 'W', 'L', 'P'};
    uint32_t at = VSW_TAG_AT;

    if (!p->probe_id || memcmp(f->data, group, sizeof(group)) != 0)
        return false;
    for (unsigned tags = 0; tags < VSW_PROBE_TAGS && at + 2 + VSW_TAG_LEN <= f->len; tags++) {
        uint16_t type = vsw_be16(f->data + at);

        if (type != 0x8100 && type != 0x88A8) /* IEEE 802.1Q-2018 table 9-1 */
            break;
        at += VSW_TAG_LEN;
    }
    return at + 2 + VSW_PROBE_ID_AT + VSW_PROBE_ID_LEN <= f->len &&
           vsw_be16(f->data + at) == VSW_PROBE_TYPE &&
           memcmp(f->data + at + 2 + VSW_PROBE_ID_AT, p->probe_id, VSW_PROBE_ID_LEN) == 0;
}

/* Whether a probe may be given to the control plane, which is to have time for other things. */
static inline bool vsw_probe_is_heard(struct vsw_poller *p)
{
    if (p->probes_s != p->now_s) {
        p->probes_s = p->now_s;
        p->probes_left = VSW_PROBES_A_SECOND;
    }
    return p->probes_left && p->probes_left--;
}

#endif
