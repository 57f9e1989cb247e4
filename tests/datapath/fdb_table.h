/* A small table, and stations in it, for tests. */
#ifndef FDB_TABLE_H
#define FDB_TABLE_H

#include "datapath/fdb_control.h"

#define BUCKETS 16u
#define PORTS 8u

static struct vsw_fdb_bucket bucket[BUCKETS];
static uint32_t port_limit[PORTS];
static vsw_atomic_u32 port_entries[PORTS];

/* An empty table of @buckets with room for @limit stations. */
static struct vsw_fdb make_fdb(unsigned buckets, uint32_t limit)
{
    memset(bucket, 0, sizeof(bucket));
    memset(port_limit, 0, sizeof(port_limit));
    memset(port_entries, 0, sizeof(port_entries));
    return (struct vsw_fdb){.bucket = bucket, .mask = buckets - 1, .limit = limit,
                            .ageing_s = 300, .port_limit = port_limit,
                            .port_entries = port_entries};
}

static uint64_t station(uint32_t n)
{
    uint8_t mac[6] = {2, 0, (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

    return vsw_fdb_key(1, mac);
}

static struct vsw_events *const nobody;

static void learn(struct vsw_fdb *t, uint64_t key, uint16_t port, uint32_t now_s)
{
    vsw_fdb_learn(t, key, vsw_fdb_hash(t, key), port, now_s, &nobody);
}

static uint16_t lookup(struct vsw_fdb *t, uint64_t key, uint32_t now_s)
{
    return vsw_fdb_lookup(t, key, vsw_fdb_hash(t, key), now_s);
}

static struct vsw_fdb_place find(struct vsw_fdb *t, uint64_t key)
{
    return vsw_fdb_find(t, key, vsw_fdb_hash(t, key));
}

#endif
