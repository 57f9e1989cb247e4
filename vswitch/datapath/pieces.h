/* pieces.h - a frame whose end still lies where its sender has it.
 *
 * A guest's long frame is copied once, into the guest it is for.  Only its first VSW_HEAD bytes
 * come into the arena, as whatever is decided is decided by them; for the rest the arena has a
 * list of where it lies, in the place that it would take:
 *
 *     data                data + VSW_HEAD                                       data + len
 *     | head              | n | at, len | at, len | ...    not written          |
 *
 * Such a frame has VSW_PIECES among its needs.  A port that can take that sends head and pieces; for
 * any other, and for whatever looks beyond the head, the frame is made whole first, once.
 *
 * The sender may change the pieces at any moment, and hurts nobody: what is in them reaches the
 * receiver and decides nothing, while their places and lengths are ours.  It has them back when
 * the burst has been sent (`done` in port.h); until then they stay mapped, since memory changes
 * only between two rounds.
 */
#ifndef VSW_PIECES_H
#define VSW_PIECES_H

#include "datapath/port.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Chosen by us.  Ethernet, two tags, IPv4 and TCP with all their options have 142 bytes; without
 * options, or with IPv6 and TCP's, 122 at most. */
#define VSW_HEAD 128u
/* Linux sends a super-frame in 18 pieces at most (MAX_SKB_FRAGS), DPDK in buffers of 2 KiB. */
#define VSW_PIECES_MAX 64u

struct vsw_piece {
    const uint8_t *at;
    uint32_t len;
};

struct vsw_pieces {
    uint32_t n;
    struct vsw_piece piece[VSW_PIECES_MAX];
};

/* The list of a frame in pieces. */
static inline const struct vsw_pieces *vsw_pieces(const struct vsw_frame *f)
{
    return (const struct vsw_pieces *)(const void *)(f->data + VSW_HEAD);
}

static inline size_t vsw_pieces_size(uint32_t n)
{
    return offsetof(struct vsw_pieces, piece) + n * sizeof(struct vsw_piece);
}

/* Copy @n pieces to @to, which may be the same memory: two guests may share some. */
static inline void vsw_pieces_copy(uint8_t *to, const struct vsw_piece *piece, uint32_t n)
{
    for (uint32_t i = 0; i < n; to += piece[i++].len)
        memmove(to, piece[i].at, piece[i].len);
}

/* Copy the rest of frame @f of @b, which is in pieces, to its place, where the list is. */
static __attribute__((noinline, unused)) void vsw_pieces_join(struct vsw_burst *b,
                                                              const struct vsw_frame *f)
{
    struct vsw_pieces list;
    uint32_t n = vsw_pieces(f)->n;

    memcpy(list.piece, vsw_pieces(f)->piece, n * sizeof(list.piece[0]));
    vsw_pieces_copy(b->arena + (f->data - b->arena) + VSW_HEAD, list.piece, n);
    b->frame[f - b->frame].needs &= (uint8_t)~VSW_PIECES;
}

/* @f, a frame of @b, to be looked at as a whole. */
static inline const struct vsw_frame *vsw_frame_whole(struct vsw_burst *b, const struct vsw_frame *f)
{
    if (__builtin_expect(f->needs & VSW_PIECES, 0))
        vsw_pieces_join(b, f);
    return f;
}

#endif
