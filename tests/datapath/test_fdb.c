/* fdb.h alone: where entries go, and what is left when two pollers meet at one. */
#include "datapath/fdb_control.h"

#include <assert.h>

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

/* The @nth station whose first bucket is @first and whose second one is @second. */
static uint64_t station_in(const struct vsw_fdb *t, unsigned nth, unsigned first, unsigned second)
{
    for (uint32_t n = 0;; n++) {
        uint64_t key = station(n), hash = vsw_fdb_hash(t, key);
        const struct vsw_fdb_bucket *b = vsw_fdb_first(t, hash);

        if (b == &bucket[first] && vsw_fdb_other(t, b, hash) == &bucket[second] && nth-- == 0)
            return key;
    }
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

/* Fill bucket @first with four stations that may also live in @second; on port 1. */
static void fill(struct vsw_fdb *t, unsigned first, unsigned second)
{
    for (unsigned n = 0; n < VSW_FDB_WAYS; n++)
        learn(t, station_in(t, n, first, second), 1, 0);
    for (unsigned w = 0; w < VSW_FDB_WAYS; w++)
        assert(bucket[first].key[w]);
}

static void assert_filled(struct vsw_fdb *t, unsigned first, unsigned second)
{
    for (unsigned n = 0; n < VSW_FDB_WAYS; n++)
        assert(lookup(t, station_in(t, n, first, second), 0) == 1);
}

/* ------------------------------------------------------------- values and time */

static void zeroed_memory_is_a_table_of_nothing(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    for (uint32_t n = 0; n < 100; n++)
        assert(lookup(&t, station(n), 0) == VSW_PORT_NONE);
    assert(vsw_fdb_flush(&t, VSW_PORT_NONE, true) == 0);
}

static void a_value_keeps_its_parts_apart(void)
{
    uint64_t value = vsw_fdb_value(UINT32_MAX, 1023, VSW_FDB_GENERATIONS, VSW_FDB_FLAGS);

    assert(vsw_value_seen_s(value) == UINT32_MAX && vsw_value_port(value) == 1023);
    assert(vsw_value_generation(value) == VSW_FDB_GENERATIONS && vsw_value_static(value));
    value = vsw_fdb_value(0, 0, VSW_FDB_GENERATIONS + 1, 0); /* one more than the largest generation */
    assert(vsw_value_seen_s(value) == 0 && vsw_value_port(value) == 0);
    assert(vsw_value_generation(value) == 0 && !vsw_value_static(value));
    assert(vsw_value_port(vsw_value_none(value)) == VSW_PORT_NONE);
}

static void ageing_survives_the_wrap_of_the_clock(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    learn(&t, station(1), 7, UINT32_MAX - 10);

    assert(lookup(&t, station(1), 100) == 7);
    assert(lookup(&t, station(1), 288) == 7);
    assert(lookup(&t, station(1), 289) == VSW_PORT_NONE);
    assert(vsw_fdb_expire(&t, 288) == 0);
    assert(vsw_fdb_expire(&t, 289) == 1);
}

static void a_clock_that_is_a_second_behind_finds_the_station_alive(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    learn(&t, station(1), 7, 0);

    assert(lookup(&t, station(1), UINT32_MAX) == 7);
    assert(vsw_fdb_expire(&t, UINT32_MAX) == 0);
}

static void a_dead_station_that_speaks_again_keeps_its_place_and_counts_twice(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 1);

    learn(&t, station(1), 3, 0);
    learn(&t, station(1), 4, 300);

    assert(lookup(&t, station(1), 300) == 4);
    assert(t.learned == 2 && t.expired == 1 && t.moved == 0 && t.entries == 1);
    assert(port_entries[3] == 0 && port_entries[4] == 1);
}

static void a_dead_station_takes_up_room_until_it_is_expired(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 1);

    learn(&t, station(1), 3, 0);
    learn(&t, station(2), 3, 300);
    assert(lookup(&t, station(2), 300) == VSW_PORT_NONE && t.refused == 1);

    assert(vsw_fdb_expire(&t, 300) == 1);
    learn(&t, station(2), 3, 300);
    assert(lookup(&t, station(2), 300) == 3 && t.expired == 1);
}

/* ------------------------------------------------------------- limits and pins */

static void a_station_cannot_move_to_a_port_at_its_limit(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    port_limit[5] = 1;
    learn(&t, station(1), 5, 0);
    learn(&t, station(2), 6, 0);
    learn(&t, station(2), 5, 1);

    assert(lookup(&t, station(2), 1) == 6);
    assert(t.refused == 1 && t.moved == 0 && port_entries[5] == 1 && port_entries[6] == 1);
}

static void a_refused_pin_leaves_the_station_where_it_is(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    port_limit[5] = 1;
    learn(&t, station(1), 5, 0);
    learn(&t, station(2), 6, 0);
    assert(vsw_fdb_pin(&t, station(3), 6) == 0);

    assert(vsw_fdb_pin(&t, station(2), 5) == -ENOSPC);
    assert(vsw_fdb_pin(&t, station(3), 5) == -ENOSPC);

    assert(lookup(&t, station(2), 0) == 6 && lookup(&t, station(3), 0) == 6);
    assert(t.entries == 3 && t.refused == 2);
}

static void a_pinned_station_neither_moves_nor_ages(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);

    learn(&t, station(1), 2, 0);
    assert(vsw_fdb_pin(&t, station(1), 3) == 0);
    learn(&t, station(1), 2, 1);

    assert(lookup(&t, station(1), 1u << 30) == 3);
    assert(vsw_fdb_expire(&t, 1u << 30) == 0 && vsw_fdb_flush(&t, 3, false) == 0);
    assert(vsw_fdb_delete(&t, station(1)) && !vsw_fdb_delete(&t, station(1)));
    assert(t.entries == 0 && port_entries[2] == 0 && port_entries[3] == 0 && t.moved == 0);
}

static void a_sticky_station_ages_and_does_not_move(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t hash = vsw_fdb_hash(&t, station(1));

    assert(vsw_fdb_enter(&t, station(1), 2, VSW_FDB_STICKY, 0) == 0);
    learn(&t, station(1), 3, 1);
    assert(lookup(&t, station(1), 299) == 2 && lookup(&t, station(1), 300) == VSW_PORT_NONE);
    learn(&t, station(1), 2, 200); /* heard where it is: it lives on, and stays sticky */
    learn(&t, station(1), 3, 499);
    assert(lookup(&t, station(1), 499) == 2 && t.moved == 0);
    assert(vsw_fdb_is_held_elsewhere(&t, station(1), hash, 3, 499));
    assert(!vsw_fdb_is_held_elsewhere(&t, station(1), hash, 2, 499));

    learn(&t, station(1), 3, 500); /* its time was over: one that was learned, like others */
    assert(lookup(&t, station(1), 500) == 3 && !vsw_value_flags(find(&t, station(1)).value));
    learn(&t, station(1), 2, 501);
    assert(lookup(&t, station(1), 501) == 2 && t.moved == 1);
}

static void a_station_that_was_heard_so_recently_is_held(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t hash = vsw_fdb_hash(&t, station(1));

    t.hold_s = 10;
    learn(&t, station(1), 1, UINT32_MAX - 2);
    learn(&t, station(1), 2, 6);
    assert(lookup(&t, station(1), 6) == 1 && t.moved == 0);
    assert(vsw_fdb_is_held_elsewhere(&t, station(1), hash, 2, 6));
    assert(!vsw_fdb_is_held_elsewhere(&t, station(2), vsw_fdb_hash(&t, station(2)), 2, 6));
    assert(!vsw_fdb_is_held_elsewhere(&t, station(1), hash, 2, 7));
    learn(&t, station(1), 2, 7);
    assert(lookup(&t, station(1), 7) == 2 && t.moved == 1);
    t.ageing_s = 5; /* shorter than that: a dead station is held nowhere */
    assert(!vsw_fdb_is_held_elsewhere(&t, station(1), hash, 1, 12));
    learn(&t, station(1), 1, 12);
    assert(lookup(&t, station(1), 12) == 1);
}

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

/* ------------------------------------------------------------- making room */

static void two_buckets_hold_eight_and_the_ninth_is_crowded_out(void)
{
    struct vsw_fdb t = make_fdb(2, 16);

    for (uint32_t n = 0; n < 9; n++)
        learn(&t, station(n), 1, 0);

    assert(t.crowded == 1 && t.refused == 0 && t.learned == 8);
    assert(t.entries == 8 && port_entries[1] == 8);
    for (uint32_t n = 0; n < 9; n++)
        assert(lookup(&t, station(n), 0) == (n < 8 ? 1 : VSW_PORT_NONE));
    assert(vsw_fdb_pin(&t, station(8), 2) == -EXFULL && port_entries[2] == 0);
}

static void a_pinned_station_that_makes_room_stays_pinned(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 32);
    uint64_t pinned = station_in(&t, 0, 0, 3), newcomer = station_in(&t, 4, 0, 1);

    assert(vsw_fdb_pin(&t, pinned, 2) == 0);
    for (unsigned n = 0; n < 3; n++)
        learn(&t, station_in(&t, n, 0, 1), 1, 0);
    fill(&t, 1, 0);
    learn(&t, newcomer, 4, 0);

    assert(find(&t, newcomer).bucket == &bucket[0]);
    assert(find(&t, pinned).bucket == &bucket[3]);
    assert(vsw_value_static(find(&t, pinned).value) && lookup(&t, pinned, 1u << 30) == 2);
}

static void a_sticky_station_that_makes_room_stays_sticky(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 32);
    uint64_t sticky = station_in(&t, 0, 0, 3), newcomer = station_in(&t, 4, 0, 1);

    assert(vsw_fdb_enter(&t, sticky, 2, VSW_FDB_STICKY, 0) == 0);
    for (unsigned n = 0; n < 3; n++)
        learn(&t, station_in(&t, n, 0, 1), 1, 0);
    fill(&t, 1, 0);
    learn(&t, newcomer, 4, 0);

    assert(find(&t, sticky).bucket == &bucket[3]);
    assert(vsw_value_flags(find(&t, sticky).value) == VSW_FDB_STICKY);
}

/* Buckets 0 to @full - 1 are full of stations that may only move on to the next one. */
static bool is_room_made_through(unsigned full)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 32);
    uint64_t newcomer = station_in(&t, 4, 0, 1);

    for (unsigned b = 0; b < full; b++)
        fill(&t, b, b + 1);
    learn(&t, newcomer, 4, 0);

    for (unsigned b = 0; b < full; b++)
        assert_filled(&t, b, b + 1);
    assert(t.entries == 4 * full + (t.crowded ? 0 : 1));
    assert((lookup(&t, newcomer, 0) == 4) == (t.crowded == 0));
    return t.crowded == 0;
}

static void room_is_made_by_as_many_moves_in_a_row_as_promised(void)
{
    for (unsigned full = 1; full <= VSW_FDB_DEPTH; full++)
        assert(is_room_made_through(full));
    assert(!is_room_made_through(VSW_FDB_DEPTH + 1));
}

/* ------------------------------------------------------------- two pollers at one entry */

static void a_claimed_place_is_invisible_until_it_is_published(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t key = station(1), hash = vsw_fdb_hash(&t, key);
    struct vsw_fdb_place first = vsw_fdb_claim(&t, key, hash);

    assert(lookup(&t, key, 0) == VSW_PORT_NONE);
    assert(!vsw_fdb_delete(&t, key));
    assert(vsw_fdb_flush(&t, VSW_PORT_NONE, true) == 0 && vsw_fdb_expire(&t, 0) == 0);

    vsw_way_publish(first.bucket, first.way, vsw_fdb_value(0, 5, 0, false));
    assert(lookup(&t, key, 0) == 5);
}

static void the_second_to_learn_a_station_gives_up(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t key = station(1), hash = vsw_fdb_hash(&t, key);

    vsw_fdb_claim(&t, key, hash);

    assert(vsw_fdb_insert(&t, key, hash, vsw_fdb_value(0, 6, 0, false)) == -EAGAIN);
    assert(vsw_fdb_copies(&t, key, hash) == 1); /* the first one's */
    assert(t.entries == 0 && port_entries[6] == 0 && t.refused == 0 && t.crowded == 0);
}

static void nobody_moves_a_station_that_another_one_is_moving(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    uint64_t key = station_in(&t, 0, 2, 5);

    learn(&t, key, 1, 0);
    assert(vsw_bucket_claim(&bucket[5], key) == 0); /* the other one, half way */

    assert(!vsw_fdb_shift(&t, &bucket[2], 0));
    assert(lookup(&t, key, 0) == 1 && vsw_fdb_copies(&t, key, vsw_fdb_hash(&t, key)) == 2);
}

static void an_entry_that_went_is_not_refreshed(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    struct vsw_fdb_place seen;

    learn(&t, station(1), 1, 0);
    seen = find(&t, station(1));
    vsw_fdb_delete(&t, station(1));
    vsw_fdb_refresh(&t, seen, station(1), vsw_fdb_value(1, 2, 0, 0), NULL);

    assert(lookup(&t, station(1), 1) == VSW_PORT_NONE);
    assert(t.entries == 0 && port_entries[1] == 0 && port_entries[2] == 0 && t.moved == 0);
}

static void an_entry_in_a_reused_place_is_not_taken_for_the_old_one(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    struct vsw_fdb_place seen, now;

    learn(&t, station(1), 1, 0);
    seen = find(&t, station(1));
    vsw_fdb_delete(&t, station(1));
    learn(&t, station(1), 1, 0); /* the same in every respect but its generation */
    now = find(&t, station(1));

    assert(now.bucket == seen.bucket && now.way == seen.way);
    assert(vsw_value_generation(now.value) == vsw_value_generation(seen.value) + 1);
    assert(!vsw_fdb_remove(&t, seen));
    assert(vsw_fdb_replace(&t, seen, vsw_fdb_value(9, 2, 0, false)) == -EAGAIN);
    assert(lookup(&t, station(1), 0) == 1 && t.entries == 1);
    assert(port_entries[1] == 1 && port_entries[2] == 0);
}

static void a_refreshed_entry_is_not_expired_by_who_read_it_before(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    struct vsw_fdb_place seen;

    learn(&t, station(1), 1, 0);
    seen = find(&t, station(1));
    learn(&t, station(1), 1, 300);

    assert(!vsw_fdb_remove(&t, seen));
    assert(lookup(&t, station(1), 300) == 1);
}

/* ------------------------------------------------------------- reading it all */

static void a_dump_gives_back_what_was_learned(void)
{
    struct vsw_fdb t = make_fdb(BUCKETS, 8);
    const uint8_t mac[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55};
    struct vsw_fdb_row row[3];

    learn(&t, vsw_fdb_key(4095, mac), 7, 10);
    assert(vsw_fdb_pin(&t, station(1), 6) == 0);
    learn(&t, station(2), 5, 0);

    assert(vsw_fdb_dump(&t, row, 1, 305) == 1);
    assert(vsw_fdb_dump(&t, row, 3, 305) == 2); /* station 2 is dead */
    if (row[0].is_static)
        row[0] = row[1];
    assert(memcmp(row[0].mac, mac, 6) == 0 && row[0].vid == 4095 && row[0].port == 7);
    assert(row[0].age_s == 295 && !row[0].is_static && !row[0].flags);
    assert(vsw_fdb_flush(&t, VSW_PORT_NONE, true) == 3);
    assert(vsw_fdb_enter(&t, station(3), 4, VSW_FDB_STICKY, 300) == 0);
    assert(vsw_fdb_dump(&t, row, 3, 305) == 1);
    assert(row[0].flags == VSW_FDB_STICKY && !row[0].is_static && row[0].age_s == 5);
}

int main(void)
{
    zeroed_memory_is_a_table_of_nothing();
    a_value_keeps_its_parts_apart();
    ageing_survives_the_wrap_of_the_clock();
    a_clock_that_is_a_second_behind_finds_the_station_alive();
    a_dead_station_that_speaks_again_keeps_its_place_and_counts_twice();
    a_dead_station_takes_up_room_until_it_is_expired();
    a_station_cannot_move_to_a_port_at_its_limit();
    a_refused_pin_leaves_the_station_where_it_is();
    a_pinned_station_neither_moves_nor_ages();
    a_sticky_station_ages_and_does_not_move();
    a_station_that_was_heard_so_recently_is_held();
    a_locked_station_ages_and_stays_locked_where_it_is_heard();
    a_locked_station_moves_and_is_locked_no_more();
    a_command_unlocks_a_station();
    only_those_that_knocked_at_a_port_are_flushed();
    events_say_who_is_locked();
    two_buckets_hold_eight_and_the_ninth_is_crowded_out();
    a_pinned_station_that_makes_room_stays_pinned();
    a_sticky_station_that_makes_room_stays_sticky();
    room_is_made_by_as_many_moves_in_a_row_as_promised();
    a_claimed_place_is_invisible_until_it_is_published();
    the_second_to_learn_a_station_gives_up();
    nobody_moves_a_station_that_another_one_is_moving();
    an_entry_that_went_is_not_refreshed();
    an_entry_in_a_reused_place_is_not_taken_for_the_old_one();
    a_refreshed_entry_is_not_expired_by_who_read_it_before();
    a_dump_gives_back_what_was_learned();
    return 0;
}
