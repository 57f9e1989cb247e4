/* bare_stream.c - the ceiling of stream ports: two unix sockets and a buffer, no switch.
 *
 *     bare_stream [--burst FRAMES] PATH
 *
 * Listens at PATH and relays between the first two who connect, as long as both stay.  Frames
 * travel behind their lengths (QEMU's -netdev stream).  One recv() takes up to CHUNK bytes, the
 * frames in them are told apart, and one send() passes all complete ones on from where they lie;
 * with --burst so many at a time.  No look at an address, no copy, no counter.
 *
 * What it has in common with a switch: it never waits for a receiver.  Frames that find no room are
 * lost whole, and a frame that was taken in part is finished before anything else is sent.
 *
 * Prints "forwarding" when it listens.  Sleeps in poll() when nothing moved.  Ends by a signal.
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
#include <unistd.h>

enum { PREFIX = 4, LONGEST = 65568, CHUNK = 64 * 1024, READS = 4 /* per direction and turn */ };

struct way {
    int from, to;
    size_t start, end; /* of what was read and not passed on */
    uint8_t buffer[PREFIX + LONGEST + CHUNK];
    size_t rest_at, rest_end; /* of a frame that was taken in part */
    uint8_t rest[PREFIX + LONGEST];
};

static unsigned long burst = ~0ul;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bare_stream: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(at.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 2) < 0)
        die(path);
    return fd;
}

static size_t size_at(const uint8_t *p)
{
    size_t len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

    if (len == 0 || len > LONGEST) {
        errno = EPROTO;
        die("length");
    }
    return PREFIX + len;
}

/* Bytes of the complete frames at @p, at most a burst of them. */
static size_t complete(const uint8_t *p, size_t have)
{
    size_t at = 0, size;

    for (unsigned long n = 0; n < burst && have - at >= PREFIX; n++, at += size)
        if ((size = size_at(p + at)) > have - at)
            break;
    return at;
}

static size_t offer(int fd, const uint8_t *p, size_t size)
{
    ssize_t done = send(fd, p, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (done < 0 && errno != EAGAIN && errno != EINTR)
        die("send");
    return done < 0 ? 0 : (size_t)done;
}

/* Pass on complete frames; keep what is left of one that was taken in part, lose those behind. */
static void pass(struct way *w, const uint8_t *p, size_t size)
{
    size_t done, at = 0;

    w->rest_at += offer(w->to, w->rest + w->rest_at, w->rest_end - w->rest_at);
    if (w->rest_at < w->rest_end)
        return;
    done = offer(w->to, p, size);
    while (at < done)
        at += size_at(p + at);
    w->rest_at = 0;
    w->rest_end = at - done;
    memcpy(w->rest, p + done, w->rest_end);
}

/* One chunk; returns 0 when there was none. */
static int relay(struct way *w)
{
    ssize_t got;
    size_t size;

    memmove(w->buffer, w->buffer + w->start, w->end - w->start);
    w->end -= w->start;
    w->start = 0;
    got = recv(w->from, w->buffer + w->end, CHUNK, MSG_DONTWAIT);
    if (got == 0)
        exit(0);
    if (got < 0)
        return 0;
    w->end += (size_t)got;
    while ((size = complete(w->buffer + w->start, w->end - w->start)) > 0) {
        pass(w, w->buffer + w->start, size);
        w->start += size;
    }
    return 1;
}

static void wait_for(struct way *way)
{
    struct pollfd wait[2];

    for (int i = 0; i < 2; i++) { /* way i reads from socket i, and way 1 - i writes to it */
        int rest = way[1 - i].rest_at < way[1 - i].rest_end;

        wait[i] = (struct pollfd){.fd = way[i].from, .events = rest ? POLLIN | POLLOUT : POLLIN};
    }
    if (poll(wait, 2, -1) < 0 && errno != EINTR)
        die("poll");
    for (int i = 0; i < 2; i++)
        if (wait[i].revents & POLLOUT)
            pass(&way[1 - i], way[1 - i].buffer, 0);
}

int main(int argc, char **argv)
{
    static struct way way[2];

    if (argc == 4 && strcmp(argv[1], "--burst") == 0)
        burst = strtoul(argv[2], NULL, 10);
    else if (argc != 2) {
        fprintf(stderr, "usage: bare_stream [--burst FRAMES] PATH\n");
        return 2;
    }
    int door = listen_at(argv[argc - 1]);

    puts("forwarding");
    fflush(stdout);
    for (int i = 0; i < 2; i++)
        way[i].from = way[1 - i].to = accept(door, NULL, NULL);
    if (way[0].from < 0 || way[1].from < 0)
        die("accept");
    for (;;) {
        int moved = 0;

        for (int i = 0; i < 2; i++)
            for (int n = 0; n < READS && relay(&way[i]); n++)
                moved = 1;
        if (!moved)
            wait_for(way);
    }
}
