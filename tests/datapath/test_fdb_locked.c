/* fdb.h alone: entries of those that only knocked (mab.h). */
#include <assert.h>

#include "fdb_table.h"

static void knock(struct vsw_fdb *t, uint64_t key, uint16_t port, uint32_t now_s)
{
    uint64_t heard = vsw_fdb_value(now_s, port, 0, VSW_FDB_LOCKED);

    vsw_fdb_learn_change(t, key, vsw_fdb_hash(t, key), heard, &nobody);
}

static unsigned flags_of(struct vsw_fdb *t, uint64_t key)
{
    return vsw_value_flags(find(t, key).value);
}

static void a_locked_station_ages_and_stays_locked_where_it_is_heard(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    knock(&t, station(1), 2, 0);
    assert(lookup(&t, station(1), 299) == 2 && lookup(&t, station(1), 300) == VSW_PORT_NONE);
    knock(&t, station(1), 2, 200);
    learn(&t, station(1), 2, 201);
    assert(lookup(&t, station(1), 500) == 2 && flags_of(&t, station(1)) == VSW_FDB_LOCKED);
    learn(&t, station(1), 2, 501); /* its time was over: one that was learned, like others */
    assert(lookup(&t, station(1), 501) == 2 && flags_of(&t, station(1)) == 0);
    knock(&t, station(1), 3, 801); /* and the other way round */
    assert(lookup(&t, station(1), 801) == 3 && flags_of(&t, station(1)) == VSW_FDB_LOCKED);
}

static void a_locked_station_moves_and_is_locked_no_more(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t hash = vsw_fdb_hash(&t, station(1));

    t.hold_s = 1000; /* who only knocked is not held */
    knock(&t, station(1), 2, 0);
    assert(!vsw_fdb_is_held_elsewhere(&t, station(1), hash, 3, 1));
    learn(&t, station(1), 3, 0);
    assert(lookup(&t, station(1), 1) == 3 && flags_of(&t, station(1)) == 0 && t.moved == 1);
    assert(port_entries[2] == 0 && port_entries[3] == 1);
}

static void a_command_unlocks_a_station(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    knock(&t, station(1), 2, 0);
    knock(&t, station(2), 2, 0);
    assert(vsw_fdb_pin(&t, station(1), 2) == 0 && flags_of(&t, station(1)) == VSW_FDB_STATIC);
    assert(vsw_fdb_enter(&t, station(2), 2, VSW_FDB_STICKY, 1) == 0);
    assert(flags_of(&t, station(2)) == VSW_FDB_STICKY && t.entries == 2);
}

static void only_those_that_knocked_at_a_port_are_flushed(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    knock(&t, station(1), 2, 0);
    knock(&t, station(2), 3, 0);
    learn(&t, station(3), 2, 0);
    assert(vsw_fdb_pin(&t, station(4), 2) == 0);
    assert(vsw_fdb_flush_locked(&t, 2) == 1 && t.entries == 3 && port_entries[2] == 2);
    assert(lookup(&t, station(1), 0) == VSW_PORT_NONE && lookup(&t, station(2), 0) == 3);
    assert(vsw_fdb_flush(&t, 3, false) == 1);
}

static void events_say_who_is_locked(void)
{
    static struct vsw_event record[8], got[8];
    static struct vsw_events ring = {.record = record, .size = 8, .bell = -1};
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t heard = vsw_fdb_value(0, 2, 0, VSW_FDB_LOCKED), hash = vsw_fdb_hash(&t, station(1));

    t.events = &ring;
    vsw_fdb_learn_change(&t, station(1), hash, heard, &t.events);
    vsw_fdb_learn(&t, station(1), hash, 3, 1, &t.events);
    vsw_fdb_learn_change(&t, station(2), vsw_fdb_hash(&t, station(2)), heard, &t.events);
    assert(vsw_fdb_pin(&t, station(2), 2) == 0);
    vsw_fdb_learn_change(&t, station(3), vsw_fdb_hash(&t, station(3)), heard, &t.events);
    assert(vsw_fdb_expire(&t, 300) == 1 && vsw_events_waiting(&ring) == 6);
    vsw_events_take(&ring, got, 6);
    assert(got[0].kind == VSW_EVENT_LEARNED && got[0].flags == VSW_EVENT_IS_LOCKED);
    assert(got[1].kind == VSW_EVENT_MOVED && got[1].flags == VSW_EVENT_WAS_LOCKED);
    assert(got[2].flags == VSW_EVENT_IS_LOCKED && got[3].kind == VSW_EVENT_PINNED);
    assert(got[3].flags ==
           (VSW_EVENT_BY_COMMAND | VSW_EVENT_WAS_LOCKED | VSW_EVENT_IS_STATIC));
    assert(got[5].kind == VSW_EVENT_EXPIRED && got[5].flags == VSW_EVENT_WAS_LOCKED);
}

int main(void)
{
    a_locked_station_ages_and_stays_locked_where_it_is_heard();
    a_locked_station_moves_and_is_locked_no_more();
    a_command_unlocks_a_station();
    only_those_that_knocked_at_a_port_are_flushed();
    events_say_who_is_locked();
    return 0;
}
