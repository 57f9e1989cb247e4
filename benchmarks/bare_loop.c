/* bare_loop.c - the ceiling: what two TAPs and system calls allow, with no switch at all.
 *
 *     bare_loop [--spin] TAP_A TAP_B
 *
 * Creates both TAPs in the current namespace and copies every frame that one of them gives to
 * the other: no table, no counter, not even a look at the addresses. Frames keep their
 * virtio-net header, so checksums and segmentation stay undone, as they do in vswitch. A switch
 * that moves frames by read() and write() can come near this program; it cannot pass it by much.
 *
 * Prints "forwarding" when frames move. Sleeps in poll() when nothing moved in either direction;
 * with --spin it never sleeps. Ends by a signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Newer than the headers of Debian 12; values from Linux 6.2. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum {
    BURST = 32,          /* frames per direction and round: as vswitch, so neither side starves */
    FRAME_MAX = 1 << 17, /* a 64 KiB super-frame, its headers and the virtio-net header */
};

static void die(const char *what)
{
    fprintf(stderr, "bare_loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_tap(const char *name)
{
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    unsigned long offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        die("/dev/net/tun");
    if (strlen(name) >= IFNAMSIZ) {
        errno = ENAMETOOLONG;
        die(name);
    }
    strcpy(ifr.ifr_name, name);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0)
        die(name);
    /* A kernel before 6.2 refuses the whole mask when it does not know a bit of it. */
    if (ioctl(fd, TUNSETOFFLOAD, offload | TUN_F_USO4 | TUN_F_USO6) < 0 &&
        ioctl(fd, TUNSETOFFLOAD, offload) < 0)
        die("TUNSETOFFLOAD");
    return fd;
}

/* Moves at most BURST frames; returns how many. A frame the far side refuses is lost. */
static int drain(int from, int to)
{
    static char frame[FRAME_MAX];

    for (int moved = 0; moved < BURST; moved++) {
        ssize_t got = read(from, frame, sizeof frame);

        if (got < 0)
            return moved; /* EAGAIN: empty. EBADFD, EIO: not up yet, or gone */
        if (write(to, frame, (size_t)got) < 0 && errno == EBADFD)
            die("write");
    }
    return BURST;
}

int main(int argc, char **argv)
{
    int spin = argc == 4 && strcmp(argv[1], "--spin") == 0;

    if (argc != 3 + spin) {
        fprintf(stderr, "usage: bare_loop [--spin] TAP_A TAP_B\n");
        return 2;
    }

    int a = open_tap(argv[1 + spin]), b = open_tap(argv[2 + spin]);
    struct pollfd wait[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};

    puts("forwarding");
    fflush(stdout);
    for (;;) {
        int moved = drain(a, b) + drain(b, a);

        if (moved == 0 && !spin && poll(wait, 2, -1) < 0 && errno != EINTR)
            die("poll");
    }
}
