/* fdb.h alone: where entries go, and what is left when two pollers meet at one. */
#include <assert.h>

#include "fdb_table.h"

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
