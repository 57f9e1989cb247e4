/* frames.c - sends and counts raw test frames; the same generator for every contestant.
 *
 *     frames send  DEVICE DST_MAC BYTES SECONDS [FPS]    prints "sent N SECONDS REFUSALS"
 *     frames count DEVICE                                prints "received N SECONDS" at its end
 *
 * `send` transmits frames of BYTES bytes (without FCS) as fast as the device takes them, or FPS
 * of them per second at even distances. It goes past the queueing discipline, so a device whose
 * queue is full refuses frames: what counts is only what the other side received.
 *
 * `count` counts test frames with a socket filter: the kernel discards them after counting, so
 * that counting takes no CPU time from the contestant. It prints "counting" when it is ready and
 * counts until its standard input ends.
 *
 * A test frame has the local experimental EtherType 88B5 (IEEE 802) and the magic word behind it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ETHERTYPE = 0x88B5,
    MAGIC = 0x76737762, /* "vswb" */
    SEND_BURST = 64,    /* frames per system call */
    REST_NS = 5000,     /* after a refused frame: leaves the queue's lock to its reader */
};

static void die(const char *what)
{
    fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Protocol 0: a socket that receives nothing until a filter is there and it is bound again. */
static int open_device(const char *device, uint8_t mac[ETH_ALEN])
{
    struct ifreq ifr = {0};
    struct sockaddr_ll at = {.sll_family = AF_PACKET};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0)
        die("AF_PACKET");
    strncpy(ifr.ifr_name, device, IFNAMSIZ - 1);
    if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
        die(device);
    memcpy(mac, ifr.ifr_hwaddr.sa_data, ETH_ALEN);
    at.sll_ifindex = (int)if_nametoindex(device);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die(device);
    return fd;
}

static void build(uint8_t *frame, const char *dst, const uint8_t src[ETH_ALEN])
{
    uint8_t *m = frame;
    uint32_t magic = htonl(MAGIC);
    uint16_t type = htons(ETHERTYPE);

    if (sscanf(dst, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) {
        errno = EINVAL;
        die(dst);
    }
    memcpy(frame + 6, src, ETH_ALEN);
    memcpy(frame + 12, &type, sizeof type);
    memcpy(frame + 14, &magic, sizeof magic);
}

static void wait_until(double at_s)
{
    struct timespec t = {.tv_sec = (time_t)at_s};

    t.tv_nsec = (long)(1e9 * (at_s - (double)t.tv_sec));
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static long send_paced(int fd, const uint8_t *frame, size_t bytes, double seconds, double fps)
{
    double start = now_s();
    long sent = 0, frames = (long)(seconds * fps);

    for (long i = 0; i < frames; i++) {
        wait_until(start + (double)i / fps);
        sent += send(fd, frame, bytes, 0) == (ssize_t)bytes;
    }
    wait_until(start + seconds);
    return sent;
}

static long send_flat_out(int fd, uint8_t *frame, size_t bytes, double seconds,
                          long *refusals)
{
    struct iovec iov = {.iov_base = frame, .iov_len = bytes};
    struct mmsghdr burst[SEND_BURST] = {0};
    struct timespec rest = {.tv_nsec = REST_NS};
    double end = now_s() + seconds;
    long sent = 0;

    for (int i = 0; i < SEND_BURST; i++) {
        burst[i].msg_hdr.msg_iov = &iov;
        burst[i].msg_hdr.msg_iovlen = 1;
    }
    while (now_s() < end) {
        int n = sendmmsg(fd, burst, SEND_BURST, 0);

        if (n > 0)
            sent += n;
        else if (errno == ENOBUFS && ++*refusals)
            nanosleep(&rest, NULL);
        else if (errno != EAGAIN && errno != EINTR)
            die("sendmmsg");
    }
    return sent;
}

static int run_send(int argc, char **argv)
{
    static uint8_t frame[ETH_FRAME_LEN];
    size_t bytes = (size_t)atoi(argv[4]);
    double seconds = atof(argv[5]), start;
    uint8_t mac[ETH_ALEN];
    int one = 1, fd = open_device(argv[2], mac);
    long sent, refusals = 0;

    if (bytes < ETH_ZLEN || bytes > sizeof frame) {
        errno = EINVAL;
        die("BYTES");
    }
    build(frame, argv[3], mac);
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) < 0)
        die("PACKET_QDISC_BYPASS");
    start = now_s();
    sent = argc > 6 ? send_paced(fd, frame, bytes, seconds, atof(argv[6]))
                    : send_flat_out(fd, frame, bytes, seconds, &refusals);
    printf("sent %ld %.6f %ld\n", sent, now_s() - start, refusals);
    return 0;
}

static void filter_test_frames(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 14), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAGIC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 64),          BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    int bytes = 1; /* the kernel's minimum: a full buffer counts like an empty one, and is cheaper */

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        die("SO_ATTACH_FILTER");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) < 0)
        die("SO_RCVBUF");
}

static int run_count(char **argv)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE)};
    struct tpacket_stats stats;
    socklen_t size = sizeof stats;
    uint8_t mac[ETH_ALEN];
    char byte;
    int fd = open_device(argv[2], mac);
    double start;

    filter_test_frames(fd);
    at.sll_ifindex = (int)if_nametoindex(argv[2]);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("bind");
    puts("counting");
    fflush(stdout);
    start = now_s();
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    /* tp_packets includes tp_drops (packet(7)): every frame that passed the filter. */
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        die("PACKET_STATISTICS");
    printf("received %u %.6f\n", stats.tp_packets, now_s() - start);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 6 && strcmp(argv[1], "send") == 0)
        return run_send(argc, argv);
    if (argc == 3 && strcmp(argv[1], "count") == 0)
        return run_count(argv);
    fprintf(stderr, "usage: frames send DEVICE DST_MAC BYTES SECONDS [FPS] | count DEVICE\n");
    return 2;
}
