/* fuzz_vhost.c - a guest that does anything: rings, tables and indices made of the fuzzer's bytes.
 *
 * With clang and -fsanitize=fuzzer it is a libFuzzer target; fuzz_main.c is a loop for any compiler.
 *
 * The guest's memory is heap blocks of their exact size, so that the sanitizer sees every byte
 * touched beside them; each part of a ring is a block.  The guest also writes while it is read: of
 * some inputs, every so many copies the code under test makes are followed by one such write.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static size_t copies;
static void racing_write(void);
static void *fuzz_memcpy(void *to, const void *from, size_t n);
static void *fuzz_memmove(void *to, const void *from, size_t n);
static ssize_t fuzz_write(int fd, const void *data, size_t n);
static long fuzz_syscall(long number, ...);

#define memcpy fuzz_memcpy
#define memmove fuzz_memmove
#define write fuzz_write
#define syscall fuzz_syscall
#include "datapath/port_vhost.c"
#include "datapath/virtq_begin.h"
#undef memcpy
#undef memmove
#undef write
#undef syscall

#define CHECK(what)                                                              \
    do {                                                                         \
        if (!(what)) {                                                           \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #what); \
            abort();                                                             \
        }                                                                        \
    } while (0)

enum { LOW_GPA = 0x10000, LOW_SIZE = 0xA10, HIGH_SIZE = 0x5F0, LOG_SIZE = 3, OPS_MAX = 96 };
enum { CALL_FD = 1000, NOTIFY_FD, NULL_FD, RINGS = 2, PARTS = 3, LOW = RINGS * PARTS, HIGH, BLOCKS };
/* Of what a chain of one byte pieces costs, whose pieces are copied too: received in a burst, and by
 * each frame that is sent. */
enum { RX_COPIES_MAX = 5 * VSW_CHAIN_MAX, TX_COPIES_MAX = 3 * VSW_CHAIN_MAX };

struct driver {
    uint16_t next; /* split: the available index; packed: a slot */
    uint8_t wrap;
};

static const uint8_t *input;
static size_t input_left;
static unsigned race_every;
static const struct vsw_caller caller = {.null_fd = NULL_FD};
static struct vsw_vhost vhost;
static struct vsw_port port;
static struct vsw_queue queue;
static struct vsw_burst burst;
static struct driver driver[RINGS];
static uint8_t frame_bytes[VSW_VNET_LEN + VSW_FRAME_MAX];

static uint8_t u8(void)
{
    if (!input_left)
        return 0;
    input_left--;
    return *input++;
}

static uint16_t u16(void)
{
    uint16_t low = u8();

    return (uint16_t)(low | u8() << 8);
}

static uint32_t u32(void)
{
    uint32_t low = u16();

    return low | (uint32_t)u16() << 16;
}

/* One write of the guest, anywhere in its memory. */
static void poke(void)
{
    const struct vsw_region *r = &vhost.guest.region[u8() % BLOCKS];
    uint16_t at = u16();

    r->at[at % r->size] = u8();
}

static void racing_write(void)
{
    if (race_every && input_left && copies % race_every == 0)
        poke();
}

static void *fuzz_memcpy(void *to, const void *from, size_t n)
{
    memcpy(to, from, n);
    copies++;
    racing_write();
    return to;
}

static void *fuzz_memmove(void *to, const void *from, size_t n)
{
    memmove(to, from, n);
    copies++;
    racing_write();
    return to;
}

static ssize_t fuzz_write(int fd, const void *data, size_t n)
{
    uint64_t one;

    memcpy(&one, data, sizeof(one));
    CHECK(fd == NOTIFY_FD && n == sizeof(one) && one == 1);
    return (ssize_t)n;
}

static long fuzz_syscall(long number, ...)
{
    struct iocb **one;
    va_list rest;

    va_start(rest, number);
    CHECK(number == SYS_io_submit && va_arg(rest, aio_context_t) == caller.context &&
          va_arg(rest, long) == 1);
    one = va_arg(rest, struct iocb **);
    va_end(rest);
    CHECK((*one)->aio_resfd == CALL_FD && (*one)->aio_fildes == NULL_FD && (*one)->aio_nbytes == 0);
    return 1;
}

/* ------------------------------------------------------------------ a guest */

static uint64_t pick_addr(void)
{
    uint8_t v = u8();

    if (v < 0xC0)
        return LOW_GPA + v * 21u;
    if (v < 0xD8)
        return vhost.guest.region[v % BLOCKS].gpa + (v & 8 ? u8() : 0u);
    if (v < 0xF0)
        return LOW_GPA + LOW_SIZE - (v & 15u);
    return (uint64_t)u32() << 32 | u32();
}

static uint32_t pick_len(void)
{
    uint8_t v = u8();

    if (v < 0x80)
        return v;
    if (v < 0xD0)
        return (v - 0x80u) * 32u;
    if (v < 0xF0)
        return (v & 15u) * 16u;
    return v < 0xF8 ? 0xFFFF0u + v : u32();
}

static void put_desc(uint8_t *table, size_t slot, uint64_t addr, uint32_t len, uint16_t third,
                     uint16_t fourth)
{
    uint8_t *d = table + 16 * slot;

    memcpy(d, &addr, 8);
    memcpy(d + 8, &len, 4);
    memcpy(d + 12, &third, 2);
    memcpy(d + 14, &fourth, 2);
}

static void put_any_desc(unsigned ring)
{
    uint8_t *table = (uint8_t *)vhost.ring[ring].desc;
    size_t slots = vhost.ring[ring].size, slot = u8();
    uint64_t addr = pick_addr();
    uint32_t len = pick_len();

    if (slot & 0x80) {
        table = vhost.guest.region[LOW].at;
        slots = LOW_SIZE / 16;
    }
    put_desc(table, slot % slots, addr, len, u16(), u16());
}

static uint16_t packed_flags(const struct driver *d)
{
    return d->wrap ? VSW_DESC_AVAIL : VSW_DESC_USED;
}

/* A chain of @n descriptors as the specification has it, in the ring or in an indirect table, made
 * available. */
static void add_chain(unsigned ring, unsigned n, bool indirect)
{
    struct vsw_virtq *vq = &vhost.ring[ring];
    struct driver *d = &driver[ring];
    bool packed = vq->packed;
    uint8_t *table = indirect ? vhost.guest.region[LOW].at : (uint8_t *)vq->desc;
    uint16_t kind = ring ? 0 : VSW_DESC_WRITE, head = d->next % vq->size;

    if (n > vq->size)
        n = vq->size;
    for (unsigned i = 0; i < n; i++) {
        uint16_t slot = (uint16_t)(indirect ? i : (head + i) % vq->size);
        uint16_t next = (uint16_t)(indirect ? i + 1 : (slot + 1u) % vq->size);
        uint16_t flags = kind | (i + 1 < n ? VSW_DESC_NEXT : 0);
        uint64_t addr = pick_addr();

        if (packed && !indirect)
            flags |= packed_flags(d);
        put_desc(table, slot, addr, pick_len(), packed ? head : flags, packed ? flags : next);
        if (packed && !indirect && ++d->next == vq->size) {
            d->next = 0;
            d->wrap ^= 1;
        }
    }
    if (indirect)
        put_desc((uint8_t *)vq->desc, head, LOW_GPA, 16 * n, packed ? head : VSW_DESC_INDIRECT,
                 packed ? VSW_DESC_INDIRECT | packed_flags(d) : 0);
    if (packed && indirect && ++d->next == vq->size) {
        d->next = 0;
        d->wrap ^= 1;
    }
    if (!packed) {
        vsw_virtq_store(vq->driver + 4 + 2 * (d->next % vq->size), head, __ATOMIC_RELAXED);
        vsw_virtq_store(vq->driver + 2, ++d->next, __ATOMIC_RELEASE);
    }
}

/* ------------------------------------------------------------------ what must hold */

static void check_ring(unsigned ring)
{
    const struct vsw_virtq *vq = &vhost.ring[ring];

    CHECK(vq->batch == 0 && vq->used == vq->published);
    CHECK(!vq->packed || (vq->next < vq->size && vq->used < vq->size));
    CHECK(vq->broken || (vq->next == vq->used && (!vq->packed || vq->next_wrap == vq->used_wrap)));
}

static void check_tx(const struct vsw_counters *c, unsigned n, uint64_t n_bytes, bool was_broken)
{
    CHECK(c->tx_frames + c->drops[VSW_DROP_TX_ERROR] + c->drops[VSW_DROP_TX_FULL] == n);
    CHECK(c->tx_frames < n ? c->tx_bytes <= n_bytes : c->tx_bytes == n_bytes);
    CHECK(!was_broken || c->drops[VSW_DROP_TX_ERROR] == n);
    CHECK(was_broken || !vhost.ring[0].broken || queue.error == EPROTO);
    CHECK(copies <= n * TX_COPIES_MAX);
    check_ring(0);
}

/* All of it lies in the guest's memory, and is as long as was said. */
static void check_pieces(const struct vsw_frame *f)
{
    const struct vsw_pieces *list = vsw_pieces(f);
    uint32_t len = VSW_HEAD;

    CHECK(f->len > VSW_HEAD && list->n <= VSW_PIECES_MAX);
    for (uint32_t i = 0; i < list->n; len += list->piece[i++].len) {
        bool found = false;

        for (unsigned k = 0; k < BLOCKS; k++) {
            const struct vsw_region *r = &vhost.guest.region[k];
            size_t offset = (size_t)(list->piece[i].at - r->at);

            found |= offset < r->size && list->piece[i].len <= r->size - offset;
        }
        CHECK(found);
    }
    CHECK(len == f->len);
}

/* What was received, back to the guest, as it is or joined; its buffers lie where they like. */
static void send_back(int n, uint8_t how)
{
    const struct vsw_frame *frames[VSW_BURST];
    struct vsw_counters c = {0};
    bool was_broken = vhost.ring[0].broken;
    uint64_t n_bytes = 0;
    unsigned n_sent = 0;

    for (int i = 0; i < n; i++) {
        const struct vsw_frame *f = &burst.frame[i];

        if (how & 1 << i % 4)
            vsw_frame_whole(&burst, f);
        if (f->len >= VSW_ETH_LEN && f->len <= VSW_FRAME_MAX) {
            frames[n_sent++] = f;
            n_bytes += f->len;
        }
    }
    copies = 0;
    vsw_port_vhost_ops.tx_burst(&queue, frames, n_sent, &c);
    check_tx(&c, n_sent, n_bytes, was_broken);
}

static void receive(uint8_t how)
{
    bool was_broken = vhost.ring[1].broken;

    copies = 0;
    int n = vsw_port_vhost_ops.rx_burst(&queue, &burst);
    CHECK(n <= (int)VSW_BURST && (n >= 0 || n == -EPROTO));
    CHECK(!was_broken || n == -EPROTO);
    CHECK(n >= 0 || vhost.ring[1].broken || queue.error);
    for (int i = 0; i < n; i++) {
        const struct vsw_frame *f = &burst.frame[i];

        CHECK(f->len <= VSW_FRAME_MAX + 1 && f->data >= burst.arena + VSW_VNET_LEN);
        CHECK(f->data + f->len <= burst.arena + VSW_ARENA);
        if (f->needs & VSW_PIECES)
            check_pieces(f);
    }
    CHECK(copies <= RX_COPIES_MAX);
    if (n > 0 && how & 0x80)
        send_back(n, how);
    vsw_port_vhost_ops.done(&queue);
    check_ring(1);
}

static void transmit(void)
{
    uint8_t how = u8();
    uint32_t len = (how & 7) == 7 ? VSW_FRAME_MAX : (how & 7) == 6 ? 1514 : 14u + (how & 7) * 60u;
    struct vsw_frame f = {.data = frame_bytes + VSW_VNET_LEN, .len = len, .needs = how >> 7};
    const struct vsw_frame *frames[VSW_BURST];
    struct vsw_counters c = {0};
    unsigned n = 1 + (how >> 3) % 4;
    bool was_broken = vhost.ring[0].broken;

    for (unsigned i = 0; i < n; i++)
        frames[i] = &f;
    copies = 0;
    vsw_port_vhost_ops.tx_burst(&queue, frames, n, &c);
    CHECK(c.tx_bytes == c.tx_frames * len);
    check_tx(&c, n, (uint64_t)n * len, was_broken);
}

static void begin(unsigned ring, uint32_t base)
{
    struct vsw_virtq *vq = &vhost.ring[ring];

    if (vq->packed)
        base = (base & 0x7fff) % vq->size | (base & 0x8000);
    vsw_virtq_begin(vq, vq->packed ? base | base << 16 : base);
    driver[ring].next = vq->next;
    driver[ring].wrap = vq->next_wrap;
    queue.error = 0;
}

/* ------------------------------------------------------------------ set up */

static void map_block(unsigned i, uint64_t gpa, size_t size)
{
    vhost.guest.region[i] = (struct vsw_region){.gpa = gpa, .size = size, .at = calloc(1, size)};
    CHECK(vhost.guest.region[i].at);
}

static void set_up_ring(unsigned ring, uint8_t how, uint16_t size)
{
    struct vsw_virtq *vq = &vhost.ring[ring];
    size_t driver_size = how & 1 ? 4 : 6u + 2u * size, device_size = how & 1 ? 4 : 6u + 8u * size;
    struct vsw_region *r = &vhost.guest.region[ring * PARTS];

    map_block(ring * PARTS, 0x1000 + 0x4000 * ring, 16 * (size_t)size);
    map_block(ring * PARTS + 1, 0x2000 + 0x4000 * ring, driver_size);
    map_block(ring * PARTS + 2, 0x3000 + 0x4000 * ring, device_size);
    *vq = (struct vsw_virtq){.guest = &vhost.guest, .desc = (void *)r[0].at, .driver = r[1].at,
        .device = r[2].at, .size = size, .ready = 1, .enabled = 1, .packed = how & 1,
        .event_idx = how >> 1 & 1, .indirect = how >> 2 & 1, .call_fd = how & 0x20 ? -1 : CALL_FD,
        .desc_gpa = r[0].gpa, .log_gpa = how & 0x40 ? r[2].gpa : 0};
}

static void set_up(void)
{
    uint8_t how = u8(), sizes = u8();

    vsw_vhost_init(&vhost, &caller, NOTIFY_FD);
    vhost.mergeable = how >> 3 & 1;
    vhost.header_len = how & 0x10 ? VSW_VNET_LEN : VSW_VNET_LEN + 2;
    vhost.to_ring[0] = 0;
    vhost.guest.n_regions = BLOCKS;
    vhost.guest.log = how & 0x40 ? calloc(1, LOG_SIZE) : NULL;
    vhost.guest.log_size = LOG_SIZE;
    for (unsigned ring = 0; ring < RINGS; ring++, sizes >>= 4)
        set_up_ring(ring, how, (uint16_t)(how & 1 ? 1 + sizes % 16 : 1 << sizes % 4));
    map_block(LOW, LOW_GPA, LOW_SIZE);
    map_block(HIGH, LOW_GPA + LOW_SIZE, HIGH_SIZE);
    port = (struct vsw_port){.ops = &vsw_port_vhost_ops, .queue = &queue, .priv = &vhost, .n_queues = 1};
    queue = (struct vsw_queue){.port = &port, .priv = &vhost, .fd = -1, .epoll_fd = -1};
    race_every = how & 0x80 ? 1 + u8() % 16 : 0;
    begin(0, u16());
    begin(1, u16());
    for (unsigned ring = 0; ring < RINGS; ring++) /* an honest driver's index, to begin with */
        if (!vhost.ring[ring].packed)
            vsw_virtq_store(vhost.ring[ring].driver + 2, driver[ring].next, __ATOMIC_RELAXED);
}

static void act(void)
{
    uint8_t what = u8(), ring = what >> 4 & 1;

    switch (what & 15) {
    case 0: case 1: case 2: case 3:
        add_chain(ring, 1 + (what >> 5), what & 2);
        break;
    case 4: case 5:
        put_any_desc(ring);
        break;
    case 6:
        poke();
        break;
    case 7:
        if (!vhost.ring[ring].packed)
            vsw_virtq_store(vhost.ring[ring].driver + 2, u16(), __ATOMIC_RELAXED);
        break;
    case 8: case 9: case 10:
        receive(u8());
        break;
    case 11: case 12: case 13:
        transmit();
        break;
    case 14:
        vsw_port_vhost_ops.ready(&queue, what & 0x10);
        break;
    case 15:
        begin(ring, u16());
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_left = size;
    if (!burst.arena)
        burst.arena = aligned_alloc(64, (VSW_ARENA + 63u) & ~63u);
    set_up();
    for (unsigned i = 0; i < OPS_MAX && input_left; i++)
        act();
    receive(0x80);
    transmit();
    for (unsigned i = 0; i < BLOCKS; i++)
        free(vhost.guest.region[i].at);
    free(vhost.guest.log);
    return 0;
}
