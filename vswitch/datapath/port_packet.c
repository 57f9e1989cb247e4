/* port_packet.c - the interface end of a device: an AF_PACKET socket, mostly with a ring.
 *
 * The socket is non-blocking, bound to its device, and has PACKET_VNET_HDR and PACKET_AUXDATA
 * (linux/packet.py): the virtio-net header stands before the frame, in a slot as in a message, and
 * beside them the VLAN tag the kernel took out.  That the device went down, or was deleted, is said
 * once, by an error; links.py finds out which.  Sending copies, many frames a call.
 */
#include "datapath/port_packet.h"

#include "datapath/tag.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOT_BYTES (VSW_PACKET_SLOT - VSW_PACKET_AT + VSW_VNET_LEN) /* of a message */
#define MESSAGE_BYTES (VSW_VNET_LEN + VSW_FRAME_MAX + 1u) /* one too many shows a long frame */

_Static_assert(VSW_PACKET_AT >= VSW_VNET_LEN + 2 * VSW_TAG_LEN, "a header and two tags fit in front");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a packet socket has its header in the machine's byte order, frame.h in little endian");

/* How many frames may come before the losses are looked at, whatever else; and how many at least
 * when none is waiting: fewer than these do not fill a buffer of megabytes. */
#define LOOK_LATEST 1024u
#define LOOK_EARLIEST 64u

void vsw_packet_init(struct vsw_packet *s, uint8_t *ring, uint32_t slots)
{
    s->ring = ring;
    s->slots = slots;
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

/* Put the tag back that the kernel took out of @f and left beside it. */
static inline void packet_put_tag(struct vsw_frame *f, uint8_t *data, uint32_t status,
                                  uint16_t tpid, uint16_t tci)
{
    if (__builtin_expect(!(status & TP_STATUS_VLAN_VALID), 1) || f->len < VSW_ETH_LEN)
        return;
    if (!(status & TP_STATUS_VLAN_TPID_VALID))
        tpid = VSW_VNET_ETH_CTAG;
    f->data = vsw_tag_put_back(data, tpid, tci);
    f->len += VSW_TAG_LEN;
}

/* Make a frame of message @i of @s. */
static inline void packet_take(struct vsw_packet *s, unsigned i, struct vsw_frame *f)
{
    struct msghdr *m = &s->message[i].msg_hdr;
    const struct tpacket_auxdata *aux = packet_auxdata(m);
    uint32_t size = s->message[i].msg_len;
    uint8_t *data = s->slot[i] + VSW_PACKET_AT;

    m->msg_controllen = sizeof(s->control[i]);
    if (size > SLOT_BYTES) {
        data = s->whole[i] + VSW_PACKET_AT;
        memcpy(data - VSW_VNET_LEN, s->slot[i] + VSW_PACKET_AT - VSW_VNET_LEN, SLOT_BYTES);
    }
    vsw_frame_set(f, data, size < VSW_VNET_LEN ? 0 : size - VSW_VNET_LEN);
    if (aux)
        packet_put_tag(f, data, aux->tp_status, aux->tp_vlan_tpid, aux->tp_vlan_tci);
}

/* Of all errors these alone mean that no frame can ever come.  ENETDOWN says once that the device
 * went down, or is gone; EINVAL that a frame was lost which a virtio-net header cannot describe. */
static inline int packet_has_ended(int error)
{
    return error == ENODEV || error == ENXIO || error == EBADF;
}

/* ------------------------------------------------------------------ from the socket's queue */

/* As the TAP's: system calls directly, see port_tap.c. */
static int packet_rx_queue(struct vsw_queue *q, struct vsw_packet *s, struct vsw_burst *b)
{
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

/* ------------------------------------------------------------------ from the ring */

static inline struct tpacket2_hdr *packet_slot(const struct vsw_packet *s, uint32_t i)
{
    return (struct tpacket2_hdr *)(void *)(s->ring + (size_t)i * VSW_RING_SLOT);
}

/* The frames of the last burst are dead: the kernel may have their slots again. */
static inline void packet_give_back(struct vsw_packet *s)
{
    for (uint32_t i = (s->at + s->slots - s->held) % s->slots; s->held; s->held--) {
        __atomic_store_n(&packet_slot(s, i)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        i = i + 1 == s->slots ? 0 : i + 1;
    }
}

/* Hold the slots of a burst; returns how many of its frames are in the queue. */
static inline unsigned packet_hold(struct vsw_packet *s)
{
    uint32_t n_bytes = 0;
    unsigned copies = 0;

    while (s->held < VSW_BURST_CALLS && n_bytes < VSW_BURST_BYTES) {
        const struct tpacket2_hdr *h = packet_slot(s, s->at);
        uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

        if (!(status & TP_STATUS_USER))
            break;
        copies += (status & TP_STATUS_COPY) != 0;
        n_bytes += h->tp_len;
        s->at = s->at + 1 == s->slots ? 0 : s->at + 1;
        s->held++;
    }
    return copies;
}

/* Fetch @want frames from the queue, which are there.  An error is told once and takes the place
 * of a message (ENETDOWN) or of a frame (EINVAL); returns how many came, or -errno. */
static int packet_fetch(struct vsw_queue *q, struct vsw_packet *s, unsigned want)
{
    unsigned have = 0;

    for (unsigned tries = 0; have < want && tries < VSW_BURST_CALLS; tries++) {
        long n = syscall(SYS_recvmmsg, q->fd, s->message + have, want - have, MSG_DONTWAIT, NULL);

        if (n > 0)
            have += (unsigned)n;
        else if (n < 0 && packet_has_ended(errno))
            return -errno;
        else if (n == 0 || errno == EAGAIN)
            break;
    }
    return (int)have;
}

/* Make frames of the slots held and of the @fetched messages; returns how many.  What is neither
 * whole in its slot nor in the queue is lost: the queue was full. */
static int packet_list(struct vsw_packet *s, unsigned fetched, struct vsw_burst *b)
{
    unsigned n = 0, message = 0;

    for (uint32_t k = 0, i = (s->at + s->slots - s->held) % s->slots; k < s->held; k++) {
        struct tpacket2_hdr *h = packet_slot(s, i);
        struct vsw_frame *f = &b->frame[n];

        i = i + 1 == s->slots ? 0 : i + 1;
        if (h->tp_status & TP_STATUS_COPY && message < fetched &&
            s->message[message].msg_len == h->tp_len + VSW_VNET_LEN) {
            packet_take(s, message++, f);
        } else if (!(h->tp_status & TP_STATUS_COPY) && h->tp_snaplen == h->tp_len) {
            vsw_frame_set(f, (uint8_t *)h + h->tp_mac, h->tp_len);
            packet_put_tag(f, (uint8_t *)h + h->tp_mac, h->tp_status, h->tp_vlan_tpid,
                           h->tp_vlan_tci);
        } else {
            b->lost++;
            continue;
        }
        n++;
    }
    return (int)n;
}

/* The ring is empty: take an error from the socket, which would keep epoll awake. */
static int packet_take_error(const struct vsw_queue *q)
{
    socklen_t size = sizeof(int);
    int error = 0;

    if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    return packet_has_ended(error) ? -error : 0;
}

static int packet_rx_ring(struct vsw_queue *q, struct vsw_packet *s, struct vsw_burst *b)
{
    unsigned copies;
    int fetched = 0;

    packet_give_back(s);
    copies = packet_hold(s);
    if (!s->held)
        return packet_take_error(q);
    if (copies)
        fetched = packet_fetch(q, s, copies);
    return fetched < 0 ? fetched : packet_list(s, (unsigned)fetched, b);
}

/* ------------------------------------------------------------------ both */

/* Ask the socket how many frames it had no room for; it forgets them by that. */
static void packet_look(const struct vsw_queue *q, struct vsw_burst *b)
{
    struct tpacket_stats stats = {0};
    socklen_t size = sizeof(stats);

    if (getsockopt(q->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0)
        b->lost += stats.tp_drops;
}

static int packet_rx_burst(struct vsw_queue *q, struct vsw_burst *b)
{
    struct vsw_packet *s = (struct vsw_packet *)q->priv + (q - q->port->queue);
    int n = s->ring ? packet_rx_ring(q, s, b) : packet_rx_queue(q, s, b);

    s->unlooked += n > 0 ? (unsigned)n : 0;
    if (s->unlooked >= (n > 0 ? LOOK_LATEST : LOOK_EARLIEST)) {
        packet_look(q, b);
        s->unlooked = 0;
    }
    return n;
}

/* ------------------------------------------------------------------ transmit */

static inline void packet_count_loss(int error, struct vsw_counters *c)
{
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM)
        c->drops[VSW_DROP_TX_FULL]++;
    else if (error == EMSGSIZE) /* of all tags only 802.1Q's may be beyond the MTU (packet_snd()) */
        c->drops[VSW_DROP_TOO_LONG]++;
    else /* ENETDOWN: the interface is down; ENXIO: the device is gone */
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

const struct vsw_port_ops vsw_port_packet_ops = {.rx_burst = packet_rx_burst, .tx_burst = packet_tx_burst};
