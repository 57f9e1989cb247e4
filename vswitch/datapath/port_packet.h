/* port_packet.h - what port_packet.c gives the loop, and the memory a queue receives into.
 *
 * A socket may have a ring that it shares with the kernel (TPACKET_V2, linux/packet.py): slots of
 * equal size, each beginning with a struct tpacket2_hdr whose status says whose it is.  The kernel
 * puts a frame into the next slot as it comes, and we read it there: no system call, no copy of
 * ours.  Of a frame that does not fit, a super-frame, the slot holds the beginning and a remark
 * that the whole is in the socket's queue (PACKET_COPY_THRESH).  Without a ring all frames are.
 */
#ifndef VSW_PORT_PACKET_H
#define VSW_PORT_PACKET_H

#include "datapath/port.h"

#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Where a frame starts in its slot: a virtio-net header fits in front of it, the tag that the kernel
 * took out, and one that it leaves the switch with (vlan.h). */
#define VSW_PACKET_AT 24u
/* Frames up to 2,088 bytes stay in their slot.  A multiple of 64 and not of 4,096, or the first
 * lines of all slots would be in the same few sets of the first-level cache. */
#define VSW_PACKET_SLOT (2048u + 64u)
/* Bytes of a ring's slot, of which the kernel and the headers take 80. */
#define VSW_RING_SLOT 2048u
#define VSW_PACKET_WHOLE ((VSW_PACKET_AT + VSW_FRAME_MAX + 1u + 63u) & ~63u)

/* One queue's memory.  How long the next frame is nobody knows before it is read, so each message
 * has two parts: the slot, and for what does not fit the tail of a buffer that can hold any frame;
 * the slot's bytes are then copied in front of that tail.  A burst of short frames so lies close
 * together, and pages of the large buffers exist only once a long frame has come. */
struct vsw_packet {
    _Alignas(64) uint8_t *ring; /* NULL: there is none */
    uint32_t slots;
    uint32_t at;       /* the slot to look at next */
    uint32_t held;     /* slots before it that hold the frames of the last burst */
    uint32_t unlooked; /* frames received since the losses were looked at */
    unsigned want;     /* without a ring: messages to ask for next, 1..VSW_BURST_CALLS */
    struct mmsghdr message[VSW_BURST_CALLS];
    struct iovec part[VSW_BURST_CALLS][2];
    _Alignas(struct cmsghdr) uint8_t
        control[VSW_BURST_CALLS][CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    _Alignas(64) uint8_t slot[VSW_BURST_CALLS][VSW_PACKET_SLOT];
    uint8_t whole[VSW_BURST_CALLS][VSW_PACKET_WHOLE];
};

/* Prepare zeroed memory, for a socket with a ring of so many slots, or with NULL. */
void vsw_packet_init(struct vsw_packet *s, uint8_t *ring, uint32_t slots);

/* priv of such a port: an array of struct vsw_packet, one for each queue. */
extern const struct vsw_port_ops vsw_port_packet_ops;

#endif
