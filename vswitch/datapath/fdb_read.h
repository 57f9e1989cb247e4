/* fdb_read.h - the forwarding database for those who only look: layout, keys, lookup.
 *
 * fdb.h tells how the table works and holds what changes it; this part is all that a frame to a
 * known station touches.
 */
#ifndef VSW_FDB_READ_H
#define VSW_FDB_READ_H

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

struct vsw_events;

struct vsw_fdb {
    /* Line 0: read for every lookup, written by the control plane while pollers are parked. */
    struct vsw_fdb_bucket *bucket; /* mask + 1 of them, owned by Datapath */
    uint64_t mask;                 /* number of buckets - 1; a power of two minus one */
    uint64_t salt[2];              /* secret; bucket choice cannot be predicted */
    uint32_t limit;                /* stations, static ones included */
    uint32_t ageing_s;             /* 0: entries never age */
    uint32_t *port_limit;          /* by port; 0: only the table's limit */
    vsw_atomic_u32 *port_entries; /* by port */
    uint32_t hold_s; /* a station heard within so many seconds does not move; 0: it does */

    /* Line 1: written when a station comes, goes or moves; not for a known one. */
    _Alignas(64) _Atomic uint32_t entries;
    _Atomic uint64_t learned;
    _Atomic uint64_t moved;   /* heard on another port than before */
    _Atomic uint64_t expired; /* not heard for ageing_s */
    _Atomic uint64_t refused; /* not learned: the table's or the port's limit is reached */
    _Atomic uint64_t crowded; /* not learned: no place within VSW_FDB_DEPTH moves */
    struct vsw_events *events; /* where the control plane tells what it does; NULL: nowhere */
    uint32_t ageing_since_s;   /* when ageing_s was set; 0: at the start */
};
_Static_assert(offsetof(struct vsw_fdb, entries) == 64, "lookup and counters share a line");

/* One station as vsw_fdb_dump() reports it. */
struct vsw_fdb_row {
    uint8_t mac[6];
    uint16_t vid;
    uint16_t port;
    uint8_t is_static;
    uint8_t flags;  /* enum vsw_fdb_flag bits */
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

/* The VLAN in a key. */
static inline uint16_t vsw_key_vid(uint64_t key)
{
    return (uint16_t)key >> 1;
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

enum vsw_fdb_flag {
    VSW_FDB_STATIC = 1, /* neither ages nor moves */
    VSW_FDB_STICKY = 2, /* ages, and does not move */
    VSW_FDB_LOCKED = 4, /* ages and moves, but lets nobody in; mab.h */
};
#define VSW_FDB_FLAGS 7u
#define VSW_FDB_GENERATIONS 0x1FFFu

static inline uint64_t vsw_fdb_value(uint32_t seen_s, uint16_t port, uint16_t generation,
                                     unsigned flags)
{
    /* The port is stored plus one, so that zeroed memory is a table of nothing. */
    return (uint64_t)seen_s << 32 | (uint64_t)(uint16_t)(port + 1) << 16 |
           (uint64_t)(generation & VSW_FDB_GENERATIONS) << 3 | flags;
}

static inline uint32_t vsw_value_seen_s(uint64_t value)
{
    return (uint32_t)(value >> 32);
}

static inline uint16_t vsw_value_port(uint64_t value)
{
    return (uint16_t)((value >> 16) - 1);
}

/* What is left of it without generation and flags. */
static inline uint64_t vsw_value_time_and_port(uint64_t value)
{
    return value & ~(uint64_t)0xFFFF;
}

static inline uint16_t vsw_value_generation(uint64_t value)
{
    return (uint16_t)(value >> 3 & VSW_FDB_GENERATIONS);
}

static inline unsigned vsw_value_flags(uint64_t value)
{
    return value & VSW_FDB_FLAGS;
}

static inline bool vsw_value_static(uint64_t value)
{
    return value & VSW_FDB_STATIC;
}

static inline uint64_t vsw_value_none(uint64_t value)
{
    return vsw_fdb_value(0, VSW_PORT_NONE, vsw_value_generation(value), 0);
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

/* Whether a station that is known by @value may not move: it is sticky, or was heard within the time
 * of the move guard.  Who only knocked at a locked port holds nobody: he may be anyone. */
static inline bool vsw_fdb_held(const struct vsw_fdb *t, uint64_t value, uint32_t now_s)
{
    if (vsw_fdb_expired(t, value, now_s) || value & VSW_FDB_LOCKED)
        return false;
    return vsw_value_flags(value) || vsw_fdb_age_s(value, now_s) < t->hold_s;
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

/* Whether @key is held at another port than @port. */
static inline bool vsw_fdb_is_held_elsewhere(struct vsw_fdb *t, uint64_t key, uint64_t hash,
                                             uint16_t port, uint32_t now_s)
{
    struct vsw_fdb_place at = vsw_fdb_find(t, key, hash);

    return at.bucket && vsw_value_port(at.value) != port && vsw_fdb_held(t, at.value, now_s);
}

#endif
