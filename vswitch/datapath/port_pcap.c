/* port_pcap.c - frames from a capture and into a recording; see port_pcap.h. */
#include "datapath/port_pcap.h"

#include "datapath/lock.h"

#include "datapath/poller.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define NS_PER_S 1000000000u
#define CLASSIC_HEADER 16u /* bytes in front of a frame */
#define NG_HEADER 28u      /* the same in an Enhanced Packet Block */
#define NG_TYPE 6u
#define PIECES 3u          /* of a record: header, frame, trailer */

static uint64_t pcap_now_ns(const struct vsw_queue *q, clockid_t clock)
{
    return q->clock->by_hand ? (uint64_t)q->clock->now_s * NS_PER_S : vsw_now_ns(clock);
}

/* ------------------------------------------------------------------ receive */

/* Have the descriptor readable at @due_ns, not before. */
static void pcap_sleep_until(const struct vsw_queue *q, uint64_t due_ns)
{
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(due_ns / NS_PER_S),
                                         .tv_nsec = (long)(due_ns % NS_PER_S)}};

    if (!q->clock->by_hand)
        timerfd_settime(q->fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* Whether there is a frame still to come, after starting over if that is due. */
static bool pcap_has_next(struct vsw_pcap *s)
{
    if (s->next < s->n_entries)
        return true;
    if (!s->n_entries || (s->loops && s->done + 1 >= s->loops))
        return false;
    s->done++;
    s->begin_ns += s->period_ns;
    s->next = 0;
    return true;
}

/* Put the next frame into @f if it is due at @now_ns; else have the queue woken when it is, unless
 * it has something to do now anyway. */
static bool pcap_take(const struct vsw_queue *q, struct vsw_pcap *s, uint64_t now_ns,
                      struct vsw_frame *f, bool idle)
{
    uint64_t begin = (s->next ? s->entry[s->next - 1].end : 0) + VSW_VNET_LEN;
    uint64_t due_ns = s->begin_ns + s->entry[s->next].due_ns;

    if (due_ns > now_ns) {
        if (idle)
            pcap_sleep_until(q, due_ns);
        return false;
    }
    vsw_frame_set(f, s->frames + begin, (uint32_t)(s->entry[s->next++].end - begin));
    return true;
}

static int pcap_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    struct vsw_pcap *s = q->priv;
    uint64_t now_ns = pcap_now_ns(q, CLOCK_MONOTONIC);
    uint8_t *at = b->arena;
    int n = 0;

    if (!s->begun) {
        s->begun = 1;
        s->begin_ns = now_ns;
    }
    while (n < (int)VSW_BURST && at < b->arena + VSW_BURST_BYTES_MAX && pcap_has_next(s)) {
        struct vsw_frame *f = &b->frame[n];

        if (!pcap_take(q, s, now_ns, f, !n))
            return n;
        if (q->port->vlans) /* a tag may be changed, and the capture is to enter again */
            at = vsw_frame_copy(f, at, f->data, f->len);
        n++;
    }
    return n || q->fd < 0 ? n : -ENODATA;
}

/* ------------------------------------------------------------------ transmit */

static void put_le32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* What stands before @f in a pcapng file, and behind its padding at @tail. */
static void pcap_put_block(uint8_t *at, uint8_t *tail, uint32_t size, uint64_t time_ns)
{
    put_le32(at, NG_TYPE);
    put_le32(at + 4, size);
    put_le32(at + 8, 0); /* interface */
    put_le32(at + 12, (uint32_t)(time_ns >> 32));
    put_le32(at + 16, (uint32_t)time_ns);
    put_le32(tail, size);
}

/* List the record of frame @f at @time_ns in @iov; what is not the frame goes into @at.  Returns
 * its size. */
static size_t pcap_list(const struct vsw_pcap *s, const struct vsw_frame *f, uint64_t time_ns,
                        struct iovec *iov, uint8_t *at)
{
    uint32_t head = s->ng ? NG_HEADER : CLASSIC_HEADER, padding = s->ng ? -f->len & 3 : 0;
    uint32_t tail = s->ng ? padding + 4 : 0, size = head + f->len + tail;

    if (s->ng) {
        memset(at + head, 0, padding);
        pcap_put_block(at, at + head + padding, size, time_ns);
    } else {
        put_le32(at, (uint32_t)(time_ns / NS_PER_S));
        put_le32(at + 4, (uint32_t)(time_ns % NS_PER_S));
    }
    put_le32(at + head - 8, f->len); /* captured, and on the wire */
    put_le32(at + head - 4, f->len);
    iov[0] = (struct iovec){at, head};
    iov[1] = (struct iovec){(void *)(uintptr_t)f->data, f->len};
    iov[2] = (struct iovec){at + head, tail};
    return size;
}

/* Write @n records of @size bytes each; returns how many are there as a whole, and sets @err to
 * what became of the next.  Locked. */
static unsigned pcap_write_file(struct vsw_pcap *s, struct iovec *iov, const size_t *size,
                                unsigned n, int *err)
{
    ssize_t done = pwritev(s->out_fd, iov, (int)(PIECES * n), (off_t)s->out_at);
    size_t left = done < 0 ? 0 : (size_t)done;
    unsigned whole = 0;

    *err = done < 0 ? errno : ENOSPC;
    while (whole < n && left >= size[whole]) {
        left -= size[whole];
        s->out_at += size[whole++];
    }
    if (left && ftruncate(s->out_fd, (off_t)s->out_at) < 0)
        *err = errno;
    return whole;
}

/* The same for a pipe, which takes a record or does not. */
static unsigned pcap_write_pipe(struct vsw_pcap *s, struct iovec *iov, unsigned n, int *err)
{
    unsigned whole = 0;

    while (whole < n && writev(s->out_fd, iov + PIECES * whole, PIECES) > 0)
        whole++;
    *err = errno;
    return whole;
}

/* Write @n frames with the lock held; returns how many are recorded. */
static unsigned pcap_record(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                            int *err)
{
    struct vsw_pcap *s = q->priv;
    uint8_t around[VSW_BURST * VSW_PCAP_OVERHEAD];
    struct iovec iov[VSW_BURST * PIECES];
    size_t size[VSW_BURST];
    uint64_t time_ns = pcap_now_ns(q, CLOCK_REALTIME); /* locked: they follow each other */

    if (s->out_fd < 0)
        return n;
    for (unsigned i = 0; i < n; i++)
        size[i] = pcap_list(s, in[i], time_ns, iov + PIECES * i, around + VSW_PCAP_OVERHEAD * i);
    return s->pipe ? pcap_write_pipe(s, iov, n, err) : pcap_write_file(s, iov, size, n, err);
}

static void pcap_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                          struct vsw_counters *c)
{
    struct vsw_pcap *s = q->priv;
    unsigned whole;
    int err = 0;

    vsw_lock(&s->busy);
    whole = pcap_record(q, in, n, &err);
    vsw_unlock(&s->busy);
    for (unsigned i = 0; i < whole; i++) {
        c->tx_frames++;
        c->tx_bytes += in[i]->len;
    }
    if (whole < n && (err == EAGAIN || err == ENOSPC || err == EDQUOT))
        c->drops[VSW_DROP_TX_FULL] += n - whole;
    else
        c->drops[VSW_DROP_TX_ERROR] += n - whole;
}

const struct vsw_port_ops vsw_port_pcap_ops = {.rx_burst = pcap_rx_burst, .tx_burst = pcap_tx_burst};
