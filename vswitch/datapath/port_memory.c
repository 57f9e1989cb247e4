/* port_memory.c - frames from and to memory; see port_memory.h. */
#include "datapath/port_memory.h"

#include "datapath/lock.h"

#include <unistd.h>

/* Nothing is left in `in`: start over, or clear the wake-up and look once more, so that a frame
 * put between the two is not slept on. */
static struct vsw_record *memory_refill(struct vsw_queue *q, struct vsw_memory *m)
{
    uint64_t count;

    if (m->replays) {
        m->replays--;
        m->in.peeked = atomic_load_explicit(&m->in.head, memory_order_relaxed);
    } else if (q->fd < 0 || read(q->fd, &count, sizeof(count)) < 0) {
        return NULL;
    }
    return vsw_ring_peek(&m->in);
}

/* What is replayed has to stay as it is: with VLANs its tag may be changed, so that is done to a copy. */
static int memory_replay_burst(struct vsw_queue *q, struct vsw_memory *m, struct vsw_burst *b)
{
    struct vsw_record *record;
    uint8_t *at = b->arena;
    int n = 0;

    while (n < (int)VSW_BURST_CALLS && at < b->arena + VSW_BURST_BYTES_MAX) {
        record = vsw_ring_peek(&m->in);
        if (!record && (n || !(record = memory_refill(q, m))))
            break;
        at = vsw_frame_copy(&b->frame[n++], at, record->data, record->len);
    }
    return n;
}

static int memory_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    struct vsw_memory *m = q->priv;
    struct vsw_record *record;
    int n = 0;

    if (!m->replays)
        vsw_ring_done(&m->in);
    else if (m->copied || q->port->vlans)
        return memory_replay_burst(q, m, b);
    while (n < (int)VSW_BURST_CALLS) {
        record = vsw_ring_peek(&m->in);
        if (!record && (n || !(record = memory_refill(q, m))))
            break;
        vsw_frame_set(&b->frame[n++], record->data, record->len);
    }
    return n;
}

static void memory_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                            struct vsw_counters *c)
{
    struct vsw_memory *m = q->priv;

    if (!m->discard)
        vsw_lock(&m->busy);
    for (unsigned i = 0; i < n; i++) {
        if (m->discard || vsw_ring_put(&m->out, q->port->id, in[i])) {
            c->tx_frames++;
            c->tx_bytes += in[i]->len;
        } else {
            c->drops[VSW_DROP_TX_FULL]++;
        }
    }
    if (!m->discard)
        vsw_unlock(&m->busy);
}

const struct vsw_port_ops vsw_port_memory_ops = {.rx_burst = memory_rx_burst, .tx_burst = memory_tx_burst};
