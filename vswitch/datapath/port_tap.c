/* port_tap.c - the file end of a TAP device: one frame per read(2) and write(2).
 *
 * The descriptor is non-blocking and opened with IFF_NO_PI | IFF_VNET_HDR, little-endian
 * header (linux/tun.py), so the bytes of a read are the virtio-net header and the frame, and a
 * write takes the same.  A TAP is not a socket: there is no call for several frames at once.
 */
#include "datapath/port_tap.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* read(2) and write(2) without the C library's: in a process with threads those mark the thread
 * as cancellable around each call, which is 8 % of all a 60-byte frame costs. */
static inline ssize_t tap_read(int fd, void *buf, size_t size)
{
    return syscall(SYS_read, fd, buf, size);
}

static inline ssize_t tap_write(int fd, const void *buf, size_t size)
{
    return syscall(SYS_write, fd, buf, size);
}

static int tap_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    uint8_t *at = b->arena;
    int n = 0;

    while (n < (int)VSW_BURST_CALLS && at < b->arena + VSW_BURST_BYTES) {
        /* The frame starts at the 16th byte of a cache line: its header and the virtio-net
         * header in front share the line. */
        uint8_t *data = at + 16;
        ssize_t len = tap_read(q->fd, data - VSW_VNET_LEN, VSW_VNET_LEN + VSW_FRAME_MAX + 1);

        if (len < 0) {
            if (errno == EINTR)
                continue;
            /* EBADFD: the device is gone; EFAULT: it is going.  Anything else is about one frame,
             * which the kernel could not hand over and has forgotten. */
            if (n == 0 && (errno == EBADFD || errno == EFAULT || errno == EBADF))
                return -errno;
            break;
        }
        vsw_frame_set(&b->frame[n++], data, len < VSW_VNET_LEN ? 0 : (uint32_t)len - VSW_VNET_LEN);
        at += ((size_t)len + 16 + 63) & ~(size_t)63;
    }
    return n;
}

static void tap_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                         struct vsw_counters *c)
{
    for (unsigned i = 0; i < n; i++) {
        size_t len = VSW_VNET_LEN + (size_t)in[i]->len;
        ssize_t done = tap_write(q->fd, vsw_vnet(in[i]), len);

        if (done >= 0) {
            c->tx_frames++;
            c->tx_bytes += in[i]->len;
        } else if (errno == EINTR) {
            i--;
        } else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
            c->drops[VSW_DROP_TX_FULL]++;
        } else { /* EIO: the interface is down; EBADFD: the device is gone */
            c->drops[VSW_DROP_TX_ERROR]++;
        }
    }
}

const struct vsw_port_ops vsw_port_tap_ops = {.rx_burst = tap_rx_burst, .tx_burst = tap_tx_burst};
