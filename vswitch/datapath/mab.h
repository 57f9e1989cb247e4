/* mab.h - who may enter by a locked port, and who is noted there (MAC authentication bypass).
 *
 * locked: only frames of stations that have an entry at the port enter.  With mab on the others
 * knock: a station that nobody knows gets a locked entry, so that somebody may ask who it is; its
 * frame is dropped, and so are its next ones, which keep the entry young.
 *
 *   unknown --knocks--> locked --by command--> an entry like others, and it may enter
 *                       locked --not heard for the ageing time--> unknown
 *                       locked --heard at a port that is not locked--> learned there
 *
 * A locked entry does everything else that others do: frames for the station leave by the port, and
 * the limits count it.  What an attacker gets: he can knock as any station that is not known, and is
 * then sent what is for it, until it speaks; nobody who is known elsewhere is moved or shut out.  As
 * in the Linux bridge (br_handle_frame_finish() in net/bridge/br_input.c, br_fdb_update() in br_fdb.c),
 * but for reserved addresses: who says something to one of these, and it goes no further, is not noted,
 * as there with no_linklocal_learn.
 */
#ifndef VSW_MAB_H
#define VSW_MAB_H

#include "datapath/admit.h"
#include "datapath/fdb.h"
#include "datapath/poller.h"
#include "datapath/port.h"

/* The source of @f, whose entry is @at, if it has one, knocks at @src. */
static inline void vsw_mab_note(struct vsw_poller *p, struct vsw_fdb *t, const struct vsw_port *src,
                                const struct vsw_frame *f, struct vsw_fdb_place at)
{
    uint64_t heard = vsw_fdb_value(p->now_s, src->id, 0, VSW_FDB_LOCKED);

    if (!src->mab || !src->learning || f->verdict != VSW_FORWARD)
        return;
    if (!at.bucket)
        vsw_fdb_learn_new(t, f->src, f->src_hash, heard, p->events);
    else if (vsw_value_time_and_port(at.value) != vsw_value_time_and_port(heard))
        vsw_fdb_refresh(t, at, f->src, heard, p->events);
}

/* Whether @f may enter by @src, which is locked. */
static __attribute__((noinline, unused)) bool
vsw_mab_admits(struct vsw_poller *p, struct vsw_fdb *t, const struct vsw_port *src,
               const struct vsw_frame *f)
{
    struct vsw_fdb_place at = vsw_fdb_find(t, f->src, f->src_hash);
    bool is_known = at.bucket && !vsw_fdb_expired(t, at.value, p->now_s);

    if (is_known && vsw_value_port(at.value) != src->id)
        return false;
    if (is_known && !(at.value & VSW_FDB_LOCKED))
        return true;
    vsw_mab_note(p, t, src, f, at);
    return false;
}

#endif
