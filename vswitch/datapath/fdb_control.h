/* fdb_control.h - the forwarding database for the control plane: by command, by age, as a list.
 *
 * fdb.h tells how the table works; all of this may be called while pollers learn.
 */
#ifndef VSW_FDB_CONTROL_H
#define VSW_FDB_CONTROL_H

#include "datapath/fdb.h"

/* By command @old became @value; both may be none. */
static inline void vsw_fdb_tell(const struct vsw_fdb *t, enum vsw_event_kind kind, uint64_t key,
                                uint64_t old, uint64_t value)
{
    uint8_t flags = VSW_EVENT_BY_COMMAND | vsw_fdb_event_flags(old, value);

    vsw_events_put(t->events, (struct vsw_event){.key = key,
                                                 .at_s = vsw_fdb_dead_s(t, old),
                                                 .port = vsw_value_port(value),
                                                 .old_port = vsw_value_port(old),
                                                 .kind = (uint8_t)kind,
                                                 .flags = flags});
}

/* Take out the entry read at @at; false when it changed meanwhile. */
static inline bool vsw_fdb_remove(struct vsw_fdb *t, struct vsw_fdb_place at)
{
    if (!vsw_way_retire(at.bucket, at.way, at.value))
        return false;
    vsw_fdb_unreserve(t, vsw_value_port(at.value));
    return true;
}

/* Delete a station, static or not; false when it is not there. */
static inline bool vsw_fdb_delete(struct vsw_fdb *t, uint64_t key)
{
    struct vsw_fdb_place at;

    do {
        at = vsw_fdb_find(t, key, vsw_fdb_hash(t, key));
        if (!at.bucket)
            return false;
    } while (!vsw_fdb_remove(t, at));
    vsw_fdb_tell(t, VSW_EVENT_DELETED, key, at.value, vsw_value_none(0));
    return true;
}

/* Give a station an entry with enum vsw_fdb_flag @flags, replacing what is there.  0, or -ENOSPC,
 * -EXFULL: it stays as it is. */
static inline int vsw_fdb_enter(struct vsw_fdb *t, uint64_t key, uint16_t port, unsigned flags,
                                uint32_t now_s)
{
    uint64_t hash = vsw_fdb_hash(t, key), value;
    struct vsw_fdb_place at;
    int err;

    do {
        at = vsw_fdb_find(t, key, hash);
        value = vsw_fdb_value(now_s, port, vsw_value_generation(at.bucket ? at.value : 0), flags);
        err = at.bucket ? vsw_fdb_replace(t, at, value) : vsw_fdb_insert(t, key, hash, value);
    } while (err == -EAGAIN);
    if (!err)
        vsw_fdb_tell(t, VSW_EVENT_PINNED, key, at.bucket ? at.value : vsw_value_none(0), value);
    return err;
}

/* The same, static. */
static inline int vsw_fdb_pin(struct vsw_fdb *t, uint64_t key, uint16_t port)
{
    return vsw_fdb_enter(t, key, port, VSW_FDB_STATIC, 0);
}

/* The entry in way @w of @b, if one is published there. */
static inline bool vsw_fdb_at(struct vsw_fdb_bucket *b, int w, uint64_t *key,
                              struct vsw_fdb_place *at)
{
    *key = atomic_load(&b->key[w]);
    at->bucket = b;
    at->way = w;
    return *key && vsw_way_read(b, w, *key, &at->value);
}

/* Flush the stations of @port, or of all ports for VSW_PORT_NONE, whose flags in @mask are @flags;
 * return how many went. */
static inline uint32_t vsw_fdb_flush_some(struct vsw_fdb *t, uint16_t port, unsigned mask,
                                          unsigned flags)
{
    struct vsw_fdb_place at;
    uint32_t n = 0;
    uint64_t key;

    for (uint64_t i = 0; i < (t->mask + 1) * VSW_FDB_WAYS; i++) {
        if (!vsw_fdb_at(&t->bucket[i / VSW_FDB_WAYS], (int)(i % VSW_FDB_WAYS), &key, &at))
            continue;
        if (port != VSW_PORT_NONE && vsw_value_port(at.value) != port)
            continue;
        if ((vsw_value_flags(at.value) & mask) == flags && vsw_fdb_remove(t, at)) {
            vsw_fdb_tell(t, VSW_EVENT_FLUSHED, key, at.value, vsw_value_none(0));
            n++;
        }
    }
    return n;
}

/* The same of all stations there; static ones stay unless @with_static. */
static inline uint32_t vsw_fdb_flush(struct vsw_fdb *t, uint16_t port, bool with_static)
{
    return vsw_fdb_flush_some(t, port, with_static ? 0 : VSW_FDB_STATIC, 0);
}

/* The same of those that only knocked there. */
static inline uint32_t vsw_fdb_flush_locked(struct vsw_fdb *t, uint16_t port)
{
    return vsw_fdb_flush_some(t, port, VSW_FDB_LOCKED, VSW_FDB_LOCKED);
}

/* Free the places of stations not heard for ageing_s, in @n buckets from number @first on (the
 * last is followed by the first); return how many went. */
static inline uint32_t vsw_fdb_sweep(struct vsw_fdb *t, uint64_t first, uint64_t n, uint32_t now_s)
{
    struct vsw_fdb_place at;
    uint32_t gone = 0;
    uint64_t key;

    for (uint64_t i = 0; i < n; i++)
        for (int w = 0; w < (int)VSW_FDB_WAYS; w++)
            if (vsw_fdb_at(&t->bucket[(first + i) & t->mask], w, &key, &at) &&
                vsw_fdb_expired(t, at.value, now_s) && vsw_fdb_remove(t, at)) {
                vsw_fdb_tell_expired(t, key, at.value, t->events);
                gone++;
            }
    atomic_fetch_add(&t->expired, gone);
    return gone;
}

/* The same in the whole table. */
static inline uint32_t vsw_fdb_expire(struct vsw_fdb *t, uint32_t now_s)
{
    return vsw_fdb_sweep(t, 0, t->mask + 1, now_s);
}

/* Copy up to @max live stations to @row; return how many. */
static inline uint32_t vsw_fdb_dump(struct vsw_fdb *t, struct vsw_fdb_row *row, uint32_t max,
                                    uint32_t now_s)
{
    struct vsw_fdb_place at;
    uint32_t n = 0;
    uint64_t key;

    for (uint64_t i = 0; n < max && i < (t->mask + 1) * VSW_FDB_WAYS; i++) {
        if (!vsw_fdb_at(&t->bucket[i / VSW_FDB_WAYS], (int)(i % VSW_FDB_WAYS), &key, &at) ||
            vsw_fdb_expired(t, at.value, now_s))
            continue;
        uint32_t high = (uint32_t)(key >> 32);
        uint16_t low = (uint16_t)(key >> 16);

        row[n] = (struct vsw_fdb_row){.vid = vsw_key_vid(key),
                                      .port = vsw_value_port(at.value),
                                      .is_static = vsw_value_static(at.value),
                                      .flags = (uint8_t)vsw_value_flags(at.value)};
        row[n].age_s = row[n].is_static ? 0 : vsw_fdb_age_s(at.value, now_s);
        memcpy(row[n].mac, &high, 4);
        memcpy(row[n].mac + 4, &low, 2);
        n++;
    }
    return n;
}

#endif
