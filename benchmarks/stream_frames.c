/* stream_frames.c - sends and counts test frames through unix sockets, as VMs of a switch.
 *
 *     stream_frames send  WIRE PATH BYTES SECONDS    prints "sent N SECONDS"
 *     stream_frames count WIRE PATH                  prints "received N"
 *     stream_frames idle  WIRE PATH CONNECTIONS      says nothing to anybody
 *
 * WIRE is `stream`: PATH is a stream socket where every frame travels behind its length (QEMU's
 * -netdev stream); or `vde`: PATH is the folder of a vde_switch, where every frame is a datagram.
 *
 * `send` transmits frames for the station of `count` as fast as the switch takes them, BURST per
 * system call, and waits while there is no room.  `count` first lets itself be heard, so that its
 * station is learned, then prints "counting", and counts until its standard input ends; `idle`
 * prints "connected" and also stays so long.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    BURST = 64,
    PREFIX = 4,
    LONGEST = 1514,
    SHORTEST = 60,
    READ_BYTES = 256 * 1024,
    ETHERTYPE = 0x88B5, /* local experimental (IEEE 802) */
};

static const uint8_t sender[6] = {2, 0, 0, 0, 0, 1}, counter[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "stream_frames: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

/* ------------------------------------------------------------------ the two wires */

static struct sockaddr_un address_of(const char *folder, const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (snprintf(at.sun_path, sizeof at.sun_path, "%s%s", folder, name) >= (int)sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        die(folder);
    }
    return at;
}

static int connect_stream(const char *path, const char *name)
{
    struct sockaddr_un at = address_of(path, name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die(path);
    return fd;
}

/* What a client writes into DIR/ctl of a vde_switch (VDE 2, protocol version 3); the answer is the
 * address where its frames go.  The port lives as long as that connection, which stays open. */
struct __attribute__((packed)) vde_request {
    uint32_t magic, version, type;
    struct sockaddr_un data;
};

static int connect_vde(const char *folder)
{
    struct vde_request ask = {.magic = 0xfeedface, .version = 3};
    struct sockaddr_un answer, own;
    char name[32];
    int control = connect_stream(folder, "/ctl"), fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(name, sizeof name, "/bench%ld.%d", (long)getpid(), fd);
    own = address_of(folder, name);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        die(own.sun_path);
    ask.data = own;
    if (write(control, &ask, sizeof ask) != sizeof ask ||
        read(control, &answer, sizeof answer) != sizeof answer ||
        connect(fd, (struct sockaddr *)&answer, sizeof answer) < 0)
        die("vde_switch");
    return fd;
}

static int join(const char *wire, const char *path)
{
    return strcmp(wire, "vde") == 0 ? connect_vde(path) : connect_stream(path, "");
}

/* Put a test frame of @bytes at @p, behind its length if the wire wants that; bytes written. */
static size_t put(uint8_t *p, int prefixed, const uint8_t *to, const uint8_t *from, size_t bytes)
{
    uint8_t *frame = p + (prefixed ? PREFIX : 0);

    if (prefixed) {
        p[0] = p[1] = 0;
        p[2] = (uint8_t)(bytes >> 8);
        p[3] = (uint8_t)bytes;
    }
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = ETHERTYPE >> 8;
    frame[13] = ETHERTYPE & 255;
    return bytes + (size_t)(frame - p);
}

/* ------------------------------------------------------------------ send */

/* One burst through a stream; returns when all of it is taken. */
static long send_stream(int fd, const uint8_t *burst, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t done = send(fd, burst + at, size - at, MSG_NOSIGNAL);

        if (done < 0 && errno != EINTR)
            die("send");
        at += done > 0 ? (size_t)done : 0;
    }
    return BURST;
}

static long send_datagrams(int fd, uint8_t *frame, size_t size)
{
    static struct mmsghdr message[BURST];
    struct iovec part = {frame, size};
    int n;

    for (int i = 0; i < BURST; i++)
        message[i].msg_hdr = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    n = sendmmsg(fd, message, BURST, 0);
    if (n < 0 && errno != EINTR && errno != ENOBUFS)
        die("sendmmsg");
    return n > 0 ? n : 0;
}

static int run_send(char **argv)
{
    static uint8_t burst[BURST * (PREFIX + LONGEST)];
    int stream = strcmp(argv[2], "vde") != 0, fd = join(argv[2], argv[3]);
    size_t bytes = (size_t)atoi(argv[4]), size = 0;
    double start = now_s(), end = start + atof(argv[5]);
    long sent = 0;

    if (bytes < SHORTEST || bytes > LONGEST) {
        errno = EINVAL;
        die("BYTES");
    }
    for (int i = 0; i < (stream ? BURST : 1); i++)
        size += put(burst + size, stream, counter, sender, bytes);
    while (now_s() < end)
        sent += stream ? send_stream(fd, burst, size) : send_datagrams(fd, burst, size);
    printf("sent %ld %.6f\n", sent, now_s() - start);
    return 0;
}

/* ------------------------------------------------------------------ count */

/* Frames that are complete in what was read; the rest stays for the next time. */
static long count_stream(int fd)
{
    static uint8_t buffer[READ_BYTES];
    static size_t have;
    ssize_t got = recv(fd, buffer + have, sizeof buffer - have, MSG_DONTWAIT);
    size_t at = 0, size;
    long n = 0;

    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    for (have += (size_t)got; have - at >= PREFIX; at += size, n++) {
        size = PREFIX + ((size_t)buffer[at + 2] << 8 | buffer[at + 3]);
        if (buffer[at] || buffer[at + 1] || size < PREFIX + SHORTEST) {
            fprintf(stderr, "stream_frames: the stream is out of step\n");
            exit(1);
        }
        if (have - at < size)
            break;
    }
    memmove(buffer, buffer + at, have - at);
    have -= at;
    return n;
}

static long count_datagrams(int fd)
{
    static struct mmsghdr message[BURST];
    static uint8_t frame[BURST][LONGEST];
    static struct iovec part[BURST];
    int n;

    for (int i = 0; i < BURST; i++) {
        part[i] = (struct iovec){frame[i], LONGEST};
        message[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
    }
    n = recvmmsg(fd, message, BURST, MSG_DONTWAIT, NULL);
    return n < 0 && errno == EAGAIN ? 0 : n;
}

static int run_count(char **argv)
{
    int stream = strcmp(argv[2], "vde") != 0, fd = join(argv[2], argv[3]);
    struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    uint8_t hello[PREFIX + SHORTEST] = {0};
    long received = 0, n;

    if (send(fd, hello, put(hello, stream, everybody, counter, SHORTEST), 0) < 0)
        die("send");
    say("counting");
    while ((n = stream ? count_stream(fd) : count_datagrams(fd)) >= 0) {
        received += n;
        if (!n && poll(wait, 2, -1) > 0 && wait[1].revents && !wait[0].revents)
            break;
    }
    printf("received %ld\n", received);
    return 0;
}

static int run_idle(char **argv)
{
    char byte;

    for (int i = atoi(argv[4]); i > 0; i--)
        join(argv[2], argv[3]);
    say("connected");
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "send") == 0)
        return run_send(argv);
    if (argc == 4 && strcmp(argv[1], "count") == 0)
        return run_count(argv);
    if (argc == 5 && strcmp(argv[1], "idle") == 0)
        return run_idle(argv);
    fprintf(stderr, "usage: stream_frames send WIRE PATH BYTES SECONDS | count WIRE PATH |"
                    " idle WIRE PATH CONNECTIONS\n");
    return 2;
}
