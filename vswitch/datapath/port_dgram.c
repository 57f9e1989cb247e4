/* port_dgram.c - one frame per datagram; see port_dgram.h.
 *
 * There is no virtio-net header on this wire: frames arrive finished and have to leave finished.
 */
#include "datapath/port_dgram.h"

#include <errno.h>
#include <sys/uio.h>

#define FRONT 16 /* bytes before a frame in the arena: room for its virtio-net header, and aligned */

/* Whether the error @err of a socket says only that the peer is not there (yet): an answer of
 * his host to what we sent before. */
static bool dgram_is_lonely(int err)
{
    return err == ECONNREFUSED || err == ECONNRESET || err == EHOSTUNREACH || err == ENETUNREACH;
}

/* One at a time: for recvmmsg the arena would have to have 64 KiB for each. */
static int dgram_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    uint8_t *at = b->arena;
    int n = 0, lonely = 0;

    while (n < (int)VSW_BURST_CALLS && at < b->arena + VSW_BURST_BYTES) {
        ssize_t len = recv(q->fd, at + FRONT, VSW_FRAME_MAX + 1, MSG_DONTWAIT);

        if (len < 0) {
            /* That the peer is not there is told once for each answer of his host. */
            if (errno == EINTR || (dgram_is_lonely(errno) && ++lonely < (int)VSW_BURST_CALLS))
                continue;
            if (errno == EAGAIN || dgram_is_lonely(errno) || n) /* a lasting error comes back on the next burst */
                break;
            return -errno;
        }
        memset(at, 0, FRONT);
        vsw_frame_set(&b->frame[n++], at + FRONT, (uint32_t)len);
        at += (FRONT + (size_t)len + 63) & ~(size_t)63;
    }
    return n;
}

static void dgram_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                           struct vsw_counters *c)
{
    struct vsw_dgram *d = q->priv;
    struct iovec iov[VSW_BURST];
    struct mmsghdr m[VSW_BURST];
    unsigned i = 0;

    for (unsigned k = 0; k < n; k++) {
        iov[k] = (struct iovec){(void *)(uintptr_t)in[k]->data, in[k]->len};
        m[k] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[k], .msg_iovlen = 1}};
        m[k].msg_hdr.msg_name = d->peer_len ? &d->peer : NULL;
        m[k].msg_hdr.msg_namelen = d->peer_len;
    }
    while (i < n) {
        int done = sendmmsg(q->fd, m + i, n - i, MSG_DONTWAIT | MSG_NOSIGNAL);

        for (int k = 0; k < done; k++, i++) {
            c->tx_frames++;
            c->tx_bytes += in[i]->len;
        }
        if (done > 0 || (done < 0 && errno == EINTR))
            continue;
        /* The error is the first frame's; the others may pass (EMSGSIZE). */
        if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
            c->drops[VSW_DROP_TX_FULL]++;
        else
            c->drops[VSW_DROP_TX_ERROR]++;
        i++;
    }
}

const struct vsw_port_ops vsw_port_dgram_ops = {.rx_burst = dgram_rx_burst, .tx_burst = dgram_tx_burst};
