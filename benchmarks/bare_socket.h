/* bare_socket.h - what the bare loops over sockets share: open, wait, say so. */
#ifndef BARE_SOCKET_H
#define BARE_SOCKET_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Newer than some headers; value from Linux 4.20. */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum {
    FRAME_MAX = 1 << 17,    /* a 64 KiB super-frame, its headers and the virtio-net header */
    BUFFER_BYTES = 8 << 20, /* of a socket, each way: as vswitch */
};

static inline _Noreturn void die(const char *what)
{
    fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline void set_option(int fd, int level, int option, int value, const char *what)
{
    if (setsockopt(fd, level, option, &value, sizeof value) < 0)
        die(what);
}

static inline int index_of(const char *device)
{
    unsigned index = if_nametoindex(device);

    if (!index)
        die(device);
    return (int)index;
}

/* Bind a packet socket; protocol 0 is one that only sends. */
static inline void bind_packet(int fd, const char *device, unsigned short protocol)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};

    at.sll_ifindex = index_of(device);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die(device);
}

/* A packet socket with virtio-net headers on @device, promiscuous. */
static inline int new_packet(const char *device)
{
    struct packet_mreq all = {.mr_ifindex = index_of(device), .mr_type = PACKET_MR_PROMISC};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (fd < 0)
        die("AF_PACKET");
    set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
    set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) < 0)
        die("PACKET_ADD_MEMBERSHIP");
    return fd;
}

static inline int open_packet(const char *device, unsigned short protocol)
{
    int fd = new_packet(device);

    bind_packet(fd, device, protocol);
    return fd;
}

static inline void enlarge_buffers(int fd)
{
    set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES, "SO_RCVBUFFORCE");
    set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_BYTES, "SO_SNDBUFFORCE");
}

static inline void say_forwarding(void)
{
    puts("forwarding");
    fflush(stdout);
}

/* Sleep until one of two descriptors is readable. */
static inline void wait_for_two(int a, int b)
{
    struct pollfd wait[] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};

    if (poll(wait, 2, -1) < 0 && errno != EINTR)
        die("poll");
}

#endif
