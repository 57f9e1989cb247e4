/* port_packet.c - the interface end of a device: an AF_PACKET socket, several frames a call.
 *
 * The socket is non-blocking, bound to its device, and has PACKET_VNET_HDR and PACKET_AUXDATA
 * (linux/packet.py): the bytes of a message are the virtio-net header and the frame, and beside
 * them stands the VLAN tag the kernel took out.  That the device went down, or was deleted, is said
 * once, by an error; links.py finds out which.
 */
#include "datapath/port_packet.h"

#include "datapath/tag.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOT_BYTES (VSW_PACKET_SLOT - VSW_PACKET_AT + VSW_VNET_LEN) /* of a message */
#define MESSAGE_BYTES (VSW_VNET_LEN + VSW_FRAME_MAX + 1u) /* one too many shows a long frame */

_Static_assert(VSW_PACKET_AT >= VSW_VNET_LEN + VSW_TAG_LEN, "a header and a tag fit in front");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a packet socket has its header in the machine's byte order, frame.h in little endian");

void vsw_packet_init(struct vsw_packet *s)
{
    s->want = VSW_BURST_CALLS;
    for (unsigned i = 0; i < VSW_BURST_CALLS; i++) {
        struct msghdr *m = &s->message[i].msg_hdr;

        s->part[i][0].iov_base = s->slot[i] + VSW_PACKET_AT - VSW_VNET_LEN;
        s->part[i][0].iov_len = SLOT_BYTES;
        s->part[i][1].iov_base = s->whole[i] + VSW_PACKET_SLOT;
        s->part[i][1].iov_len = MESSAGE_BYTES - SLOT_BYTES;
        m->msg_iov = s->part[i];
        m->msg_iovlen = 2;
        m->msg_control = s->control[i];
        m->msg_controllen = sizeof(s->control[i]);
    }
}

/* What the kernel says beside message @m; NULL when it says nothing. */
static inline const struct tpacket_auxdata *packet_auxdata(struct msghdr *m)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(m);

    if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
        return NULL;
    return (const struct tpacket_auxdata *)(const void *)CMSG_DATA(c);
}

/* Make a frame of message @i of @s. */
static inline void packet_take(struct vsw_packet *s, unsigned i, struct vsw_frame *f)
{
    struct msghdr *m = &s->message[i].msg_hdr;
    const struct tpacket_auxdata *aux = packet_auxdata(m);
    uint32_t size = s->message[i].msg_len;
    uint8_t *data = s->slot[i] + VSW_PACKET_AT;

    m->msg_controllen = sizeof(s->control[i]);
    f->len = size < VSW_VNET_LEN ? 0 : size - VSW_VNET_LEN;
    if (size > SLOT_BYTES) {
        data = s->whole[i] + VSW_PACKET_AT;
        memcpy(data - VSW_VNET_LEN, s->slot[i] + VSW_PACKET_AT - VSW_VNET_LEN, SLOT_BYTES);
    }
    if (aux && aux->tp_status & TP_STATUS_VLAN_VALID && f->len >= VSW_ETH_LEN) {
        uint16_t tpid = aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid
                                                                   : VSW_VNET_ETH_CTAG;
        data = vsw_tag_put_back(data, tpid, aux->tp_vlan_tci);
        f->len += VSW_TAG_LEN;
    }
    f->data = data;
}

/* Of all errors these alone mean that no frame can ever come.  ENETDOWN says once that the device
 * went down, or is gone; EINVAL that a frame was lost which a virtio-net header cannot describe. */
static inline int packet_has_ended(int error)
{
    return error == ENODEV || error == ENXIO || error == EBADF;
}

/* As the TAP's: system calls directly, see port_tap.c. */
static int packet_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    struct vsw_packet *s = (struct vsw_packet *)q->priv + (q - q->port->queue);
    long n = syscall(SYS_recvmmsg, q->fd, s->message, s->want, MSG_DONTWAIT, NULL);
    uint32_t n_bytes = 0;

    if (n <= 0)
        return n < 0 && packet_has_ended(errno) ? -errno : 0;
    for (unsigned i = 0; i < (unsigned)n; i++) {
        packet_take(s, i, &b->frame[i]);
        n_bytes += b->frame[i].len;
    }
    /* recvmmsg() knows no limit in bytes.  Frames come in runs of one size: ask for as many as
     * make VSW_BURST_BYTES if the next are like these. */
    uint32_t mean = n_bytes / (uint32_t)n + 1;
    s->want = VSW_BURST_BYTES / mean;
    if (s->want > VSW_BURST_CALLS)
        s->want = VSW_BURST_CALLS;
    else if (s->want == 0)
        s->want = 1;
    return (int)n;
}

static inline void packet_count_loss(int error, struct vsw_counters *c)
{
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM)
        c->drops[VSW_DROP_TX_FULL]++;
    else /* ENETDOWN: the interface is down; ENXIO: the device is gone; EMSGSIZE */
        c->drops[VSW_DROP_TX_ERROR]++;
}

static void packet_tx_burst(struct vsw_queue *q, const struct vsw_frame *const *in, unsigned n,
                            struct vsw_counters *c)
{
    struct mmsghdr message[VSW_BURST]; /* on the stack: several pollers may send by one queue */
    struct iovec part[VSW_BURST];
    unsigned at = 0;

    for (unsigned i = 0; i < n; i++) {
        part[i].iov_base = (void *)(uintptr_t)vsw_vnet(in[i]);
        part[i].iov_len = VSW_VNET_LEN + (size_t)in[i]->len;
        message[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
    }
    while (at < n) {
        long done = syscall(SYS_sendmmsg, q->fd, message + at, n - at, MSG_DONTWAIT);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) { /* the error is that of the first frame; go on behind it */
            packet_count_loss(errno, c);
            at++;
        }
        for (; done > 0; done--, at++) {
            c->tx_frames++;
            c->tx_bytes += in[at]->len;
        }
    }
}

const struct vsw_port_ops vsw_port_packet_ops = {packet_rx_burst, packet_tx_burst};
