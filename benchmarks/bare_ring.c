/* bare_ring.c - the interface end by mapped rings: frames are received without a system call.
 *
 *     bare_ring [--v3] [--tx] DEVICE_A DEVICE_B
 *
 * The kernel writes received frames into memory it shares with us (packet(7), PACKET_RX_RING) and
 * we sleep in poll() when there are none.  The virtio-net header stands directly before the frame.
 *
 * TPACKET_V2 hands over every frame at once, each in a slot of SLOT bytes.  A longer one, which is
 * a super-frame, stays in the socket's queue as well (PACKET_COPY_THRESH), its slot says so, and it
 * is read by recv().  TPACKET_V3 (--v3) packs frames of any length into blocks, and hands over a
 * block when it is full or TIMEOUT_MS after its first frame.
 *
 * Frames are sent from where they lie by sendmmsg(), which copies them into the kernel.  With --tx
 * they are copied into a PACKET_TX_RING instead, whose pages the kernel then sends as they are;
 * a slot is free again when the receiver has consumed its frame.
 *
 * Prints "forwarding" when frames move.  Ends by a signal.
 */
#define _GNU_SOURCE
#include "bare_socket.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>

enum {
    BURST = 32,          /* frames per sendmmsg(): as vswitch */
    VNET = 10,           /* bytes of a virtio-net header */
    TIMEOUT_MS = 1,      /* of a block that is not full; the kernel's shortest */
    BLOCK = 1 << 18,     /* TPACKET_V3: bytes; more than three super-frames */
    BLOCKS = 32,         /* 8 MiB, as the buffer of a socket */
    SLOT = 2048,         /* TPACKET_V2: bytes of a received frame and its header */
    SLOTS = 4096,        /* 8 MiB */
    TX_SLOT = 1 << 17,   /* bytes of a frame to be sent: a super-frame fits */
    TX_SLOTS = 256,
    TX_AT = 32, /* where a frame starts in a slot to be sent: TPACKET2_HDRLEN without address */
};

_Static_assert(sizeof(struct tpacket2_hdr) == TX_AT, "the frame is directly behind the header");

struct ring {
    int fd;
    int v3;
    uint8_t *memory;
    unsigned at; /* next block or slot */
    /* What was taken from the ring and is to be sent. */
    struct iovec part[BURST];
    struct mmsghdr message[BURST];
    unsigned n;
};

struct sender {
    int fd;
    uint8_t *memory; /* of the tx ring; NULL: sendmmsg() */
    unsigned at;
};

static void set_version(int fd, int version)
{
    set_option(fd, SOL_PACKET, PACKET_VERSION, version, "PACKET_VERSION");
}

static void *map_ring(int fd, int option, const void *request, socklen_t size, size_t bytes)
{
    void *memory;

    if (setsockopt(fd, SOL_PACKET, option, request, size) < 0)
        die("ring");
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    return memory;
}

static void *map_slots(int fd, int option, unsigned bytes, unsigned count)
{
    unsigned in_block = bytes < BLOCK ? BLOCK / bytes : 1;
    struct tpacket_req r = {.tp_block_size = bytes * in_block, .tp_block_nr = count / in_block,
                            .tp_frame_size = bytes, .tp_frame_nr = count};

    set_version(fd, TPACKET_V2);
    return map_ring(fd, option, &r, sizeof r, (size_t)bytes * count);
}

static void *map_blocks(int fd)
{
    struct tpacket_req3 r = {.tp_block_size = BLOCK, .tp_block_nr = BLOCKS, .tp_frame_size = BLOCK,
                             .tp_frame_nr = BLOCKS, .tp_retire_blk_tov = TIMEOUT_MS};

    set_version(fd, TPACKET_V3);
    return map_ring(fd, PACKET_RX_RING, &r, sizeof r, (size_t)BLOCK * BLOCKS);
}

static void open_ring(struct ring *r, const char *device, int v3)
{
    r->fd = new_packet(device);
    r->v3 = v3;
    enlarge_buffers(r->fd);
    if (!v3)
        set_option(r->fd, SOL_PACKET, PACKET_COPY_THRESH, 1, "PACKET_COPY_THRESH");
    r->memory = v3 ? map_blocks(r->fd) : map_slots(r->fd, PACKET_RX_RING, SLOT, SLOTS);
    bind_packet(r->fd, device, ETH_P_ALL);
    for (unsigned i = 0; i < BURST; i++)
        r->message[i].msg_hdr = (struct msghdr){.msg_iov = &r->part[i], .msg_iovlen = 1};
}

static void open_sender(struct sender *s, const char *device, int tx)
{
    s->fd = new_packet(device);
    if (tx)
        s->memory = map_slots(s->fd, PACKET_TX_RING, TX_SLOT, TX_SLOTS);
    bind_packet(s->fd, device, 0);
    set_option(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES, "SO_SNDBUFFORCE");
}

/* Copy frames into free slots; what finds none is lost. */
static void send_slots(struct sender *s, const struct ring *r)
{
    for (unsigned i = 0; i < r->n; i++) {
        struct tpacket2_hdr *h = (void *)(s->memory + (size_t)s->at * TX_SLOT);

        if (__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
            break;
        h->tp_len = (uint32_t)r->part[i].iov_len;
        memcpy((uint8_t *)h + TX_AT, r->part[i].iov_base, h->tp_len);
        __atomic_store_n(&h->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
        s->at = (s->at + 1) % TX_SLOTS;
    }
    send(s->fd, NULL, 0, MSG_DONTWAIT);
}

static void flush(struct ring *r, struct sender *s)
{
    unsigned sent = 0;

    if (s->memory)
        send_slots(s, r);
    else
        while (sent < r->n) {
            int done = sendmmsg(s->fd, r->message + sent, r->n - sent, MSG_DONTWAIT);

            sent += done > 0 ? (unsigned)done : 1;
        }
    r->n = 0;
}

static void take(struct ring *r, struct sender *s, uint8_t *frame, uint32_t len)
{
    r->part[r->n++] = (struct iovec){frame - VNET, VNET + len};
    if (r->n == BURST)
        flush(r, s);
}

/* All frames of the next block, if the kernel has handed it over. */
static int drain_block(struct ring *r, struct sender *s)
{
    struct tpacket_block_desc *block = (void *)(r->memory + (size_t)r->at * BLOCK);
    struct tpacket_hdr_v1 *head = &block->hdr.bh1;
    uint8_t *p = (uint8_t *)block + head->offset_to_first_pkt;

    if (!(__atomic_load_n(&head->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
        return 0;
    for (uint32_t i = 0; i < head->num_pkts; i++) {
        struct tpacket3_hdr *h = (void *)p;

        take(r, s, p + h->tp_mac, h->tp_snaplen);
        p += h->tp_next_offset;
    }
    flush(r, s);
    __atomic_store_n(&head->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    r->at = (r->at + 1) % BLOCKS;
    return 1;
}

/* The frame of a slot, or the whole of a longer one from the socket's queue.  One for which there
 * was no room in the queue is lost. */
static void take_slot(struct ring *r, struct sender *s, struct tpacket2_hdr *h, uint8_t *whole)
{
    if (h->tp_status & TP_STATUS_COPY) {
        ssize_t len = recv(r->fd, whole, FRAME_MAX, MSG_DONTWAIT);

        if (len > VNET)
            take(r, s, whole + VNET, (uint32_t)len - VNET);
    } else if (h->tp_len == h->tp_snaplen) {
        take(r, s, (uint8_t *)h + h->tp_mac, h->tp_snaplen);
    }
}

/* At most BURST slots. */
static int drain_slots(struct ring *r, struct sender *s)
{
    static uint8_t whole[BURST][FRAME_MAX];
    struct tpacket2_hdr *first[BURST];
    unsigned n = 0;

    while (n < BURST) {
        struct tpacket2_hdr *h = (void *)(r->memory + (size_t)r->at * SLOT);

        if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            break;
        first[n++] = h;
        r->at = (r->at + 1) % SLOTS;
    }
    for (unsigned i = 0; i < n; i++)
        take_slot(r, s, first[i], whole[i]);
    flush(r, s);
    for (unsigned i = 0; i < n; i++)
        __atomic_store_n(&first[i]->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    return n > 0;
}

static int drain(struct ring *r, struct sender *s)
{
    return r->v3 ? drain_block(r, s) : drain_slots(r, s);
}

int main(int argc, char **argv)
{
    static struct ring a, b;
    struct sender to_a = {0}, to_b = {0};
    int v3 = 0, tx = 0, i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        v3 |= strcmp(argv[i], "--v3") == 0;
        tx |= strcmp(argv[i], "--tx") == 0;
    }
    if (argc - i != 2) {
        fprintf(stderr, "usage: bare_ring [--v3] [--tx] DEVICE_A DEVICE_B\n");
        return 2;
    }
    open_ring(&a, argv[i], v3);
    open_ring(&b, argv[i + 1], v3);
    open_sender(&to_a, argv[i], tx);
    open_sender(&to_b, argv[i + 1], tx);
    say_forwarding();
    for (;;)
        if (drain(&a, &to_b) + drain(&b, &to_a) == 0)
            wait_for_two(a.fd, b.fd);
}
