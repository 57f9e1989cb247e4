/* pingpong.c - round trips of small UDP datagrams, one at a time.
 *
 *     pingpong serve  ADDRESS PORT               prints "serving", echoes until it is ended
 *     pingpong play   ADDRESS PORT COUNT         prints "rtt_us p50 p99 min max lost"
 *
 * Both sides sleep in the kernel while they wait, as programs do: the figure contains the
 * wake-ups of both and of the contestant. A datagram without answer within TIMEOUT_MS is lost
 * and not part of the percentiles.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_MS = 200, PAYLOAD_BYTES = 18 /* makes a frame of 60 bytes */ };

static void die(const char *what)
{
    fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static _Noreturn void serve(int fd, struct sockaddr_in at)
{
    char data[PAYLOAD_BYTES];

    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("bind");
    puts("serving");
    fflush(stdout);
    while (1) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &size);

        if (got > 0)
            sendto(fd, data, (size_t)got, 0, (struct sockaddr *)&from, size);
    }
}

/* One round trip in microseconds, or negative when no answer came. */
static double trip(int fd, uint32_t number)
{
    char data[PAYLOAD_BYTES] = {0};
    uint32_t answer = 0;
    double start = now_us();

    memcpy(data, &number, sizeof number);
    if (send(fd, data, sizeof data, 0) < 0)
        return -1;
    do { /* an answer that comes late belongs to a datagram already counted as lost */
        if (recv(fd, data, sizeof data, 0) < 0)
            return -1;
        memcpy(&answer, data, sizeof answer);
    } while (answer != number);
    return now_us() - start;
}

static int play(int fd, struct sockaddr_in at, uint32_t count)
{
    struct timeval timeout = {.tv_usec = TIMEOUT_MS * 1000};
    double *us = calloc(count, sizeof *us);
    uint32_t good = 0;

    if (!us || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) < 0)
        die("setup");
    if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("connect");
    for (uint32_t i = 0; i < count; i++) {
        double t = trip(fd, i);

        if (t >= 0)
            us[good++] = t;
    }
    if (!good) {
        errno = ETIMEDOUT;
        die("no answer");
    }
    qsort(us, good, sizeof *us, ascending);
    printf("rtt_us %.2f %.2f %.2f %.2f %u\n", us[good / 2], us[(size_t)(good * 0.99)], us[0],
           us[good - 1], count - good);
    return 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0)
        die("socket");
    if (argc >= 4 && inet_pton(AF_INET, argv[2], &at.sin_addr) == 1) {
        at.sin_port = htons((uint16_t)atoi(argv[3]));
        if (argc == 4 && strcmp(argv[1], "serve") == 0)
            serve(fd, at);
        if (argc == 5 && strcmp(argv[1], "play") == 0 && atoi(argv[4]) > 0)
            return play(fd, at, (uint32_t)atoi(argv[4]));
    }
    fprintf(stderr, "usage: pingpong serve ADDRESS PORT | play ADDRESS PORT COUNT\n");
    return 2;
}
