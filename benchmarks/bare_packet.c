/* bare_packet.c - the ceiling at the interface end: packet sockets, many frames a call, no switch.
 *
 *     bare_packet DEVICE_A DEVICE_B
 *
 * Copies every frame that one device gives to the other by recvmmsg() and sendmmsg(), with the
 * virtio-net header (PACKET_VNET_HDR), so checksums and segmentation stay undone as in vswitch.
 * A message has two parts, one for an ordinary frame and one for what a super-frame has more, so
 * that a burst of short frames lies close together.  VLAN tags the kernel takes out stay out.
 *
 * Prints "forwarding" when frames move.  Sleeps in poll() when nothing moved in either direction.
 * Ends by a signal.
 */
#define _GNU_SOURCE
#include "bare_socket.h"

#include <sys/uio.h>

enum {
    BURST = 32,              /* frames per direction and call: as vswitch */
    BURST_BYTES = 16 * 1024, /* ask for fewer when they are long, to stay in the cache: as vswitch */
    SHORT = 2112,            /* bytes of the first part; no multiple of 4,096 */
};

static char ordinary[BURST][SHORT], more[BURST][FRAME_MAX];
static struct iovec part[BURST][2];
static struct mmsghdr message[BURST];

static void prepare(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        part[i][0] = (struct iovec){ordinary[i], SHORT};
        part[i][1] = (struct iovec){more[i], FRAME_MAX};
        message[i].msg_hdr = (struct msghdr){.msg_iov = part[i], .msg_iovlen = 2};
    }
}

/* What was received becomes what is sent; returns the mean length. */
static unsigned cut_to_length(unsigned n)
{
    unsigned long bytes = 0;

    for (unsigned i = 0; i < n; i++) {
        size_t len = message[i].msg_len, first = len < SHORT ? len : SHORT;

        part[i][0].iov_len = first;
        part[i][1].iov_len = len - first;
        message[i].msg_hdr.msg_iovlen = len > first ? 2 : 1;
        bytes += len;
    }
    return (unsigned)(bytes / n);
}

/* Moves one burst; returns how many frames it was.  @want: how many to ask for, for this
 * direction.  A frame the far side refuses is lost. */
static int drain(int from, int to, unsigned *want)
{
    int n, sent = 0;

    prepare(*want);
    n = recvmmsg(from, message, *want, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    *want = BURST_BYTES / (cut_to_length((unsigned)n) + 1);
    *want = *want < 1 ? 1 : *want > BURST ? BURST : *want;
    while (sent < n) {
        int done = sendmmsg(to, message + sent, (unsigned)(n - sent), MSG_DONTWAIT);

        sent += done > 0 ? done : 1;
    }
    return n;
}

int main(int argc, char **argv)
{
    unsigned want_a = BURST, want_b = BURST;

    if (argc != 3) {
        fprintf(stderr, "usage: bare_packet DEVICE_A DEVICE_B\n");
        return 2;
    }
    int a = open_packet(argv[1], ETH_P_ALL), b = open_packet(argv[2], ETH_P_ALL);

    enlarge_buffers(a);
    enlarge_buffers(b);
    say_forwarding();
    for (;;)
        if (drain(a, b, &want_a) + drain(b, a, &want_b) == 0)
            wait_for_two(a, b);
}
