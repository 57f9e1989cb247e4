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
 *   An entry is two words: the key, and a value (second, port, generation, static).  A value
 *   whose port is VSW_PORT_NONE is not there, whatever the key says.
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
 * its time is over; its place is freed by vsw_fdb_expire(), called about once a second.
 * Seconds are differences of an unsigned 32-bit counter, so they survive its wrap.
 * Method: R. Pagh, F. Rodler, Cuckoo Hashing (2004); buckets of four: Panigrahy (2005).
 */
#ifndef VSW_FDB_H
#define VSW_FDB_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VSW_PORT_NONE 0xFFFFu
#define VSW_FDB_WAYS 4u
#define VSW_FDB_DEPTH 3 /* moves in a row to make room; at half load one nearly always does */
#define VSW_FDB_GOLDEN 0x9E3779B97F4A7C15u /* odd, no pattern in its bits: 2^64 / golden ratio */

typedef _Atomic uint32_t vsw_atomic_u32; /* a name for Cython, which has no _Atomic */

struct vsw_fdb_bucket {
    _Alignas(64) _Atomic uint64_t key[VSW_FDB_WAYS]; /* 0: free */
    _Atomic uint64_t value[VSW_FDB_WAYS];
};
_Static_assert(sizeof(struct vsw_fdb_bucket) == 64, "a bucket is one cache line");

struct vsw_fdb {
    /* Line 0: read for every lookup, written by the control plane while pollers are parked. */
    struct vsw_fdb_bucket *bucket; /* mask + 1 of them, owned by Datapath */
    uint64_t mask;                 /* number of buckets - 1; a power of two minus one */
    uint64_t salt[2];              /* secret; bucket choice cannot be predicted */
    uint32_t limit;                /* stations, static ones included */
    uint32_t ageing_s;             /* 0: entries never age */
    uint32_t *port_limit;          /* by port; 0: only the table's limit */
    vsw_atomic_u32 *port_entries; /* by port */

    /* Line 1: written when a station comes, goes or moves; not for a known one. */
    _Alignas(64) _Atomic uint32_t entries;
    _Atomic uint64_t learned;
    _Atomic uint64_t moved;   /* heard on another port than before */
    _Atomic uint64_t expired; /* not heard for ageing_s */
    _Atomic uint64_t refused; /* not learned: the table's or the port's limit is reached */
    _Atomic uint64_t crowded; /* not learned: no place within VSW_FDB_DEPTH moves */
};
_Static_assert(offsetof(struct vsw_fdb, entries) == 64, "lookup and counters share a line");

/* One station as vsw_fdb_dump() reports it. */
struct vsw_fdb_row {
    uint8_t mac[6];
    uint16_t vid;
    uint16_t port;
    uint16_t is_static;
    uint32_t age_s; /* seconds since last heard; 0 for a static one */
};
_Static_assert(sizeof(struct vsw_fdb_row) == 16, "rows are read as a numpy array");

/* ------------------------------------------------------------- keys and values */

/* Address and VLAN in one word that is never 0. */
static inline uint64_t vsw_fdb_key(uint16_t vid, const uint8_t *mac)
{
    uint32_t high;
    uint16_t low;

    memcpy(&high, mac, 4);
    memcpy(&low, mac + 4, 2);
    return (uint64_t)high << 32 | (uint64_t)low << 16 | (uint64_t)vid << 1 | 1;
}

/* Both halves of a product, folded into one word. */
static inline uint64_t vsw_fdb_mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 wide = (unsigned __int128)a * b;

    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

/* Mixed twice: after one product the bucket bits of addresses in arithmetic progression are
 * themselves one, and for some salts the step is so short that a few buckets get all. */
static inline uint64_t vsw_fdb_hash(const struct vsw_fdb *t, uint64_t key)
{
    return vsw_fdb_mix(vsw_fdb_mix(key ^ t->salt[0], t->salt[1] | 1), VSW_FDB_GOLDEN);
}

static inline struct vsw_fdb_bucket *vsw_fdb_first(const struct vsw_fdb *t, uint64_t hash)
{
    return &t->bucket[hash & t->mask];
}

/* The other of a key's two buckets, from either: never the same one, for any table of two or
 * more buckets. */
static inline struct vsw_fdb_bucket *vsw_fdb_other(const struct vsw_fdb *t,
                                                   const struct vsw_fdb_bucket *b, uint64_t hash)
{
    uint64_t index = (uint64_t)(b - t->bucket);

    return &t->bucket[(index ^ (hash >> 32 | 1)) & t->mask];
}

static inline uint64_t vsw_fdb_value(uint32_t seen_s, uint16_t port, uint16_t generation,
                                     bool is_static)
{
    /* The port is stored plus one, so that zeroed memory is a table of nothing. */
    return (uint64_t)seen_s << 32 | (uint64_t)(uint16_t)(port + 1) << 16 |
           (uint64_t)(generation & 0x7FFF) << 1 | is_static;
}

static inline uint32_t vsw_value_seen_s(uint64_t value)
{
    return (uint32_t)(value >> 32);
}

static inline uint16_t vsw_value_port(uint64_t value)
{
    return (uint16_t)((value >> 16) - 1);
}

static inline uint16_t vsw_value_generation(uint64_t value)
{
    return (uint16_t)(value >> 1 & 0x7FFF);
}

static inline bool vsw_value_static(uint64_t value)
{
    return value & 1;
}

static inline uint64_t vsw_value_none(uint64_t value)
{
    return vsw_fdb_value(0, VSW_PORT_NONE, vsw_value_generation(value), false);
}

/* Seconds since last heard; 0 when another poller's clock is a second ahead of ours. */
static inline uint32_t vsw_fdb_age_s(uint64_t value, uint32_t now_s)
{
    uint32_t age_s = now_s - vsw_value_seen_s(value);

    return age_s > INT32_MAX ? 0 : age_s;
}

static inline bool vsw_fdb_expired(const struct vsw_fdb *t, uint64_t value, uint32_t now_s)
{
    return !vsw_value_static(value) && t->ageing_s &&
           vsw_fdb_age_s(value, now_s) >= t->ageing_s;
}

/* ------------------------------------------------------------- reading */

static inline void vsw_fdb_prefetch(const struct vsw_fdb *t, uint64_t hash)
{
    __builtin_prefetch(vsw_fdb_first(t, hash));
}

static inline bool vsw_way_has(const struct vsw_fdb_bucket *b, unsigned w, uint64_t key)
{
    return atomic_load_explicit(&b->key[w], memory_order_acquire) == key;
}

/* The way of @b that carries @key, or -1.  Compares all four before it branches: a branch per
 * way would be mispredicted for every other station. */
static inline int vsw_bucket_way(const struct vsw_fdb_bucket *b, uint64_t key)
{
    unsigned hit = (unsigned)vsw_way_has(b, 0, key) | (unsigned)vsw_way_has(b, 1, key) << 1 |
                   (unsigned)vsw_way_has(b, 2, key) << 2 | (unsigned)vsw_way_has(b, 3, key) << 3;

    return hit ? __builtin_ctz(hit) : -1;
}

/* Read the value of way @w if it is @key's and published. */
static inline bool vsw_way_read(const struct vsw_fdb_bucket *b, int w, uint64_t key,
                                uint64_t *value)
{
    uint64_t v = atomic_load_explicit(&b->value[w], memory_order_acquire);

    *value = v;
    return vsw_value_port(v) != VSW_PORT_NONE &&
           atomic_load_explicit(&b->key[w], memory_order_acquire) == key &&
           atomic_load_explicit(&b->value[w], memory_order_relaxed) == v;
}

struct vsw_fdb_place {
    struct vsw_fdb_bucket *bucket; /* NULL: nowhere */
    int way;
    uint64_t value;
};

/* Where @key is, and its value. */
static inline struct vsw_fdb_place vsw_fdb_find(struct vsw_fdb *t, uint64_t key, uint64_t hash)
{
    struct vsw_fdb_place at = {.bucket = vsw_fdb_first(t, hash)};

    at.way = vsw_bucket_way(at.bucket, key);
    if (__builtin_expect(at.way >= 0, 1) && vsw_way_read(at.bucket, at.way, key, &at.value))
        return at;
    at.bucket = vsw_fdb_other(t, at.bucket, hash);
    at.way = vsw_bucket_way(at.bucket, key);
    if (at.way < 0 || !vsw_way_read(at.bucket, at.way, key, &at.value))
        at.bucket = NULL;
    return at;
}

static inline uint16_t vsw_fdb_port_of(const struct vsw_fdb *t, uint64_t value, uint32_t now_s)
{
    return vsw_fdb_expired(t, value, now_s) ? (uint16_t)VSW_PORT_NONE : vsw_value_port(value);
}

static __attribute__((noinline, unused)) uint16_t
vsw_fdb_lookup_second(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint32_t now_s)
{
    struct vsw_fdb_place at = vsw_fdb_find(t, key, hash);

    return at.bucket ? vsw_fdb_port_of(t, at.value, now_s) : (uint16_t)VSW_PORT_NONE;
}

/* The port of a station, or VSW_PORT_NONE when it is unknown or has expired. */
static inline uint16_t vsw_fdb_lookup(struct vsw_fdb *t, uint64_t key, uint64_t hash,
                                      uint32_t now_s)
{
    const struct vsw_fdb_bucket *b = vsw_fdb_first(t, hash);
    int w = vsw_bucket_way(b, key);
    uint64_t value;

    if (__builtin_expect(w >= 0 && vsw_way_read(b, w, key, &value), 1))
        return vsw_fdb_port_of(t, value, now_s);
    return vsw_fdb_lookup_second(t, key, hash, now_s);
}

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
                                             generation, vsw_value_static(value)));
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

/* Heard again: at another second, on another port, or after its time was over. */
static __attribute__((noinline, unused)) void
vsw_fdb_refresh(struct vsw_fdb *t, struct vsw_fdb_place at, uint16_t port, uint32_t now_s)
{
    uint64_t value = vsw_fdb_value(now_s, port, vsw_value_generation(at.value), false);

    if (vsw_value_static(at.value) || vsw_fdb_replace(t, at, value) < 0)
        return;
    if (vsw_fdb_expired(t, at.value, now_s)) {
        atomic_fetch_add(&t->expired, 1);
        atomic_fetch_add(&t->learned, 1);
    } else if (vsw_value_port(at.value) != port) {
        atomic_fetch_add(&t->moved, 1);
    }
}

static __attribute__((noinline, unused)) void
vsw_fdb_learn_new(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s)
{
    if (vsw_fdb_insert(t, key, hash, vsw_fdb_value(now_s, port, 0, false)) == 0)
        atomic_fetch_add(&t->learned, 1);
}

static __attribute__((noinline, unused)) void
vsw_fdb_learn_change(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint16_t port, uint32_t now_s)
{
    struct vsw_fdb_place at = vsw_fdb_find(t, key, hash);

    if (!at.bucket)
        vsw_fdb_learn_new(t, key, hash, port, now_s);
    else if (vsw_value_port(at.value) != port || vsw_value_seen_s(at.value) != now_s)
        vsw_fdb_refresh(t, at, port, now_s);
}

/* Record that @key was heard on @port at @now_s.  The usual case, heard there in this second
 * already, is decided here: one line is read and nothing is written. */
static inline void vsw_fdb_learn(struct vsw_fdb *t, uint64_t key, uint64_t hash, uint16_t port,
                                 uint32_t now_s)
{
    const struct vsw_fdb_bucket *b = vsw_fdb_first(t, hash);
    uint64_t known = vsw_fdb_value(now_s, port, 0, false);
    int w = vsw_bucket_way(b, key);

    if (__builtin_expect(w >= 0, 1) &&
        (atomic_load_explicit(&b->value[w], memory_order_relaxed) & ~(uint64_t)0xFFFF) == known)
        return;
    vsw_fdb_learn_change(t, key, hash, port, now_s);
}

/* ------------------------------------------------------------- by command and by age */

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
    return true;
}

/* Pin a station to a port, replacing what is there.  0, or -ENOSPC, -EXFULL: it stays as it is. */
static inline int vsw_fdb_pin(struct vsw_fdb *t, uint64_t key, uint16_t port)
{
    uint64_t hash = vsw_fdb_hash(t, key), value;
    struct vsw_fdb_place at;
    int err;

    do {
        at = vsw_fdb_find(t, key, hash);
        value = vsw_fdb_value(0, port, vsw_value_generation(at.bucket ? at.value : 0), true);
        err = at.bucket ? vsw_fdb_replace(t, at, value) : vsw_fdb_insert(t, key, hash, value);
    } while (err == -EAGAIN);
    return err;
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

/* Flush the stations of @port, or of all ports for VSW_PORT_NONE; return how many went.
 * Static ones stay unless @with_static. */
static inline uint32_t vsw_fdb_flush(struct vsw_fdb *t, uint16_t port, bool with_static)
{
    struct vsw_fdb_place at;
    uint32_t n = 0;
    uint64_t key;

    for (uint64_t i = 0; i < (t->mask + 1) * VSW_FDB_WAYS; i++) {
        if (!vsw_fdb_at(&t->bucket[i / VSW_FDB_WAYS], (int)(i % VSW_FDB_WAYS), &key, &at))
            continue;
        if (port != VSW_PORT_NONE && vsw_value_port(at.value) != port)
            continue;
        if (with_static || !vsw_value_static(at.value))
            n += vsw_fdb_remove(t, at);
    }
    return n;
}

/* Free the places of stations not heard for ageing_s; return how many went. */
static inline uint32_t vsw_fdb_expire(struct vsw_fdb *t, uint32_t now_s)
{
    struct vsw_fdb_place at;
    uint32_t n = 0;
    uint64_t key;

    for (uint64_t i = 0; i < (t->mask + 1) * VSW_FDB_WAYS; i++)
        if (vsw_fdb_at(&t->bucket[i / VSW_FDB_WAYS], (int)(i % VSW_FDB_WAYS), &key, &at) &&
            vsw_fdb_expired(t, at.value, now_s))
            n += vsw_fdb_remove(t, at);
    atomic_fetch_add(&t->expired, n);
    return n;
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

        row[n] = (struct vsw_fdb_row){.vid = (uint16_t)(key >> 1 & 0xFFF),
                                      .port = vsw_value_port(at.value),
                                      .is_static = vsw_value_static(at.value)};
        row[n].age_s = row[n].is_static ? 0 : vsw_fdb_age_s(at.value, now_s);
        memcpy(row[n].mac, &high, 4);
        memcpy(row[n].mac + 4, &low, 2);
        n++;
    }
    return n;
}

#endif
