/* cc: -pthread */
/* fdb.h among pollers: several threads learn, look up, expire, flush, delete and pin at once.
 *
 * A station is only ever heard on its own two ports, so a lookup that answers anything else has
 * mistaken one entry for another.  The table is small and its limits are lower than the number of
 * stations: places are reused and entries moved all the time.  When all is quiet the counters
 * must be what a walk through the table finds.
 */
#include "datapath/fdb_control.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#ifndef ROUNDS
#define ROUNDS 1000000u
#endif
#define THREADS 4u
#define STATIONS 64u
#define HOT 7u    /* the first ones up to this are what half of it is about */
#define PINNED 3u /* the first ones, for ever */
#define PORTS 8u
#define BUCKETS 8u
#define LIMIT 16u /* half of the places, as Datapath makes it */

static struct vsw_fdb_bucket bucket[BUCKETS];
static uint32_t port_limit[PORTS];
static vsw_atomic_u32 port_entries[PORTS];
static struct vsw_fdb table = {
    .bucket = bucket,
    .mask = BUCKETS - 1,
    .salt = {0x243f6a8885a308d3, 0x13198a2e03707344},
    .limit = LIMIT,
    .ageing_s = 3,
    .port_limit = port_limit,
    .port_entries = port_entries,
};
static struct vsw_events *const nobody;
static _Atomic uint32_t clock_s = UINT32_MAX - 100;

static uint64_t key_of(uint32_t n)
{
    return vsw_fdb_key(0, (uint8_t[6]){2, 0, 0, 0, 0, (uint8_t)n});
}

/* The two ports of station @n; a pinned one has only the first. */
static uint16_t port_of(uint32_t n, bool second)
{
    return (uint16_t)(n % 4 + (second ? 4 : 0));
}

static void look_up(uint32_t n, uint32_t now_s)
{
    uint64_t key = key_of(n);
    uint16_t port = vsw_fdb_lookup(&table, key, vsw_fdb_hash(&table, key), now_s);

    /* None for a pinned one too, for the instant in which it moves to its other bucket. */
    assert(port == VSW_PORT_NONE || port == port_of(n, false) ||
           (port == port_of(n, true) && n >= PINNED));
    assert(table.entries <= LIMIT + THREADS); /* each may be trying one too many */
}

static void command(uint32_t chance, uint32_t n, uint32_t now_s)
{
    switch (chance % 8) {
    case 0:
        atomic_fetch_add(&clock_s, 1);
        vsw_fdb_expire(&table, now_s);
        break;
    case 1:
        vsw_fdb_flush(&table, (uint16_t)(n % PORTS), false);
        break;
    case 2:
    case 3:
        vsw_fdb_pin(&table, key_of(n), port_of(n, n >= PINNED && chance & 16));
        break;
    default: /* a pinned one as well would be gone for good */
        if (n >= PINNED)
            vsw_fdb_delete(&table, key_of(n));
    }
}

/* Left to itself the kernel may run all threads on one CPU, one after the other. */
static void spread(unsigned thread)
{
    cpu_set_t cpu;

    CPU_ZERO(&cpu);
    CPU_SET(thread % (unsigned)sysconf(_SC_NPROCESSORS_ONLN), &cpu);
    if (sched_setaffinity(0, sizeof(cpu), &cpu) < 0)
        return; /* not ours to use: then it runs anywhere */
}

static const uint32_t seed[THREADS] = {1, 0xdecade, 0xfeed, 0xbeefcafe};
static pthread_barrier_t start;

static void *poller(void *number)
{
    unsigned thread = (unsigned)(uintptr_t)number;
    uint32_t x = seed[thread];

    spread(thread);
    pthread_barrier_wait(&start);
    for (unsigned i = 0; i < ROUNDS; i++) {
        x ^= x << 13; /* xorshift32, G. Marsaglia (2003) */
        x ^= x >> 17;
        x ^= x << 5;
        uint32_t n = x >> 8 & (x & 32 ? HOT : STATIONS - 1), now_s = clock_s;
        uint64_t key = key_of(n);

        if (x % 16 == 0)
            command(x >> 16, n, now_s);
        else if (x & 1)
            vsw_fdb_learn(&table, key, vsw_fdb_hash(&table, key), port_of(n, x & 2), now_s, &nobody);
        else
            look_up(n, now_s);
    }
    return NULL;
}

static void assert_the_table_is_sound(void)
{
    uint32_t found = 0, on_port[PORTS] = {0};

    for (unsigned i = 0; i < BUCKETS * VSW_FDB_WAYS; i++) {
        uint64_t key = bucket[i / 4].key[i % 4], value = bucket[i / 4].value[i % 4];

        assert((key != 0) == (vsw_value_port(value) != VSW_PORT_NONE)); /* none is half made */
        if (!key)
            continue;
        assert(vsw_fdb_copies(&table, key, vsw_fdb_hash(&table, key)) == 1);
        on_port[vsw_value_port(value)]++;
        found++;
    }
    assert(found == table.entries && found <= LIMIT);
    for (unsigned p = 0; p < PORTS; p++) {
        assert(on_port[p] == port_entries[p]);
        assert(!port_limit[p] || on_port[p] <= port_limit[p]);
    }
    for (uint32_t n = 0; n < PINNED; n++)
        assert(vsw_fdb_lookup(&table, key_of(n), vsw_fdb_hash(&table, key_of(n)), clock_s) == n);
}

int main(void)
{
    pthread_t thread[THREADS];

    port_limit[6] = 2;
    for (uint32_t n = 0; n < PINNED; n++)
        assert(vsw_fdb_pin(&table, key_of(n), port_of(n, false)) == 0);
    assert(pthread_barrier_init(&start, NULL, THREADS) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert(pthread_create(&thread[i], NULL, poller, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_the_table_is_sound();
    assert(table.learned > ROUNDS / 1000 && table.moved && table.refused && table.expired);
    return 0;
}
