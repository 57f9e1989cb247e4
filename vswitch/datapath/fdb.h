/* fdb.h - forwarding database: which port did we last hear this station on?
 *
 * Theory of operation
 *   A bucketised cuckoo hash table.  A key has two buckets, chosen by a salted hash; a bucket
 *   is one cache line of four entries.  A lookup reads the first bucket and, when the key is
 *   not there, the second: two lines at most, whatever the table holds.  A new key goes into
 *   its first bucket while that has room (19 of 20 do), else into the second; when both are
 *   full an entry in the way moves to its own other bucket.  The table has at least two places
 *   per station it may hold, so that a place is always found in a few steps: the limit is a
 *   promise, not a hope, and no choice of addresses breaks it as the salt is secret.
 *
 *   limit of the table or of a port reached -> the new station is not learned, `refused` counts;
 *                                              the caller floods as for any unknown station
 *   no room within VSW_FDB_DEPTH moves      -> the same (`crowded`; has not been seen)
 *
 * Many pollers, no lock
 *   An entry is two words: the key, and a value (second, port, generation, flags).  A value whose
 *   port is VSW_PORT_NONE is not there, whatever the key says.
 *
 *   0, none --claim--> K, none --publish--> K, value --refresh/move--> K, value'
 *   K, value --retire (one wins)--> K, none --release--> 0, none
 *
 *   Only the winner of the compare-and-swap for `claim` publishes or releases; only the winner
 *   of `retire` releases.  Whoever claimed looks for the same key elsewhere before publishing,
 *   and gives up if it is there: two pollers that learn one station at once cannot both
 *   publish, so a key has at most one value at any time.  An entry that moves to its other
 *   bucket is retired here before it is published there; for that instant the station is
 *   unknown, and a frame to it is flooded.  A poller that loses any of these races does not
 *   wait: the station's next frame tries again.
 *   The generation grows with every publish, so a compare-and-swap of a value, or reading it
 *   before and after the key, cannot mistake a reused place for the old entry.
 *
 * What an attacker gets: with the table full of forged addresses, new stations are flooded;
 * stations known before stay known, and a port that has its own limit fills only that.
 *
 * Ageing: IEEE 802.1Q-2018 8.8.3, 300 s by default.  An entry is dead for lookups the moment
 * its time is over; its place is freed by vsw_fdb_expire(), called about once a second
 * (fdb_control.h, where all is that the control plane does).
 * Seconds are differences of an unsigned 32-bit counter, so they survive its wrap.
 *
 * Who wants to know what happened is told by way of event.h: by pollers through the ring they
 * learn with, by the control plane through the table's own.
 * Method: R. Pagh, F. Rodler, Cuckoo Hashing (2004); buckets of four: Panigrahy (2005).
 */
#ifndef VSW_FDB_H
#define VSW_FDB_H

#include "datapath/event.h"
#include "datapath/fdb_read.h"

/* ------------------------------------------------------------- counting against the limits */

static inline bool vsw_port_reserve(struct vsw_fdb *t, uint16_t port)
{
    uint32_t limit = t->port_limit[port];

    if (atomic_fetch_add(&t->port_entries[port], 1) < (limit ? limit : UINT32_MAX))
        return true;
    atomic_fetch_sub(&t->port_entries[port], 1);
    return false;
}

static inline bool vsw_fdb_reserve(struct vsw_fdb *t, uint16_t port)
{
    if (atomic_fetch_add(&t->entries, 1) < t->limit) {
        if (vsw_port_reserve(t, port))
            return true;
    }
    atomic_fetch_sub(&t->entries, 1);
    return false;
}

static inline void vsw_fdb_unreserve(struct vsw_fdb *t, uint16_t port)
{
    atomic_fetch_sub(&t->port_entries[port], 1);
    atomic_fetch_sub(&t->entries, 1);
}

/* ------------------------------------------------------------- telling */

/* When a station with @value is, or was, dead for lookups; UINT32_MAX: never. */
static inline uint32_t vsw_fdb_dead_s(const struct vsw_fdb *t, uint64_t value)
{
    uint32_t dead_s = vsw_value_seen_s(value) + t->ageing_s;

    if (vsw_value_static(value) || !t->ageing_s)
        return UINT32_MAX;
    /* Not before the ageing time was made as short as it is. */
    return dead_s - t->ageing_since_s > INT32_MAX ? t->ageing_since_s : dead_s;
}

/* The flags of an event that made @old @value; either may be none. */
static inline uint8_t vsw_fdb_event_flags(uint64_t old, uint64_t value)
{
    unsigned flags = 0;

    flags |= old & VSW_FDB_STATIC ? VSW_EVENT_WAS_STATIC : 0;
    flags |= value & VSW_FDB_STATIC ? VSW_EVENT_IS_STATIC : 0;
    flags |= old & VSW_FDB_LOCKED ? VSW_EVENT_WAS_LOCKED : 0;
    flags |= value & VSW_FDB_LOCKED ? VSW_EVENT_IS_LOCKED : 0;
    flags |= old & VSW_FDB_STICKY ? VSW_EVENT_WAS_STICKY : 0;
    flags |= value & VSW_FDB_STICKY ? VSW_EVENT_IS_STICKY : 0;
    return (uint8_t)flags;
}

static inline void vsw_fdb_tell_expired(const struct vsw_fdb *t, uint64_t key, uint64_t value,
                                        struct vsw_events *events)
{
    vsw_events_put(events, (struct vsw_event){.key = key,
                                              .at_s = vsw_fdb_dead_s(t, value),
                                              .port = VSW_PORT_NONE,
                                              .old_port = vsw_value_port(value),
                                              .kind = VSW_EVENT_EXPIRED,
                                              .flags = vsw_fdb_event_flags(value, 0)});
}

/* ------------------------------------------------------------- the life of an entry */

static inline void vsw_way_release(struct vsw_fdb_bucket *b, int w)
{
    atomic_store_explicit(&b->key[w], 0, memory_order_release);
}

static inline bool vsw_way_claim(struct vsw_fdb_bucket *b, int w, uint64_t key)
{
    uint64_t none = 0;

    return atomic_compare_exchange_strong(&b->key[w], &none, key);
}

/* Publish the value of a claimed way. */
static inline void vsw_way_publish(struct vsw_fdb_bucket *b, int w, uint64_t value)
{
    uint64_t old = atomic_load_explicit(&b->value[w], memory_order_relaxed);
    uint16_t generation = (uint16_t)(vsw_value_generation(old) + 1);

    atomic_store(&b->value[w], vsw_fdb_value(vsw_value_seen_s(value), vsw_value_port(value),
                                             generation, vsw_value_flags(value)));
}

/* Take the entry out, if it still has @value; the winner frees the place. */
static inline bool vsw_way_retire(struct vsw_fdb_bucket *b, int w, uint64_t value)
{
    if (!atomic_compare_exchange_strong(&b->value[w], &value, vsw_value_none(value)))
        return false;
    vsw_way_release(b, w);
    return true;
}

/* How many ways of @key's two buckets carry it, published or not. */
static inline unsigned vsw_fdb_copies(const struct vsw_fdb *t, uint64_t key, uint64_t hash)
{
    struct vsw_fdb_bucket *b = vsw_fdb_first(t, hash);
    unsigned n = 0;

    for (int i = 0; i < 2; i++, b = vsw_fdb_other(t, b, hash))
        for (unsigned w = 0; w < VSW_FDB_WAYS; w++)
            n += atomic_load(&b->key[w]) == key;
    return n;
}

/* Claim a free way of @b for @key; return it, or -1 when the bucket is full. */
static inline int vsw_bucket_claim(struct vsw_fdb_bucket *b, uint64_t key)
{
    for (int w = 0; w < (int)VSW_FDB_WAYS; w++)
        if (!atomic_load_explicit(&b->key[w], memory_order_relaxed) && vsw_way_claim(b, w, key))
            return w;
    return -1;
}

/* Move the entry in way @w of @b into its other bucket, if that has room. */
static inline bool vsw_fdb_shift(struct vsw_fdb *t, struct vsw_fdb_bucket *b, int w)
{
    uint64_t key = atomic_load(&b->key[w]), value, hash = vsw_fdb_hash(t, key);
    struct vsw_fdb_bucket *to = vsw_fdb_other(t, b, hash);
    int there;

    if (!key)
        return true;
    if (!vsw_way_read(b, w, key, &value))
        return false;
    there = vsw_bucket_claim(to, key);
    if (there < 0)
        return false;
    if (vsw_fdb_copies(t, key, hash) != 2 ||
        !atomic_compare_exchange_strong(&b->value[w], &value, vsw_value_none(value))) {
        vsw_way_release(to, there);
        return false;
    }
    vsw_way_publish(to, there, value);
    vsw_way_release(b, w);
    return true;
}

/* Free a way of the full bucket @b, moving entries on for at most @depth buckets in a row. */
static inline bool vsw_fdb_make_room(struct vsw_fdb *t, struct vsw_fdb_bucket *b, int depth)
{
    for (int w = 0; w < (int)VSW_FDB_WAYS; w++)
        if (vsw_fdb_shift(t, b, w))
            return true;
    for (int w = 0; depth > 1 && w < (int)VSW_FDB_WAYS; w++) {
        uint64_t key = atomic_load(&b->key[w]);

        if (vsw_fdb_make_room(t, vsw_fdb_other(t, b, vsw_fdb_hash(t, key)), depth - 1) &&
            vsw_fdb_shift(t, b, w))
            return true;
    }
    return false;
}

static inline struct vsw_fdb_place vsw_fdb_claim(struct vsw_fdb *t, uint64_t key, uint64_t hash)
{
    struct vsw_fdb_place at = {.bucket = vsw_fdb_first(t, hash)};
    struct vsw_fdb_bucket *second = vsw_fdb_other(t, at.bucket, hash);

    if ((at.way = vsw_bucket_claim(at.bucket, key)) >= 0)
        return at;
    if ((at.way = vsw_bucket_claim(second, key)) >= 0) {
        at.bucket = second;
        return at;
    }
    if (vsw_fdb_make_room(t, at.bucket, VSW_FDB_DEPTH) &&
        (at.way = vsw_bucket_claim(at.bucket, key)) >= 0)
        return at;
    at.bucket = NULL;
    return at;
}

/* Enter a key that is not in the table.  0, or -ENOSPC (a limit), -EXFULL (no place),
 * -EAGAIN (another poller is entering it). */
static inline int vsw_fdb_insert(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint64_t value)
{
    struct vsw_fdb_place at;
    int err;

    if (!vsw_fdb_reserve(t, vsw_value_port(value))) {
        atomic_fetch_add(&t->refused, 1);
        return -ENOSPC;
    }
    at = vsw_fdb_claim(t, key, hash);
    if (at.bucket && vsw_fdb_copies(t, key, hash) == 1) {
        vsw_way_publish(at.bucket, at.way, value);
        return 0;
    }
    err = at.bucket ? -EAGAIN : -EXFULL;
    if (at.bucket)
        vsw_way_release(at.bucket, at.way);
    else
        atomic_fetch_add(&t->crowded, 1);
    vsw_fdb_unreserve(t, vsw_value_port(value));
    return err;
}

/* Give the entry read at @at another value, at its place.  0, or -ENOSPC (its new port is at its
 * limit), -EAGAIN (it changed meanwhile); then it is as it was. */
static inline int vsw_fdb_replace(struct vsw_fdb *t, struct vsw_fdb_place at, uint64_t value)
{
    uint16_t from = vsw_value_port(at.value), port = vsw_value_port(value);
    bool is_move = from != port;

    if (is_move && !vsw_port_reserve(t, port)) {
        atomic_fetch_add(&t->refused, 1);
        return -ENOSPC;
    }
    if (!atomic_compare_exchange_strong(&at.bucket->value[at.way], &at.value, value)) {
        if (is_move)
            atomic_fetch_sub(&t->port_entries[port], 1);
        return -EAGAIN;
    }
    if (is_move)
        atomic_fetch_sub(&t->port_entries[from], 1);
    return 0;
}

/* A station that the table did not have, or whose time was over, is there now: it has @heard. */
static inline void vsw_fdb_count_learned(struct vsw_fdb *t, uint64_t key, uint64_t heard,
                                         struct vsw_events *events)
{
    atomic_fetch_add(&t->learned, 1);
    vsw_events_put(events, (struct vsw_event){.key = key,
                                              .at_s = vsw_value_seen_s(heard),
                                              .port = vsw_value_port(heard),
                                              .old_port = VSW_PORT_NONE,
                                              .kind = VSW_EVENT_LEARNED,
                                              .flags = vsw_fdb_event_flags(0, heard)});
}

/* Heard again: at another second, on another port, or after its time was over.  @heard is the value
 * of a station that is new; who stays keeps his flags. */
static __attribute__((noinline, unused)) void
vsw_fdb_refresh(struct vsw_fdb *t, struct vsw_fdb_place at, uint64_t key, uint64_t heard,
                struct vsw_events *events)
{
    uint32_t now_s = vsw_value_seen_s(heard);
    uint16_t old_port = vsw_value_port(at.value), port = vsw_value_port(heard);
    bool is_dead = vsw_fdb_expired(t, at.value, now_s);
    bool stays = !is_dead && old_port == port;
    uint64_t value = vsw_fdb_value(now_s, port, vsw_value_generation(at.value),
                                   vsw_value_flags(stays ? at.value : heard));
    int err;

    if (vsw_value_static(at.value))
        return;
    if (old_port != port && vsw_fdb_held(t, at.value, now_s)) {
        if (t->hold_s)
            vsw_events_put_held(events, key, port, old_port, now_s);
        return;
    }
    err = vsw_fdb_replace(t, at, value);
    if (err == -ENOSPC)
        vsw_events_put_refused(events, key, port, old_port, now_s);
    if (err < 0)
        return;
    if (is_dead) {
        atomic_fetch_add(&t->expired, 1);
        vsw_fdb_tell_expired(t, key, at.value, events);
        vsw_fdb_count_learned(t, key, heard, events);
    } else if (old_port != port) {
        atomic_fetch_add(&t->moved, 1);
        vsw_events_put(events, (struct vsw_event){.key = key,
                                                  .at_s = now_s,
                                                  .port = port,
                                                  .old_port = old_port,
                                                  .kind = VSW_EVENT_MOVED,
                                                  .flags = vsw_fdb_event_flags(at.value, value)});
    }
}

static __attribute__((noinline, unused)) void
vsw_fdb_learn_new(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint64_t heard,
                  struct vsw_events *events)
{
    int err = vsw_fdb_insert(t, key, hash, heard);

    if (err == 0)
        vsw_fdb_count_learned(t, key, heard, events);
    else if (err == -ENOSPC)
        vsw_events_put_refused(events, key, vsw_value_port(heard), VSW_PORT_NONE,
                               vsw_value_seen_s(heard));
}

static __attribute__((noinline, unused)) void
vsw_fdb_learn_change(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint64_t heard,
                     struct vsw_events *const *events)
{
    struct vsw_fdb_place at = vsw_fdb_find(t, key, hash);

    if (!at.bucket)
        vsw_fdb_learn_new(t, key, hash, heard, *events);
    else if (vsw_value_time_and_port(at.value) != vsw_value_time_and_port(heard))
        vsw_fdb_refresh(t, at, key, heard, *events);
}

/* Record that @key was heard on @port at @now_s.  The usual case, heard there in this second
 * already, is decided here: one line is read and nothing is written.  What happens otherwise is
 * told to @events; of a poller its first member, so that its address costs the usual case nothing. */
static inline void vsw_fdb_learn(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint16_t port,
                                 uint32_t now_s, struct vsw_events *const *events)
{
    const struct vsw_fdb_bucket *b = vsw_fdb_first(t, hash);
    uint64_t heard = vsw_fdb_value(now_s, port, 0, 0);
    int w = vsw_bucket_way(b, key);

    if (__builtin_expect(w >= 0, 1) &&
        vsw_value_time_and_port(atomic_load_explicit(&b->value[w], memory_order_relaxed)) == heard)
        return;
    vsw_fdb_learn_change(t, key, hash, heard, events);
}

#endif
