/* mab.h alone: who may enter by a locked port, and who is noted there. */
#include "datapath/fdb_control.h"
#include "datapath/mab.h"

#include <assert.h>
#include <stdlib.h>

static struct vsw_fdb_bucket bucket[16];
static uint32_t port_limit[4];
static vsw_atomic_u32 port_entries[4];
static struct vsw_fdb table;
static struct vsw_port port = {.id = 2, .learning = 1, .mab = 1};
static struct vsw_poller *poller;
static struct vsw_events *const nobody;

static void begin(void)
{
    memset(bucket, 0, sizeof(bucket));
    memset(port_entries, 0, sizeof(port_entries));
    memset(port_limit, 0, sizeof(port_limit));
    table = (struct vsw_fdb){.bucket = bucket, .mask = 15, .limit = 8, .ageing_s = 300,
                             .port_limit = port_limit, .port_entries = port_entries};
    port = (struct vsw_port){.id = 2, .learning = 1, .mab = 1};
    poller->now_s = 0;
}

static struct vsw_frame frame(uint8_t n)
{
    const uint8_t mac[6] = {2, 0, 0, 0, 0, n};
    uint64_t key = vsw_fdb_key(7, mac);

    return (struct vsw_frame){.src = key, .src_hash = vsw_fdb_hash(&table, key),
                              .verdict = VSW_FORWARD};
}

/* Whether station @n may enter at @now_s. */
static bool enters(uint8_t n, uint32_t now_s)
{
    struct vsw_frame f = frame(n);

    poller->now_s = now_s;
    return vsw_mab_admits(poller, &table, &port, &f);
}

/* The port of station @n, and whether its entry is locked. */
static bool is_at(uint8_t n, uint16_t at, bool locked)
{
    struct vsw_frame f = frame(n);
    struct vsw_fdb_place found = vsw_fdb_find(&table, f.src, f.src_hash);

    return found.bucket && vsw_value_port(found.value) == at &&
           locked == !!(found.value & VSW_FDB_LOCKED);
}

static void who_is_not_known_is_noted_and_stays_outside(void)
{
    begin();
    assert(!enters(1, 0) && is_at(1, 2, true) && table.learned == 1 && port_entries[2] == 1);
    assert(!enters(1, 0) && !enters(1, 200) && table.learned == 1);
    assert(!enters(1, 499) && table.expired == 0); /* each of them kept it young */
    assert(!enters(1, 799) && table.expired == 1 && table.learned == 2 && is_at(1, 2, true));
}

static void who_was_let_in_by_command_enters(void)
{
    begin();
    assert(!enters(1, 0) && vsw_fdb_pin(&table, frame(1).src, 2) == 0);
    assert(enters(1, 0) && enters(1, 100000));
    assert(vsw_fdb_enter(&table, frame(1).src, 2, VSW_FDB_STICKY, 1) == 0);
    assert(enters(1, 300) && !enters(1, 301) && is_at(1, 2, true));
}

static void who_is_known_elsewhere_stays_there(void)
{
    struct vsw_frame f = frame(1);

    begin();
    f = frame(1);
    vsw_fdb_learn(&table, f.src, f.src_hash, 3, 0, &nobody);
    assert(!enters(1, 299) && is_at(1, 3, false) && table.moved == 0);
    assert(!enters(1, 300) && is_at(1, 2, true)); /* its time was over */
    port.id = 1; /* who only knocked does not move to another locked port either */
    assert(!enters(1, 301) && is_at(1, 2, true));
    vsw_fdb_learn(&table, f.src, f.src_hash, 3, 302, &nobody);
    assert(is_at(1, 3, false));
}

static void without_mab_or_learning_nobody_is_noted(void)
{
    begin();
    port.mab = 0;
    assert(!enters(1, 0) && table.entries == 0);
    port.mab = 1;
    port.learning = 0;
    assert(!enters(1, 0) && table.entries == 0);
}

static void a_reserved_address_that_goes_no_further_notes_nobody(void)
{
    struct vsw_frame f;

    begin();
    f = frame(1);
    f.verdict = VSW_DISCARD;
    assert(!vsw_mab_admits(poller, &table, &port, &f) && table.entries == 0);
    f.verdict = VSW_FORWARD;
    assert(!vsw_mab_admits(poller, &table, &port, &f) && table.entries == 1);
}

static void the_limits_count_who_knocks(void)
{
    begin();
    port_limit[2] = 2;
    assert(!enters(1, 0) && !enters(2, 0) && !enters(3, 0));
    assert(table.entries == 2 && table.refused == 1);
}

int main(void)
{
    poller = aligned_alloc(64, sizeof(*poller));
    assert(poller);
    memset(poller, 0, sizeof(*poller));
    who_is_not_known_is_noted_and_stays_outside();
    who_was_let_in_by_command_enters();
    who_is_known_elsewhere_stays_there();
    without_mab_or_learning_nobody_is_noted();
    a_reserved_address_that_goes_no_further_notes_nobody();
    the_limits_count_who_knocks();
    free(poller);
    return 0;
}
