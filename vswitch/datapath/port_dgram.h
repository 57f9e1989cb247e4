/* port_dgram.h - a port over a datagram socket, one frame in each: QEMU's -netdev dgram, UDP.
 *
 * A socket that is connected has one peer, and the kernel sees to it that only he is heard.  A
 * unix socket whose peer is known by path is not connected, but names him with every datagram:
 * he may come later, go, and come again under the same path.
 */
#ifndef VSW_PORT_DGRAM_H
#define VSW_PORT_DGRAM_H

#include "datapath/port.h"

#include <sys/socket.h>
#include <sys/un.h>

struct vsw_dgram {
    struct sockaddr_un peer;
    socklen_t peer_len; /* 0: the socket is connected */
};

/* Have frames sent to the unix socket @path of @len bytes; 0, or -1 if that is too long. */
static inline int vsw_dgram_set_peer(struct vsw_dgram *d, const char *path, size_t len)
{
    if (len >= sizeof(d->peer.sun_path))
        return -1;
    d->peer.sun_family = AF_UNIX;
    memcpy(d->peer.sun_path, path, len);
    d->peer_len = len ? (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1) : 0;
    return 0;
}

extern const struct vsw_port_ops vsw_port_dgram_ops;

#endif
