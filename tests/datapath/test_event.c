/* cc: -pthread -fsanitize=undefined */
/* event.h alone: records come out in order or are counted as lost, and the bell is rung once. */
#include "datapath/event.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#define SIZE 64u
#define SENT 300000u

static struct vsw_event record[SIZE];

static struct vsw_events *make_ring(int bell)
{
    static struct vsw_events ring;

    ring = (struct vsw_events){.record = record, .size = SIZE, .bell = bell};
    return &ring;
}

static void put(struct vsw_events *r, uint64_t key)
{
    vsw_events_put(r, (struct vsw_event){.key = key, .kind = VSW_EVENT_LEARNED});
}

static uint64_t rings(int bell)
{
    uint64_t count = 0;

    return read(bell, &count, sizeof(count)) < 0 ? 0 : count;
}

static void a_full_ring_loses_the_newest_and_counts_them(void)
{
    struct vsw_events *r = make_ring(-1);
    struct vsw_event got[SIZE];

    for (uint64_t key = 0; key < SIZE + 3; key++)
        put(r, key);

    assert(vsw_events_waiting(r) == SIZE && r->lost == 3);
    vsw_events_take(r, got, SIZE);
    for (uint64_t i = 0; i < SIZE; i++)
        assert(got[i].key == i && (i == 0 || got[i].ns >= got[i - 1].ns));
    put(r, 99);
    vsw_events_take(r, got, 1);
    assert(got[0].key == 99 && r->lost == 3);
}

static void the_bell_is_rung_once_until_the_reader_rests(void)
{
    int bell = eventfd(0, EFD_NONBLOCK);
    struct vsw_events *r = make_ring(bell);
    struct vsw_event got[SIZE];

    put(r, 1);
    put(r, 2);
    assert(rings(bell) == 1);
    vsw_events_take(r, got, 2);
    put(r, 3);
    assert(rings(bell) == 0);
    assert(!vsw_events_rest(r)); /* there is one */
    vsw_events_take(r, got, 1);
    assert(vsw_events_rest(r));
    put(r, 4);
    assert(rings(bell) == 1);
    close(bell);
}

static void a_refusal_is_told_once_a_second_and_port(void)
{
    struct vsw_events *r = make_ring(-1);

    for (unsigned i = 0; i < 5; i++) {
        vsw_events_put_refused(r, i, 1, VSW_PORT_NONE, 7);
        vsw_events_put_refused(r, i, 2, VSW_PORT_NONE, 7);
    }
    vsw_events_put_refused(r, 9, 1, VSW_PORT_NONE, 8);

    assert(vsw_events_waiting(r) == 3 && record[2].key == 9 && record[2].at_s == 8);
    for (unsigned i = 0; i < 5; i++)
        vsw_events_put_held(r, i, 1, 2, 8);
    assert(vsw_events_waiting(r) == 4 && record[3].kind == VSW_EVENT_HELD);
    assert(record[3].port == 1 && record[3].old_port == 2);
    vsw_events_put_held(NULL, 1, 1, 1, 1);
    vsw_events_put_refused(NULL, 1, 1, 1, 1);
    vsw_events_put(NULL, record[0]);
}

static void *send_all(void *ring)
{
    for (uint64_t key = 0; key < SENT; key++)
        put(ring, key);
    return NULL;
}

/* What the reader does: look as long as there is something, rest, and wait for the bell. */
static void nothing_is_forgotten_between_two_threads(void)
{
    int bell = eventfd(0, 0);
    struct vsw_events *r = make_ring(bell);
    struct vsw_event got[SIZE];
    uint64_t n, seen = 0, last = 0;
    pthread_t thread;

    assert(pthread_create(&thread, NULL, send_all, r) == 0);
    while (seen + atomic_load(&r->lost) < SENT) {
        n = vsw_events_waiting(r);
        vsw_events_take(r, got, n);
        for (uint64_t i = 0; i < n; i++) {
            assert(seen == 0 || got[i].key > last);
            last = got[i].key;
            seen++;
        }
        if (!n && vsw_events_rest(r) && seen + atomic_load(&r->lost) < SENT)
            assert(rings(bell) > 0);
        if (seen % 3 == 0)
            sched_yield();
    }
    pthread_join(thread, NULL);
    assert(seen + r->lost == SENT && vsw_events_waiting(r) == 0 && seen >= SIZE);
    close(bell);
}

int main(void)
{
    a_full_ring_loses_the_newest_and_counts_them();
    the_bell_is_rung_once_until_the_reader_rests();
    a_refusal_is_told_once_a_second_and_port();
    nothing_is_forgotten_between_two_threads();
    return 0;
}
