/* vhost_take.h - a frame out of a guest's transmit queue: its head copied, the rest noted.
 *
 * A short frame is copied whole, which costs less than to note where it lies; so is one that comes in
 * so many pieces that they are not worth a list, and one whose headers are longer than a head.
 */
#ifndef VSW_VHOST_TAKE_H
#define VSW_VHOST_TAKE_H

#include "datapath/pieces.h"
#include "datapath/port_vhost.h"
#include "datapath/vnet.h"

#define VSW_VHOST_FRONT 16u /* bytes before a frame in the arena: its virtio-net header, aligned */
#define VSW_VHOST_COPY_MAX 256u /* a frame so short is copied sooner than memcpy() is called */
#define VSW_L4_MAX 60u /* the longest TCP header (RFC 9293 3.1); UDP has 8 bytes */

/* Copy up to @max bytes of chain @c to @to; how many, or -EPROTO. */
static inline int vsw_vhost_read(const struct vsw_virtq *vq, struct vsw_chain *c, uint8_t *to,
                                 uint32_t max)
{
    uint32_t n = 0;
    struct vsw_span s;
    int more = 1;

    while (n < max && (more = vsw_chain_span(vq, c, false, max - n, &s)) > 0) {
        memcpy(to + n, s.at, s.len);
        n += s.len;
    }
    return more < 0 ? more : (int)n;
}

/* Whether the head of the frame at @data is all that its virtio-net header is compared with: the walk
 * along the headers (vnet.h) ends where csum_start says that they end, or refuses the frame, whatever
 * lies behind the head. */
static inline bool vsw_vhost_head_tells(const uint8_t *data)
{
    const uint8_t *vnet = data - VSW_VNET_LEN;

    return vnet[VSW_VNET_GSO_TYPE] == VSW_VNET_GSO_NONE ||
           (vnet[VSW_VNET_FLAGS] & VSW_VNET_NEEDS_CSUM &&
            vsw_le16(vnet + VSW_VNET_CSUM_START) + VSW_L4_MAX <= VSW_HEAD);
}

/* Copy the header of a frame in any number of pieces to @data, and its head; how many bytes it has,
 * 0 for a runt, or -EPROTO. */
static inline int vsw_vhost_read_head(const struct vsw_virtq *vq, struct vsw_chain *c,
                                      uint32_t header_len, uint8_t *data)
{
    uint8_t rest[2];
    int n = vsw_vhost_read(vq, c, data - VSW_VNET_LEN, VSW_VNET_LEN);

    if (n == VSW_VNET_LEN && header_len > VSW_VNET_LEN) /* num_buffers says nothing here */
        n = vsw_vhost_read(vq, c, rest, header_len - VSW_VNET_LEN) + VSW_VNET_LEN;
    if (n == (int)header_len)
        return vsw_vhost_read(vq, c, data, VSW_HEAD);
    return n < 0 ? n : 0;
}

/* Note where a frame goes on behind its head; its length as far as noted, or -EPROTO. */
static inline int vsw_vhost_note(const struct vsw_virtq *vq, struct vsw_chain *c,
                                 struct vsw_pieces *list)
{
    uint32_t len = VSW_HEAD;
    struct vsw_span s;
    int more = 1;

    list->n = 0;
    while (list->n < VSW_PIECES_MAX && len <= VSW_FRAME_MAX &&
           (more = vsw_chain_span(vq, c, false, VSW_FRAME_MAX + 1u - len, &s)) > 0) {
        list->piece[list->n++] = (struct vsw_piece){s.at, s.len};
        len += s.len;
    }
    return more < 0 ? more : (int)len;
}

/* Take a frame in any number of pieces to @data; its length, 0 for a runt, or -EPROTO.  Of a frame
 * too long one byte too many is taken, which shows it. */
static inline int vsw_vhost_gather(const struct vsw_virtq *vq, struct vsw_chain *c,
                                   uint32_t header_len, struct vsw_burst *b, struct vsw_frame *f,
                                   uint8_t *data)
{
    struct vsw_pieces *list = (struct vsw_pieces *)(void *)(data + VSW_HEAD);
    int n = vsw_vhost_read_head(vq, c, header_len, data), more;

    vsw_frame_set(f, data, 0);
    if (n < (int)VSW_HEAD)
        return n;
    n = vsw_vhost_note(vq, c, list);
    if (n < 0)
        return n;
    f->needs = VSW_PIECES;
    if (n > (int)VSW_VHOST_COPY_MAX && list->n < VSW_PIECES_MAX && vsw_vhost_head_tells(data) &&
        vsw_pieces_size(list->n) <= (uint32_t)n - VSW_HEAD)
        return n;
    vsw_pieces_join(b, f);
    more = vsw_vhost_read(vq, c, data + n, VSW_FRAME_MAX + 1u - (uint32_t)n);
    return more < 0 ? more : n + more;
}

/* Take a frame of @len bytes in one piece at @from to @data, behind its header. */
static inline void vsw_vhost_take_one(struct vsw_frame *f, uint8_t *data, const uint8_t *from,
                                      uint32_t len)
{
    struct vsw_pieces *list = (struct vsw_pieces *)(void *)(data + VSW_HEAD);

    vsw_frame_set(f, data, len);
    if (len <= VSW_VHOST_COPY_MAX) {
        vsw_copy_short(data, from, len);
    } else if (vsw_vhost_head_tells(data)) {
        memcpy(data, from, VSW_HEAD);
        list->n = 1;
        list->piece[0] = (struct vsw_piece){from + VSW_HEAD, len - VSW_HEAD};
        f->needs = VSW_PIECES;
    } else {
        memcpy(data, from, len);
    }
}

/* Take the next frame out of the guest, as @f, to @data in the arena of @b; 1, 0, or -EPROTO.  Adds to
 * @steps what it took. */
static inline int vsw_vhost_take(const struct vsw_vhost *vh, struct vsw_virtq *vq, struct vsw_burst *b,
                                 struct vsw_frame *f, uint8_t *data, uint32_t *steps)
{
    uint32_t header_len = vh->header_len;
    struct vsw_chain c;
    struct vsw_span s;
    int n = vsw_virtq_next(vq, &c);

    if (n <= 0)
        return n;
    n = vsw_chain_span(vq, &c, false, header_len + VSW_FRAME_MAX + 1u, &s);
    if (n > 0 && s.len > header_len && !c.left && !c.more) { /* all in one piece, as most are */
        memcpy(data - VSW_VNET_LEN, s.at, VSW_VNET_LEN);
        vsw_vhost_take_one(f, data, s.at + header_len, s.len - header_len);
    } else if (n > 0) {
        vsw_chain_back(&c, &s);
        n = vsw_vhost_gather(vq, &c, header_len, b, f, data);
        f->len = (uint32_t)n;
    } else {
        vsw_frame_set(f, data, 0);
    }
    if (n < 0 || vsw_chain_leave(vq, &c, false) < 0)
        return -EPROTO;
    *steps += c.steps;
    vsw_virtq_use(vq, c.id, c.slots, 0);
    return 1;
}

#endif
