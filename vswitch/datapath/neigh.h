/* neigh.h - who has which IP address: (VLAN, address) -> station, as the control plane knows it.
 *
 * A hash table with open addressing: an entry lies in the first free place from the one its hash
 * says.  Its places are twice the limit, so at most half of them are taken, and a run of taken ones is
 * short; an entry that would lie VSW_NEIGH_REACH places or more from its own is refused, so whatever
 * addresses there are, a lookup ends after so many.  The hash has a secret salt: clients of DHCP have
 * a say in which addresses there are.  What is removed leaves no mark, entries behind it move up.
 *
 * At the limit a new neighbour is refused.  Nothing is learned from traffic, and nothing ages here:
 * who knows a neighbour for some time only, as from a lease, takes it out.
 *
 * Written by the control plane while pollers are parked; read by them, with plain reads.
 */
#ifndef VSW_NEIGH_H
#define VSW_NEIGH_H

#include "datapath/fdb_read.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Chosen by us. */
#define VSW_NEIGH_LIMIT 16384u /* 1 MiB, made with the first neighbour */
#define VSW_NEIGH_PLACES (2u * VSW_NEIGH_LIMIT) /* a power of two */
#define VSW_NEIGH_REACH 128u /* at half load one of 10^10 runs is longer */
_Static_assert((VSW_NEIGH_PLACES & (VSW_NEIGH_PLACES - 1)) == 0, "a hash is masked");

struct vsw_neigh {
    uint8_t ip[16]; /* of IPv4 the first 4, and zeroes */
    uint8_t mac[6];
    uint16_t vid;
    uint8_t ip_len; /* 4 or 16; 0: nobody is in this place */
    uint8_t router; /* 0/1: it says so when asked (RFC 4861 4.4) */
    uint8_t unused[6];
};
_Static_assert(sizeof(struct vsw_neigh) == 32, "two to a cache line");

struct vsw_neighs {
    struct vsw_neigh *place; /* VSW_NEIGH_PLACES of them */
    uint64_t salt[2];
    uint32_t entries;
};

/* Nobody yet, with an address of @ip_len bytes, 4 or 16, in VLAN @vid. */
static inline struct vsw_neigh vsw_neigh_made(uint16_t vid, const uint8_t *ip, uint8_t ip_len)
{
    struct vsw_neigh made = {.vid = vid, .ip_len = ip_len};

    memcpy(made.ip, ip, ip_len);
    return made;
}

static inline uint32_t vsw_neigh_home(const struct vsw_neighs *t, const struct vsw_neigh *n)
{
    uint64_t high, low, hash;

    memcpy(&high, n->ip, 8);
    memcpy(&low, n->ip + 8, 8);
    hash = vsw_fdb_mix(high ^ t->salt[0], t->salt[1] | 1);
    hash = vsw_fdb_mix(hash ^ low, t->salt[1] | 1);
    hash = vsw_fdb_mix(hash ^ ((uint64_t)n->vid << 8 | n->ip_len), VSW_FDB_GOLDEN);
    return (uint32_t)(hash & (VSW_NEIGH_PLACES - 1));
}

/* Places from @from on to @to, round the end. */
static inline uint32_t vsw_neigh_distance(uint32_t from, uint32_t to)
{
    return (to - from) & (VSW_NEIGH_PLACES - 1);
}

static inline bool vsw_neigh_same(const struct vsw_neigh *a, const struct vsw_neigh *b)
{
    return a->ip_len == b->ip_len && a->vid == b->vid && memcmp(a->ip, b->ip, 16) == 0;
}

/* Where @n is, or the free place for it; NULL: neither is within reach. */
static inline struct vsw_neigh *vsw_neigh_place(const struct vsw_neighs *t, const struct vsw_neigh *n)
{
    uint32_t home = vsw_neigh_home(t, n);

    for (uint32_t i = 0; i < VSW_NEIGH_REACH; i++) {
        struct vsw_neigh *place = &t->place[(home + i) & (VSW_NEIGH_PLACES - 1)];

        if (!place->ip_len || vsw_neigh_same(place, n))
            return place;
    }
    return NULL;
}

/* Who has @ip in VLAN @vid; NULL: not known. */
static inline const struct vsw_neigh *vsw_neigh_find(const struct vsw_neighs *t, uint16_t vid,
                                                     const uint8_t *ip, uint8_t ip_len)
{
    struct vsw_neigh wanted = vsw_neigh_made(vid, ip, ip_len);
    const struct vsw_neigh *place = vsw_neigh_place(t, &wanted);

    return place && place->ip_len ? place : NULL;
}

/* Know @n, instead of what was known of its address; 0, or -ENOSPC: there is no room. */
static inline int vsw_neigh_set(struct vsw_neighs *t, const struct vsw_neigh *n)
{
    struct vsw_neigh *place = vsw_neigh_place(t, n);

    if (!place || (!place->ip_len && t->entries >= VSW_NEIGH_LIMIT))
        return -ENOSPC;
    t->entries += !place->ip_len;
    *place = *n;
    return 0;
}

/* Forget who has the address of @n; whether it was known.  Those behind move up, if that brings
 * them no nearer than their own place: so each is found without passing a free one. */
static inline bool vsw_neigh_unset(struct vsw_neighs *t, const struct vsw_neigh *n)
{
    struct vsw_neigh *place = vsw_neigh_place(t, n);
    uint32_t hole, at;

    if (!place || !place->ip_len)
        return false;
    hole = (uint32_t)(place - t->place);
    for (at = hole + 1;; at++) {
        struct vsw_neigh *next = &t->place[at & (VSW_NEIGH_PLACES - 1)];

        if (!next->ip_len)
            break;
        if (vsw_neigh_distance(vsw_neigh_home(t, next), at) < vsw_neigh_distance(hole, at))
            continue;
        t->place[hole] = *next;
        hole = at & (VSW_NEIGH_PLACES - 1);
    }
    memset(&t->place[hole], 0, sizeof(struct vsw_neigh));
    t->entries--;
    return true;
}

#endif
