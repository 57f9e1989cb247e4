/* bare_xdp.c - the interface end by AF_XDP sockets in copy mode, no switch.
 *
 *     bare_xdp [--native] DEVICE_A DEVICE_B
 *
 * A tiny XDP program on each device (generic mode; --native: the driver's) redirects every frame
 * into a socket.  Both sockets share their memory, so a frame is sent from where it was received;
 * the kernel copies it in and out (Documentation/networking/af_xdp.rst).
 *
 * There is no virtio-net header here and no super-frame: the ends must finish their checksums and
 * cut their segments themselves (ethtool -K eth0 tx off).
 *
 * Prints "forwarding" when frames move.  Sleeps in poll() when nothing moved.  Ends by a signal.
 */
#define _GNU_SOURCE
#include "bare_socket.h"

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

enum {
    BURST = 32,     /* frames per direction and call: as vswitch, and as the kernel sends */
    CHUNK = 2048,   /* bytes of a frame with its headroom; the kernel takes no more than a page */
    SLOTS = 2048,   /* of each ring */
    CHUNKS = 8192,  /* 16 MiB: every slot of four rings */
};

struct ring {
    uint32_t *producer, *consumer;
    void *slot; /* struct xdp_desc for rx and tx, uint64_t for fill and completion */
};

struct end {
    int fd;
    struct ring rx, tx, fill, done;
};

static uint64_t spare[CHUNKS]; /* chunks that nobody uses */
static unsigned n_spare;

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* A map that holds the socket of queue 0. */
static int make_map(int socket)
{
    uint32_t key = 0;
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_XSKMAP, .key_size = 4, .value_size = 4,
                          .max_entries = 1};
    int fd = bpf(BPF_MAP_CREATE, &map);
    union bpf_attr entry = {.map_fd = (uint32_t)fd, .key = (uintptr_t)&key,
                            .value = (uintptr_t)&socket};

    if (fd < 0 || bpf(BPF_MAP_UPDATE_ELEM, &entry) < 0)
        die("XSKMAP");
    return fd;
}

/* return bpf_redirect_map(map, ctx->rx_queue_index, XDP_PASS) */
static int load_program(int map)
{
    struct bpf_insn code[] = {
        {.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2, .src_reg = 1,
         .off = offsetof(struct xdp_md, rx_queue_index)},
        {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
        {0},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 3, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)code,
                           .insn_cnt = sizeof code / sizeof code[0], .license = (uintptr_t) "GPL"};
    int fd = bpf(BPF_PROG_LOAD, &load);

    if (fd < 0)
        die("BPF_PROG_LOAD");
    return fd;
}

/* The program stays attached for as long as this process has the link's descriptor. */
static void attach(int program, const char *device, int native)
{
    union bpf_attr link = {.link_create = {.prog_fd = (uint32_t)program}};

    link.link_create.target_ifindex = (uint32_t)index_of(device);
    link.link_create.attach_type = BPF_XDP;
    link.link_create.flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    if (bpf(BPF_LINK_CREATE, &link) < 0)
        die("BPF_LINK_CREATE");
}

static struct ring map_ring(int fd, int option, off_t page, const struct xdp_ring_offset *at,
                            size_t slot_bytes)
{
    int slots = SLOTS;
    uint8_t *memory;

    if (setsockopt(fd, SOL_XDP, option, &slots, sizeof slots) < 0)
        die("ring");
    memory = mmap(NULL, at->desc + SLOTS * slot_bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_POPULATE, fd, page);
    if (memory == MAP_FAILED)
        die("mmap");
    return (struct ring){(uint32_t *)(void *)(memory + at->producer),
                         (uint32_t *)(void *)(memory + at->consumer), memory + at->desc};
}

static void map_rings(struct end *e)
{
    struct xdp_mmap_offsets at = {0};
    struct xdp_mmap_offsets *o = &at;
    socklen_t size = sizeof at;
    size_t address = sizeof(uint64_t), desc = sizeof(struct xdp_desc);

    if (getsockopt(e->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size) < 0)
        die("XDP_MMAP_OFFSETS");
    e->fill = map_ring(e->fd, XDP_UMEM_FILL_RING, (off_t)XDP_UMEM_PGOFF_FILL_RING, &o->fr, address);
    e->done = map_ring(e->fd, XDP_UMEM_COMPLETION_RING, (off_t)XDP_UMEM_PGOFF_COMPLETION_RING,
                       &o->cr, address);
    e->rx = map_ring(e->fd, XDP_RX_RING, XDP_PGOFF_RX_RING, &o->rx, desc);
    e->tx = map_ring(e->fd, XDP_TX_RING, XDP_PGOFF_TX_RING, &o->tx, desc);
}

/* The first end registers the memory, the second shares it. */
static void open_end(struct end *e, const char *device, const struct end *first)
{
    struct sockaddr_xdp at = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY};

    e->fd = socket(AF_XDP, SOCK_RAW, 0);
    if (e->fd < 0)
        die("AF_XDP");
    at.sxdp_ifindex = (uint32_t)index_of(device);
    if (first) {
        at.sxdp_flags = XDP_SHARED_UMEM;
        at.sxdp_shared_umem_fd = (uint32_t)first->fd;
    } else {
        struct xdp_umem_reg area = {.len = (uint64_t)CHUNK * CHUNKS, .chunk_size = CHUNK};
        void *memory = mmap(NULL, (size_t)area.len, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        area.addr = (uintptr_t)memory;
        if (memory == MAP_FAILED || setsockopt(e->fd, SOL_XDP, XDP_UMEM_REG, &area, sizeof area) < 0)
            die("XDP_UMEM_REG");
    }
    map_rings(e);
    if (bind(e->fd, (struct sockaddr *)&at, sizeof at) < 0)
        die(device);
}

static uint32_t load(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *p, uint32_t value)
{
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* Take back the chunks of frames that have been sent. */
static void collect(struct end *e)
{
    uint32_t from = *e->done.consumer, to = load(e->done.producer);

    for (; from != to; from++)
        spare[n_spare++] = ((uint64_t *)e->done.slot)[from % SLOTS] / CHUNK * CHUNK;
    store(e->done.consumer, to);
}

static void refill(struct end *e)
{
    uint32_t to = *e->fill.producer, room = SLOTS - (to - load(e->fill.consumer));

    for (; room && n_spare; room--)
        ((uint64_t *)e->fill.slot)[to++ % SLOTS] = spare[--n_spare];
    store(e->fill.producer, to);
}

/* Moves at most BURST frames; returns how many.  What finds no place is lost. */
static uint32_t drain(struct end *a, struct end *b)
{
    uint32_t from = *a->rx.consumer, n = load(a->rx.producer) - from;
    uint32_t to = *b->tx.producer, room = SLOTS - (to - load(b->tx.consumer));

    if (n > BURST)
        n = BURST;
    for (uint32_t i = 0; i < n; i++) {
        struct xdp_desc got = ((struct xdp_desc *)a->rx.slot)[(from + i) % SLOTS];

        if (i < room)
            ((struct xdp_desc *)b->tx.slot)[to++ % SLOTS] = got;
        else
            spare[n_spare++] = got.addr / CHUNK * CHUNK;
    }
    store(a->rx.consumer, from + n);
    store(b->tx.producer, to);
    if (to != load(b->tx.consumer))
        sendto(b->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
    collect(b);
    refill(a);
    return n;
}

int main(int argc, char **argv)
{
    int native = argc == 4 && strcmp(argv[1], "--native") == 0;
    struct end end[2] = {0};

    if (argc != 3 + native) {
        fprintf(stderr, "usage: bare_xdp [--native] DEVICE_A DEVICE_B\n");
        return 2;
    }
    for (unsigned i = 0; i < CHUNKS; i++)
        spare[n_spare++] = (uint64_t)i * CHUNK;
    for (int i = 0; i < 2; i++) {
        open_end(&end[i], argv[1 + native + i], i ? &end[0] : NULL);
        refill(&end[i]);
        attach(load_program(make_map(end[i].fd)), argv[1 + native + i], native);
    }
    say_forwarding();
    for (;;)
        if (drain(&end[0], &end[1]) + drain(&end[1], &end[0]) == 0)
            wait_for_two(end[0].fd, end[1].fd);
}
