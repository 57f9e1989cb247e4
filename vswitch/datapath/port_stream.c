/* port_stream.c - frames behind their lengths on a stream socket; see port_stream.h. */
#include "datapath/port_stream.h"

#include "datapath/lock.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define COPY_MAX 256u /* a frame so short is quicker copied behind its length than listed */
#define FRONT 16 /* bytes before a frame in the arena: room for its virtio-net header, and aligned */

/* ------------------------------------------------------------------ transmit */

/* Have epoll report room for a rest, or not; a queue that failed is not watched any more. */
static void stream_watch(struct vsw_queue *q, bool room)
{
    struct epoll_event event = {.events = room ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = q};

    epoll_ctl(q->epoll_fd, EPOLL_CTL_MOD, q->fd, &event);
}

static void stream_set_rest(struct vsw_queue *q, struct vsw_stream *s, uint32_t len)
{
    uint32_t had = atomic_load_explicit(&s->rest_len, memory_order_relaxed);

    atomic_store_explicit(&s->rest_len, len, memory_order_relaxed);
    if (!had != !len)
        stream_watch(q, len > 0);
}

/* Write without waiting; bytes taken, or -errno. */
static ssize_t stream_send(int fd, struct iovec *iov, unsigned n)
{
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = n};
    ssize_t done;

    do
        done = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    return done < 0 ? -errno : done;
}

/* Keep what the socket did not take of @f and its length, of which it took @done bytes. */
static void stream_keep(struct vsw_queue *q, struct vsw_stream *s, const struct vsw_frame *f,
                        size_t done)
{
    size_t skip = done < VSW_STREAM_PREFIX ? done : VSW_STREAM_PREFIX;
    size_t from = done - skip, front = VSW_STREAM_PREFIX - skip;
    uint8_t prefix[VSW_STREAM_PREFIX];

    vsw_put_be32(prefix, f->len);
    memcpy(s->rest, prefix + skip, front);
    memcpy(s->rest + front, f->data + from, f->len - from);
    s->rest_at = 0;
    stream_set_rest(q, s, (uint32_t)(front + f->len - from));
}

/* Send the rest, if there is one; whether nothing is left of it.  Locked. */
static bool stream_flush(struct vsw_queue *q, struct vsw_stream *s)
{
    uint32_t len = atomic_load_explicit(&s->rest_len, memory_order_relaxed);
    struct iovec iov = {s->rest + s->rest_at, len};
    ssize_t done;

    if (!len)
        return true;
    done = stream_send(q->fd, &iov, 1);
    if (done <= 0)
        return false;
    s->rest_at += (uint32_t)done;
    stream_set_rest(q, s, len - (uint32_t)done);
    return (uint32_t)done == len;
}

/* Whether the error @err of a send means that there is no room now. */
static bool stream_is_full(ssize_t err)
{
    return err == -EAGAIN || err == -ENOBUFS || err == -ENOMEM;
}

/* Account for @n frames of which the socket took @done bytes, lengths included, or none because
 * of an error; keep the rest of the one it took in part.  Locked. */
static void stream_settle(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                          ssize_t done, struct vsw_counters *c)
{
    size_t left = done < 0 ? 0 : (size_t)done;

    for (unsigned i = 0; i < n; i++) {
        size_t size = VSW_STREAM_PREFIX + (size_t)in[i]->len;

        if (!left) {
            c->drops[done >= 0 || stream_is_full(done) ? VSW_DROP_TX_FULL : VSW_DROP_TX_ERROR]++;
            continue;
        }
        if (left < size)
            stream_keep(q, q->priv, in[i], left);
        left -= left < size ? left : size;
        c->tx_frames++;
        c->tx_bytes += in[i]->len;
    }
}

/* List @n frames behind their lengths in @iov; lengths and short frames go into @at, one piece
 * for as long as they follow each other.  Returns the number of entries. */
static unsigned stream_list(const struct vsw_frame *const *in, unsigned n, struct iovec *iov,
                            uint8_t *at)
{
    unsigned used = 0;
    bool open = false; /* the last entry ends at @at */

    for (unsigned i = 0; i < n; i++) {
        uint32_t len = in[i]->len, copied = len <= COPY_MAX ? len : 0;

        if (!open)
            iov[used++] = (struct iovec){at, 0};
        vsw_put_be32(at, len);
        vsw_copy_short(at + VSW_STREAM_PREFIX, in[i]->data, copied);
        at += VSW_STREAM_PREFIX + copied;
        iov[used - 1].iov_len += VSW_STREAM_PREFIX + copied;
        open = copied == len;
        if (!open)
            iov[used++] = (struct iovec){(void *)(uintptr_t)in[i]->data, len};
    }
    return used;
}

static void stream_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                            struct vsw_counters *c)
{
    struct vsw_stream *s = q->priv;
    uint8_t staged[VSW_BURST * (VSW_STREAM_PREFIX + COPY_MAX)];
    struct iovec iov[2 * VSW_BURST];
    unsigned used = stream_list(in, n, iov, staged);
    ssize_t done = -EAGAIN;

    vsw_lock(&s->busy);
    if (stream_flush(q, s))
        done = stream_send(q->fd, iov, used);
    stream_settle(q, in, n, done, c);
    vsw_unlock(&s->busy);
}

/* ------------------------------------------------------------------ receive */

/* Copy the complete frames of the buffer into the arena, each behind a virtio-net header that
 * asks for nothing.  In the buffer the ten bytes before a frame are its length and the end of
 * the frame before, which is still to be sent.  Returns how many, or -EPROTO when the first
 * thing there is no length. */
static int stream_cut(struct vsw_stream *s, struct vsw_burst *b)
{
    uint8_t *at = b->arena;
    int n = 0;

    while (n < (int)VSW_BURST && at < b->arena + VSW_BURST_BYTES_MAX &&
           s->end - s->start >= VSW_STREAM_PREFIX) {
        const uint8_t *from = s->buffer + s->start;
        uint32_t len = vsw_be32(from);

        if (len == 0 || len > VSW_FRAME_MAX)
            return n ? n : -EPROTO;
        if (s->end - s->start - VSW_STREAM_PREFIX < len)
            break;
        memset(at, 0, FRONT);
        if (len <= COPY_MAX)
            vsw_copy_short(at + FRONT, from + VSW_STREAM_PREFIX, len);
        else
            memcpy(at + FRONT, from + VSW_STREAM_PREFIX, len);
        vsw_frame_set(&b->frame[n++], at + FRONT, len);
        at += (FRONT + len + 63) & ~63u;
        s->start += VSW_STREAM_PREFIX + len;
    }
    return n;
}

/* Read a chunk behind what is there, a frame's beginning at most; 0 or -errno. */
static int stream_fill(struct vsw_queue *q, struct vsw_stream *s)
{
    ssize_t len;

    memmove(s->buffer, s->buffer + s->start, s->end - s->start);
    s->end -= s->start;
    s->start = 0;
    do
        len = recv(q->fd, s->buffer + s->end, VSW_STREAM_CHUNK, MSG_DONTWAIT);
    while (len < 0 && errno == EINTR);
    if (len <= 0)
        return len ? -errno : -ECONNRESET;
    s->end += (uint32_t)len;
    return 0;
}

static int stream_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    struct vsw_stream *s = q->priv;
    int n, err;

    if (atomic_load_explicit(&s->rest_len, memory_order_relaxed)) {
        vsw_lock(&s->busy);
        stream_flush(q, s);
        vsw_unlock(&s->busy);
    }
    /* As long as it takes to complete one frame: so many bytes at most. */
    while ((n = stream_cut(s, b)) == 0) {
        err = stream_fill(q, s);
        if (err == -EAGAIN)
            return 0;
        if (err < 0)
            return err;
    }
    return n;
}

const struct vsw_port_ops vsw_port_stream_ops = {.rx_burst = stream_rx_burst, .tx_burst = stream_tx_burst};
