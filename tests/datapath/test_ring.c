/* cc: -pthread -fsanitize=undefined */
/* ring.h alone: what goes in comes out, in order and whole, or is not taken.
 *
 * Without the address sanitizer, which makes records longer (sanitize.h): the sizes here are
 * those of a release build. */
#include "datapath/ring.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>

#define SIZE 4096u

static _Alignas(64) uint8_t memory[SIZE];
static uint8_t bytes[VSW_VNET_LEN + SIZE];

/* A frame of @len bytes that all depend on @mark, its virtio-net header too. */
static struct vsw_frame make_frame(uint32_t len, uint8_t mark)
{
    for (uint32_t i = 0; i < VSW_VNET_LEN + len; i++)
        bytes[i] = (uint8_t)(mark + i * 7);
    return (struct vsw_frame){.data = bytes + VSW_VNET_LEN, .len = len};
}

static struct vsw_ring make_ring(uint64_t start)
{
    struct vsw_ring r = {.memory = memory, .size = SIZE};

    r.head = r.tail = r.peeked = start;
    return r;
}

static bool put(struct vsw_ring *r, uint32_t len, uint8_t mark)
{
    struct vsw_frame f = make_frame(len, mark);

    return vsw_ring_put(r, mark, &f);
}

static void assert_is(const struct vsw_record *record, uint32_t len, uint8_t mark)
{
    assert(record && record->len == len && record->port == mark);
    assert((uintptr_t)record->data % 16 == 0);
    for (uint32_t i = 0; i < VSW_VNET_LEN; i++)
        assert(record->vnet[i] == (uint8_t)(mark + i * 7));
    for (uint32_t i = 0; i < len; i++)
        assert(record->data[i] == (uint8_t)(mark + (i + VSW_VNET_LEN) * 7));
}

static void an_empty_ring_has_nothing(void)
{
    struct vsw_ring r = make_ring(0);

    assert(!vsw_ring_peek(&r));
    vsw_ring_done(&r);
    assert(!vsw_ring_peek(&r));
}

static void frames_of_any_length_come_out_in_order(void)
{
    struct vsw_ring r = make_ring(0);

    for (uint32_t len = 0; len < 64; len++)
        assert(put(&r, len, (uint8_t)len) || len > 50);
    for (uint32_t len = 0; len <= 50; len++)
        assert_is(vsw_ring_peek(&r), len, (uint8_t)len);
}

static void a_full_ring_takes_nothing_until_room_is_given_back(void)
{
    struct vsw_ring r = make_ring(0);
    unsigned n = 0;

    while (put(&r, 240, (uint8_t)n))
        n++;
    assert(n == SIZE / 256 && !put(&r, 0, 0));

    assert_is(vsw_ring_peek(&r), 240, 0);
    assert(!put(&r, 0, 0)); /* handed out is not given back */
    vsw_ring_done(&r);
    assert(put(&r, 240, 99) && !put(&r, 0, 0));
}

static void a_record_is_never_in_two_pieces(void)
{
    struct vsw_ring r = make_ring(0);

    for (unsigned i = 0; i < 10000; i++) { /* every position and length that can be */
        uint32_t len = i * 37 % 1500;

        assert(put(&r, len, (uint8_t)i) && put(&r, len / 2, (uint8_t)(i + 1)));
        assert_is(vsw_ring_peek(&r), len, (uint8_t)i);
        assert_is(vsw_ring_peek(&r), len / 2, (uint8_t)(i + 1));
        assert(!vsw_ring_peek(&r));
        vsw_ring_done(&r);
    }
}

static void counting_bytes_survives_its_wrap(void)
{
    struct vsw_ring r = make_ring(UINT64_MAX - SIZE + 1);

    for (unsigned i = 0; i < 100; i++) {
        assert(put(&r, 1000, (uint8_t)i));
        assert_is(vsw_ring_peek(&r), 1000, (uint8_t)i);
        vsw_ring_done(&r);
    }
    assert(r.tail < UINT64_MAX / 2);
}

/* ------------------------------------------------------------- two threads */

#define FRAMES 100000u

static void *write_frames(void *ring)
{
    uint8_t frame[VSW_VNET_LEN + 300];

    for (uint32_t i = 0; i < FRAMES; i++) {
        struct vsw_frame f = {.data = frame + VSW_VNET_LEN, .len = 4 + i % 296};

        memset(frame, (int)(i & 0xFF), sizeof(frame));
        memcpy(frame + VSW_VNET_LEN, &i, sizeof(i));
        while (!vsw_ring_put(ring, (uint16_t)i, &f))
            sched_yield();
    }
    return NULL;
}

static void one_thread_reads_what_another_writes(void)
{
    struct vsw_ring r = make_ring(0);
    pthread_t writer;

    assert(pthread_create(&writer, NULL, write_frames, &r) == 0);
    for (uint32_t i = 0; i < FRAMES;) {
        struct vsw_record *record = vsw_ring_peek(&r);
        uint32_t number;

        if (!record) {
            vsw_ring_done(&r);
            sched_yield();
            continue;
        }
        memcpy(&number, record->data, sizeof(number));
        assert(number == i && record->port == (uint16_t)i && record->len == 4 + i % 296);
        assert(record->len == 4 || record->data[record->len - 1] == (i & 0xFF));
        if (i++ % 3 == 0)
            vsw_ring_done(&r);
    }
    pthread_join(writer, NULL);
    assert(!vsw_ring_peek(&r));
}

int main(void)
{
    an_empty_ring_has_nothing();
    frames_of_any_length_come_out_in_order();
    a_full_ring_takes_nothing_until_room_is_given_back();
    a_record_is_never_in_two_pieces();
    counting_bytes_survives_its_wrap();
    one_thread_reads_what_another_writes();
    return 0;
}
