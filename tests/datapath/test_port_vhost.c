/* cc: -pthread */
/* virtq.h and port_vhost.c alone: who rings whom and when, and what a broken ring still does. */
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool waiting; /* somebody wants a lock that another has */

static int note_waiting(void)
{
    atomic_store(&waiting, true);
    return sched_yield();
}
#define sched_yield note_waiting
#include "datapath/port_vhost.c"
#include "datapath/virtq_begin.h"
#undef sched_yield

#include <assert.h>
#include <pthread.h>

#define SIZE 8u
#define BUFFER 2048u
#define HEADER (VSW_VNET_LEN + 2u)
#define GPA 0x10000u

static _Alignas(64) uint8_t memory[1 << 16], log_bits[64];
static struct vsw_vhost vhost;
static struct vsw_port port;
static struct vsw_queue queue;
static uint8_t bytes[VSW_VNET_LEN + 60];
static const struct vsw_frame frame = {.data = bytes + VSW_VNET_LEN, .len = 60};

/* Parts of ring @i lie 4 KiB apart, buffers behind them. */
static void set_up(bool packed, bool event_idx, uint32_t base)
{
    memset(memory, 0, sizeof(memory));
    memset(log_bits, 0, sizeof(log_bits));
    memset(&vhost, 0, sizeof(vhost));
    vsw_vhost_init(&vhost, NULL, -1);
    vhost.guest.n_regions = 1;
    vhost.guest.region[0] = (struct vsw_region){.gpa = GPA, .size = sizeof(memory), .at = memory};
    vhost.guest.log = log_bits;
    vhost.guest.log_size = sizeof(log_bits);
    vhost.to_ring[0] = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *at = memory + 0x3000 * i;

        vhost.ring[i] = (struct vsw_virtq){.guest = &vhost.guest, .desc = (void *)at,
            .driver = at + 0x1000, .device = at + 0x2000, .size = SIZE, .ready = 1, .enabled = 1,
            .packed = packed, .event_idx = event_idx, .call_fd = -1, .desc_gpa = GPA + 0x3000 * i};
        vsw_virtq_begin(&vhost.ring[i], base);
        if (!packed)
            vsw_virtq_store(vhost.ring[i].driver + 2, (uint16_t)base, __ATOMIC_RELAXED);
        for (unsigned slot = 0; packed && slot < SIZE; slot++)
            vhost.ring[i].desc[slot].packed.flags = vhost.ring[i].next_wrap ? 0 : 0x8080;
    }
    port = (struct vsw_port){.ops = &vsw_port_vhost_ops, .queue = &queue, .priv = &vhost, .n_queues = 1};
    queue = (struct vsw_queue){.port = &port, .priv = &vhost, .fd = -1, .epoll_fd = -1};
}

/* Make a buffer available in slot @at of ring @i; @wrap as the driver counts. */
static void offer(unsigned i, uint16_t at, bool wrap)
{
    struct vsw_virtq *vq = &vhost.ring[i];
    struct vsw_desc d = {.addr = GPA + 0x8000, .len = BUFFER};
    uint16_t kind = i ? 0 : VSW_DESC_WRITE, slot = at % SIZE;

    if (vq->packed) {
        d.packed.id = slot;
        d.packed.flags = kind | (wrap ? VSW_DESC_AVAIL : VSW_DESC_USED);
    } else {
        d.split.flags = kind;
        vsw_virtq_store(vq->driver + 4 + 2 * slot, slot, __ATOMIC_RELAXED);
        vsw_virtq_store(vq->driver + 2, (uint16_t)(at + 1), __ATOMIC_RELAXED);
    }
    vq->desc[slot] = d;
}

/* Whether a driver that has just made @at available kicks (2.7.10, 2.8.14). */
static bool kicks(const struct vsw_virtq *vq, uint16_t at, bool wrap)
{
    uint16_t flags = vsw_virtq_load(vq->device + (vq->packed ? 2 : 0), __ATOMIC_RELAXED);

    if (!vq->packed && vq->event_idx)
        return vsw_virtq_load(vsw_split_avail_event(vq), __ATOMIC_RELAXED) == at;
    if (!vq->packed)
        return !(flags & VSW_USED_NO_NOTIFY);
    if (flags == VSW_EVENT_DESC)
        return vsw_virtq_load(vq->device, __ATOMIC_RELAXED) == (at | wrap << 15);
    return flags == VSW_EVENT_ENABLE;
}

static void an_armed_ring_is_kicked_for_the_next_chain(bool packed, bool event_idx, uint16_t at)
{
    struct vsw_virtq *vq = &vhost.ring[1];
    static _Alignas(64) uint8_t arena[VSW_ARENA];
    struct vsw_burst b = {.arena = arena};
    bool wrap = true;

    set_up(packed, event_idx, packed ? at | 0x8000u : at);
    assert(!vsw_port_vhost_ops.ready(&queue, true));
    assert(kicks(vq, at, wrap));

    offer(1, at, wrap);
    assert(vsw_port_vhost_ops.ready(&queue, false) && vsw_port_vhost_ops.ready(&queue, true));
    assert(vsw_port_vhost_ops.rx_burst(&queue, &b) == 1);
    assert(!vsw_port_vhost_ops.ready(&queue, false));
    if (packed && ++at == SIZE) {
        at = 0;
        wrap = false;
    } else if (!packed) {
        at++;
    }
    assert(!kicks(vq, at, wrap)); /* while we look by ourselves */
    assert(!vsw_port_vhost_ops.ready(&queue, true));
    assert(kicks(vq, at, wrap));
}

/* Whether slot and wrap @event is passed going from @old to @new, step by step. */
static bool packed_passes(uint16_t event, uint16_t old, unsigned steps)
{
    for (; steps; steps--) {
        if (old == event)
            return true;
        old = (old & 0x7fff) + 1u < SIZE ? old + 1u : (old & 0x8000) ^ 0x8000;
    }
    return false;
}

static void a_packed_ring_calls_as_counting_slots_by_hand_says(void)
{
    for (uint16_t old = 0; old < 2 * SIZE; old++) {
        for (unsigned steps = 1; steps <= SIZE; steps++) {
            for (uint16_t event = 0; event < 2 * SIZE; event++) {
                uint16_t at = old % SIZE | (old >= SIZE ? 0x8000u : 0);
                uint16_t where = event % SIZE | (event >= SIZE ? 0x8000u : 0);

                set_up(true, true, at);
                vhost.ring[0].call_fd = 1; /* nobody writes to it here */
                vsw_virtq_store(vhost.ring[0].driver, where, __ATOMIC_RELAXED);
                vsw_virtq_store(vhost.ring[0].driver + 2, VSW_EVENT_DESC, __ATOMIC_RELAXED);
                for (unsigned i = 0; i < steps; i++)
                    vsw_virtq_use(&vhost.ring[0], 0, 1, 1);
                assert(vsw_virtq_publish(&vhost.ring[0]) == packed_passes(where, at, steps));
            }
        }
    }
}

static void a_split_ring_calls_as_counting_indices_by_hand_says(void)
{
    for (uint16_t old = 0xFFFA; old != 6; old++) {
        for (uint16_t steps = 1; steps <= SIZE; steps++) {
            for (uint16_t event = 0xFFF0; event != 0x20; event++) {
                bool passed = false;

                set_up(false, true, old);
                vhost.ring[0].call_fd = 1;
                vsw_virtq_store(vhost.ring[0].driver + 4 + 2 * SIZE, event, __ATOMIC_RELAXED);
                for (uint16_t i = 0; i < steps; i++) {
                    vsw_virtq_use(&vhost.ring[0], 0, 1, 1);
                    passed |= (uint16_t)(old + i) == event;
                }
                assert(vsw_virtq_publish(&vhost.ring[0]) == passed);
            }
        }
    }
}

static bool driver_sees(const struct vsw_virtq *vq, uint16_t slot)
{
    if (!vq->packed)
        return vsw_virtq_used_index(vq) > slot;
    return (vq->desc[slot].packed.flags & (VSW_DESC_AVAIL | VSW_DESC_USED)) == 0x8080;
}

static void nothing_is_seen_before_it_is_published(bool packed)
{
    set_up(packed, false, packed ? 0x8000 : 0);
    for (uint16_t i = 0; i < 3; i++)
        offer(0, i, true);
    for (uint16_t i = 0; i < 3; i++) {
        vsw_virtq_use(&vhost.ring[0], i, 1, 60);
        assert(!driver_sees(&vhost.ring[0], 0)); /* and behind it, it does not look (2.8.6) */
    }
    vsw_virtq_publish(&vhost.ring[0]);
    for (uint16_t i = 0; i < 3; i++)
        assert(driver_sees(&vhost.ring[0], i));
}

static bool noted(unsigned page)
{
    return log_bits[page / 8] >> page % 8 & 1;
}

static void arming_and_disarming_write_and_are_noted(bool packed, bool event_idx)
{
    struct vsw_virtq *vq = &vhost.ring[1];
    unsigned page = (GPA + 0x5000) >> VSW_LOG_PAGE_SHIFT;

    set_up(packed, event_idx, packed ? 0x8000 : 0);
    vsw_virtq_arm(vq);
    assert(!noted(page)); /* nobody asks */
    vq->log_gpa = GPA + 0x5000;
    vsw_virtq_arm(vq);
    assert(noted(page) && !noted(page + 1));
    memset(log_bits, 0, sizeof(log_bits));
    vsw_virtq_disarm(vq);
    assert(noted(page));
}

static void send_one(struct vsw_counters *c)
{
    const struct vsw_frame *frames[] = {&frame};

    vsw_port_vhost_ops.tx_burst(&queue, frames, 1, c);
}

static void *sender(void *counters)
{
    send_one(counters);
    return NULL;
}

static void a_ring_that_broke_while_somebody_waited_for_it_is_not_touched(void)
{
    struct vsw_counters c = {0};
    pthread_t thread;

    set_up(false, false, 0);
    offer(0, 0, true);
    vsw_lock(&vhost.ring[0].busy);
    atomic_store(&waiting, false);
    assert(pthread_create(&thread, NULL, sender, &c) == 0);
    while (!atomic_load(&waiting))
        sched_yield();
    vhost.ring[0].broken = 1;
    vsw_unlock(&vhost.ring[0].busy);
    pthread_join(thread, NULL);

    assert(vhost.ring[0].broken && vhost.ring[0].next == 0);
    assert(c.drops[VSW_DROP_TX_ERROR] == 1 && c.tx_frames == 0);
}

/* The descriptor is the guest's as well: epoll would remember it, and where the queue was, after we have
 * closed ours. */
static void a_broken_ring_is_neither_read_nor_woken_for(void)
{
    struct vsw_counters c = {0};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &queue};
    static _Alignas(64) uint8_t arena[VSW_ARENA];
    struct vsw_burst b = {.arena = arena};

    set_up(false, false, 0);
    queue.fd = eventfd(0, EFD_NONBLOCK);
    queue.epoll_fd = epoll_create1(0);
    assert(epoll_ctl(queue.epoll_fd, EPOLL_CTL_ADD, queue.fd, &event) == 0);
    offer(1, 0, true);
    vsw_virtq_store(vhost.ring[0].driver + 2, SIZE + 1, __ATOMIC_RELAXED);
    send_one(&c);

    assert(queue.error == EPROTO && c.drops[VSW_DROP_TX_ERROR] == 1);
    vsw_eventfd_signal(queue.fd);
    assert(epoll_wait(queue.epoll_fd, &event, 1, 0) == 0);
    assert(vsw_port_vhost_ops.rx_burst(&queue, &b) == -EPROTO);
    close(queue.fd);
    close(queue.epoll_fd);
}

/* Eight times 32 KiB, all of it the same memory: more than the arena has. */
static void a_giant_is_read_as_far_as_shows_that_it_is_one(void)
{
    static _Alignas(64) uint8_t arena[VSW_ARENA];
    struct vsw_burst b = {.arena = arena};

    set_up(false, false, 0);
    offer(1, 0, true);
    for (uint16_t i = 0; i < SIZE; i++)
        vhost.ring[1].desc[i] = (struct vsw_desc){.addr = GPA + 0x8000, .len = 0x8000,
            .split = {.flags = i + 1u < SIZE ? VSW_DESC_NEXT : 0, .next = i + 1u}};
    assert(vsw_port_vhost_ops.rx_burst(&queue, &b) == 1);
    assert(b.frame[0].len == VSW_FRAME_MAX + 1);
}

/* Bytes are copied out as far as they are judged by, and the rest from where the guest has it, when the
 * frame is sent; until then the guest does not have the buffer back. */
static void a_long_frame_stays_the_guests_until_it_was_sent(bool packed, bool event_idx)
{
    static _Alignas(64) uint8_t arena[VSW_ARENA];
    struct vsw_burst b = {.arena = arena};
    struct vsw_counters c = {0};
    const struct vsw_frame *sent[] = {&b.frame[0]};
    const uint32_t len = BUFFER - HEADER;
    uint8_t *own = memory + 0x8000 + HEADER, *theirs = memory + 0xA000 + HEADER;

    set_up(packed, event_idx, packed ? 0x8000 : 0);
    memset(arena, 0xAA, sizeof(arena));
    memset(own, 1, len);
    offer(1, 0, true);
    offer(1, 1, true);
    offer(0, 0, true);
    vhost.ring[0].desc[0].addr = GPA + 0xA000;
    assert(vsw_port_vhost_ops.rx_burst(&queue, &b) == 2);
    assert(!driver_sees(&vhost.ring[1], 0));
    assert(b.frame[0].needs == VSW_PIECES && b.frame[0].len == len);
    for (size_t i = VSW_HEAD + vsw_pieces_size(1); i < len; i++)
        assert(b.frame[0].data[i] == 0xAA);

    memset(own, 2, len);
    vsw_port_vhost_ops.tx_burst(&queue, sent, 1, &c);
    assert(c.tx_frames == 1 && c.tx_bytes == len);
    for (uint32_t i = 0; i < len; i++)
        assert(theirs[i] == (i < VSW_HEAD ? 1 : 2));
    assert(!driver_sees(&vhost.ring[1], 0));

    vsw_port_vhost_ops.done(&queue);
    assert(driver_sees(&vhost.ring[1], 0) && driver_sees(&vhost.ring[1], 1));
}

/* Nobody comes back to the guest's memory for one that was made whole, nor reads what is not there. */
static void a_frame_made_whole_is_the_guests_no_more(void)
{
    static _Alignas(64) uint8_t arena[VSW_ARENA];
    struct vsw_burst b = {.arena = arena};
    const struct vsw_frame *f = &b.frame[0];

    set_up(false, false, 0);
    memset(memory + 0x8000, 1, BUFFER);
    offer(1, 0, true);
    assert(vsw_port_vhost_ops.rx_burst(&queue, &b) == 1);
    assert(vsw_frame_whole(&b, f) == f && f->needs == 0);
    memset(memory + 0x8000, 2, BUFFER);
    vsw_frame_whole(&b, f);
    for (uint32_t i = 0; i < f->len; i++)
        assert(f->data[i] == 1);
}

static void a_short_frame_is_handed_back_at_once(bool packed)
{
    static _Alignas(64) uint8_t arena[VSW_ARENA];
    struct vsw_burst b = {.arena = arena};

    set_up(packed, false, packed ? 0x8000 : 0);
    offer(1, 0, true);
    vhost.ring[1].desc[0].len = 100;
    assert(vsw_port_vhost_ops.rx_burst(&queue, &b) == 1);
    assert(b.frame[0].needs == 0 && driver_sees(&vhost.ring[1], 0));
}

int main(void)
{
    a_frame_made_whole_is_the_guests_no_more();
    for (unsigned how = 0; how < 4; how++)
        a_long_frame_stays_the_guests_until_it_was_sent(how & 1, how & 2);
    a_short_frame_is_handed_back_at_once(false);
    a_short_frame_is_handed_back_at_once(true);
    a_giant_is_read_as_far_as_shows_that_it_is_one();
    for (unsigned how = 0; how < 4; how++) {
        for (uint16_t at = 0; at < SIZE; at++)
            an_armed_ring_is_kicked_for_the_next_chain(how & 1, how & 2, at);
        arming_and_disarming_write_and_are_noted(how & 1, how & 2);
    }
    an_armed_ring_is_kicked_for_the_next_chain(false, true, 0xFFFF);
    a_packed_ring_calls_as_counting_slots_by_hand_says();
    a_split_ring_calls_as_counting_indices_by_hand_says();
    nothing_is_seen_before_it_is_published(false);
    nothing_is_seen_before_it_is_published(true);
    a_ring_that_broke_while_somebody_waited_for_it_is_not_touched();
    a_broken_ring_is_neither_read_nor_woken_for();
    return 0;
}
