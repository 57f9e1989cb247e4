/* super_frame.h - frames with a virtio-net header for the C tests, built field by field. */
#ifndef SUPER_FRAME_H
#define SUPER_FRAME_H

#include <stdlib.h>

#include "datapath/csum.h"
#include "datapath/vnet.h"

/* A frame under construction; bytes[] starts with its virtio-net header. */
struct super {
    uint8_t bytes[VSW_VNET_LEN + VSW_FRAME_MAX];
    uint32_t len; /* of the frame, without the virtio-net header */
    uint32_t l3, l4, payload;
};

static inline uint8_t *super_at(struct super *s, uint32_t offset)
{
    return s->bytes + VSW_VNET_LEN + offset;
}

static inline void super_append(struct super *s, const void *p, uint32_t len)
{
    memcpy(super_at(s, s->len), p, len);
    s->len += len;
}

static inline void put_le16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void super_vnet(struct super *s, uint8_t flags, uint8_t gso_type, unsigned gso_size,
                              unsigned csum_start, unsigned csum_offset)
{
    s->bytes[0] = flags;
    s->bytes[1] = gso_type;
    put_le16(s->bytes + 2, 0xbeef); /* hdr_len: nobody may believe it */
    put_le16(s->bytes + 4, gso_size);
    put_le16(s->bytes + 6, csum_start);
    put_le16(s->bytes + 8, csum_offset);
}

static inline void super_eth(struct super *s, unsigned tags, uint16_t ethertype)
{
    const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    const uint8_t stag[4] = {0x88, 0xa8, 0x20, 7}, ctag[4] = {0x81, 0x00, 0x60, 9};
    uint8_t type[2];

    s->len = 0;
    super_append(s, macs, 12);
    for (unsigned n = tags; n > 0; n--)
        super_append(s, n > 1 ? stag : ctag, 4);
    vsw_put_be16(type, ethertype);
    super_append(s, type, 2);
    s->l3 = s->len;
}

/* @options_len is a multiple of four. */
static inline void super_ipv4(struct super *s, unsigned tags, uint8_t protocol,
                              unsigned options_len)
{
    uint8_t ip[60] = {(uint8_t)(0x45 + options_len / 4),
                      [4] = 0xff, 0xfe, 0x40, 0, 64, protocol, 0x77, 0x78, /* no valid checksum */
                      192, 0, 2, 1, 192, 0, 2, 2};

    memset(ip + 20, 1, 40); /* options: no operation */
    super_eth(s, tags, 0x0800);
    super_append(s, ip, 20 + options_len);
    s->l4 = s->len;
}

static inline void super_ipv6(struct super *s, unsigned tags, uint8_t next)
{
    uint8_t ip[40] = {0x60, [6] = next, 64, 0xfd, [23] = 1, 0xfd, [39] = 2};

    super_eth(s, tags, 0x86dd);
    super_append(s, ip, 40);
    s->l4 = s->len;
}

static inline void super_payload(struct super *s, uint32_t len)
{
    s->payload = s->len;
    for (uint32_t i = 0; i < len; i++)
        *super_at(s, s->len++) = (uint8_t)(i * 7 + i / 251);
    if (*super_at(s, s->l3) >> 4 == 4)
        vsw_put_be16(super_at(s, s->l3 + 2), (uint16_t)(s->len - s->l3));
    else
        vsw_put_be16(super_at(s, s->l3 + 4), (uint16_t)(s->len - s->l3 - 40));
}

/* Sum of the pseudo header of an L4 unit of @len bytes, as headers without routing state it. */
static inline uint64_t pseudo_sum(const uint8_t *ip, uint8_t protocol, uint32_t len)
{
    return ip[0] >> 4 == 4 ? vsw_csum_pseudo4(ip + 12, protocol, (uint16_t)len)
                           : vsw_csum_pseudo6(ip + 8, protocol, len);
}

/* Append a TCP header of @header_len bytes with @flags, and @len bytes of payload. */
static inline void super_tcp(struct super *s, uint8_t flags, unsigned header_len, uint32_t len)
{
    uint8_t tcp[60] = {0x30, 0x39, 0, 80, 0xff, 0xff, 0xff, 0x00, 1, 2, 3, 4};

    tcp[12] = (uint8_t)(header_len / 4 << 4);
    tcp[13] = flags;
    memset(tcp + 20, 1, 40);
    super_append(s, tcp, header_len);
    super_payload(s, len);
    uint64_t sum = pseudo_sum(super_at(s, s->l3), 6, s->len - s->l4);
    vsw_csum_put(super_at(s, s->l4 + 16), vsw_csum_fold(sum));
}

static inline void super_udp(struct super *s, uint32_t len)
{
    uint8_t udp[8] = {0x30, 0x39, 0, 53};

    super_append(s, udp, 8);
    super_payload(s, len);
    vsw_put_be16(super_at(s, s->l4 + 4), (uint16_t)(s->len - s->l4));
    uint64_t sum = pseudo_sum(super_at(s, s->l3), 17, s->len - s->l4);
    vsw_csum_put(super_at(s, s->l4 + 6), vsw_csum_fold(sum));
}

/* A TCP super-frame over IPv4, ready to be cut: 1448-byte segments, 32-byte TCP header. */
static inline void super_tso4(struct super *s, unsigned tags, uint32_t payload_len)
{
    super_ipv4(s, tags, 6, 0);
    super_tcp(s, 0x10, 32, payload_len);
    super_vnet(s, 1, 1, 1448, s->l4, 16);
}

/* The first @len bytes of @s as a frame in memory of its own, of exactly that size, so that the
 * address sanitizer sees the first byte read beside it.  release_frame() it. */
static inline struct vsw_frame exact_frame(const struct super *s, uint32_t len)
{
    uint8_t *copy = malloc(VSW_VNET_LEN + len);

    memcpy(copy, s->bytes, VSW_VNET_LEN + len);
    return (struct vsw_frame){.data = copy + VSW_VNET_LEN, .len = len, .needs = 0xff};
}

static inline void release_frame(const struct vsw_frame *f)
{
    free((void *)(uintptr_t)(f->data - VSW_VNET_LEN));
}

#endif
