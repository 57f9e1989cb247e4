/* cc: -pthread -fsanitize=thread */
/* Pollers send to a shaped port while its owner empties the queue: each frame leaves once and in its
 * sender's order, or is counted as dropped. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "datapath/shaper.h"

#define SENDERS 3u
#define FRAMES 20000u
#define LEN 100u
#define AT 20u /* of the sender's number and the frame's in a frame */

static struct vsw_poller owner;
static struct vsw_counters counters[SENDERS + 1];
static struct vsw_port port;
static struct vsw_policy policy;
static struct vsw_shaper shaper;
static struct vsw_queue queue;
static uint32_t last[SENDERS]; /* of each, under the shaper's lock */
static _Atomic unsigned senders_left = SENDERS;

static void tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                     struct vsw_counters *c)
{
    (void)q;
    for (unsigned i = 0; i < n; i++) {
        uint32_t sender = vsw_be16(in[i]->data + AT), number = vsw_be32(in[i]->data + AT + 2);

        assert(in[i]->len == LEN && number > last[sender]);
        last[sender] = number;
        c->tx_frames++;
    }
}

static const struct vsw_port_ops kind = {.tx_burst = tx_burst};

static void *send_all(void *arg)
{
    uint16_t sender = (uint16_t)(uintptr_t)arg;
    uint8_t bytes[VSW_VNET_LEN + LEN] = {0};
    struct vsw_frame f = {.data = bytes + VSW_VNET_LEN, .len = LEN};
    const struct vsw_frame *in[] = {&f};

    for (uint32_t i = 1; i <= FRAMES; i++) {
        vsw_put_be16(bytes + VSW_VNET_LEN + AT, sender);
        vsw_put_be32(bytes + VSW_VNET_LEN + AT + 2, i);
        port.ops->tx_burst(&queue, in, 1, &counters[sender]);
    }
    atomic_fetch_sub(&senders_left, 1u);
    return NULL;
}

int main(void)
{
    static _Alignas(64) uint8_t memory[1 << 19];
    pthread_t sender[SENDERS];
    uint64_t sent = 0, dropped = 0;

    assert(vsw_poller_open(&owner) == 0);
    owner.counters = &counters[SENDERS];
    queue.port = &port;
    port = (struct vsw_port){.ops = &kind, .queue = &queue, .n_queues = 1, .policy = &policy};
    shaper.ring = (struct vsw_ring){.memory = memory, .size = sizeof(memory)};
    shaper.rate = 1000000000;
    shaper.burst = 1500;
    shaper.limit = 100000;
    vsw_shaper_begin(&shaper, &port, &owner);
    for (uintptr_t i = 0; i < SENDERS; i++)
        assert(pthread_create(&sender[i], NULL, send_all, (void *)i) == 0);
    while (atomic_load(&senders_left) || atomic_load(&shaper.queued)) {
        vsw_shapers_send(&owner);
        if (!owner.due_ns)
            sched_yield();
    }
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(sender[i], NULL);
    for (unsigned i = 0; i <= SENDERS; i++) {
        sent += counters[i].tx_frames;
        dropped += counters[i].drops[VSW_DROP_TX_FULL];
    }
    assert(sent + dropped == (uint64_t)SENDERS * FRAMES && counters[SENDERS].tx_frames > 0);
    vsw_shaper_end(&port, NULL);
    assert(port.ops == &kind && !owner.shapers);
    vsw_poller_close(&owner);
    return 0;
}
