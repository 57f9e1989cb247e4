/* csum.h - the Internet checksum: whole, copied along, and updated in place.
 *
 * Theory of operation
 *   The checksum is the ones-complement of the ones-complement sum of 16-bit words (RFC 1071).
 *   Such a sum may be taken over words of any size and in any byte order, as long as the result
 *   is stored in the order the words were loaded in (RFC 1071 2, B and C).  So everything here
 *   adds words as they lie in memory: a *sum* is a number of which only the value modulo 0xffff
 *   counts, kept below 2^33 so that any number of them may be added with a plain `+`.
 *
 *   pieces     sum(a) + sum(b) is the sum of a and b glued together if the length of a is even
 *   numbers    vsw_csum_be16(v) is the summand of v as it lies in a big-endian field
 *   subtract   add vsw_csum_minus(x), as -x is 0xffff - x (RFC 1624 3)
 *   finish     vsw_csum_put(field, ~vsw_csum_fold(sum))
 *
 * The wide loop adds the 32-bit halves of two 128-bit words into 64-bit lanes.  Carries by
 * add/adc are as fast for the sum alone, but half as fast once the same loop stores a copy.
 */
#ifndef VSW_CSUM_H
#define VSW_CSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "datapath/frame.h"

typedef uint64_t vsw_csum_lanes __attribute__((vector_size(16)));

/* @sum modulo 0xffff, in 16 bits.  Nothing but a sum of zeroes gives 0. */
static inline uint16_t vsw_csum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32); /* at most 0x1fffe */
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The 16-bit word at @p as a summand. */
static inline uint16_t vsw_csum_get(const uint8_t *p)
{
    uint16_t word;

    memcpy(&word, p, 2);
    return word;
}

/* Store the 16-bit word @word, a folded sum or its complement, at @p. */
static inline void vsw_csum_put(uint8_t *p, uint16_t word)
{
    memcpy(p, &word, 2);
}

/* What the number @v contributes when it lies in the frame in network byte order. */
static inline uint16_t vsw_csum_be16(uint16_t v)
{
    uint8_t bytes[2];

    vsw_put_be16(bytes, v);
    return vsw_csum_get(bytes);
}

/* The same for 32 bits. */
static inline uint32_t vsw_csum_be32(uint32_t v)
{
    return (uint32_t)vsw_csum_be16((uint16_t)(v >> 16)) + vsw_csum_be16((uint16_t)v);
}

/* What to add to take the summand @word out of a sum again. */
static inline uint16_t vsw_csum_minus(uint16_t word)
{
    return (uint16_t)~word;
}

/* Sum of fewer than 16 bytes at @p, copied to @dst unless that is NULL.  A last odd byte is
 * the first byte of a word whose other byte is zero (RFC 1071 4.1). */
static inline uint64_t vsw_csum_tail(uint8_t *dst, const uint8_t *p, size_t len)
{
    uint64_t sum = 0;

    for (; len >= 4; len -= 4, p += 4) {
        uint32_t word;

        memcpy(&word, p, 4);
        sum += word;
        if (dst) {
            memcpy(dst, &word, 4);
            dst += 4;
        }
    }
    if (len) { /* one to three bytes: no memcpy(), its length is not a constant */
        uint8_t last[4] = {p[0], len > 1 ? p[1] : 0, len > 2 ? p[2] : 0, 0};

        for (size_t i = 0; dst && i < len; i++)
            dst[i] = last[i];
        sum += (uint64_t)vsw_csum_get(last) + vsw_csum_get(last + 2);
    }
    return sum;
}

/* Both functions below; always inline, so that the test of a constant @dst costs nothing. */
__attribute__((always_inline)) static inline uint64_t
vsw_csum_run(uint8_t *dst, const uint8_t *src, size_t len)
{
    vsw_csum_lanes low = {0}, high = {0}, low2 = {0}, high2 = {0}, a, b;

    for (; len >= 32; len -= 32, src += 32) {
        memcpy(&a, src, 16);
        memcpy(&b, src + 16, 16);
        if (dst) {
            memcpy(dst, &a, 16);
            memcpy(dst + 16, &b, 16);
            dst += 32;
        }
        low += a & 0xffffffff;
        high += a >> 32;
        low2 += b & 0xffffffff;
        high2 += b >> 32;
    }
    if (len >= 16) {
        memcpy(&a, src, 16);
        if (dst) {
            memcpy(dst, &a, 16);
            dst += 16;
        }
        low += a & 0xffffffff;
        high += a >> 32;
        len -= 16;
        src += 16;
    }
    low += high + low2 + high2;
    uint64_t sum = low[0] + low[1] + vsw_csum_tail(dst, src, len);

    return (sum & 0xffffffff) + (sum >> 32);
}

/* Sum of the @len bytes at @p, below 2^33.  Any alignment, any length below 2^32. */
static inline uint64_t vsw_csum(const uint8_t *p, size_t len)
{
    return vsw_csum_run(NULL, p, len);
}

/* The same, copying the bytes to @dst, which does not overlap @src, on the way: three quarters of
 * the time of memcpy() and vsw_csum(). */
static inline uint64_t vsw_csum_copy(uint8_t *dst, const uint8_t *src, size_t len)
{
    return vsw_csum_run(dst, src, len);
}

/* Sum of the pseudo header of a TCP segment or UDP datagram of @len bytes, its header included,
 * that IPv4 carries with the addresses at @addresses (source, destination; RFC 9293 3.1). */
static inline uint64_t vsw_csum_pseudo4(const uint8_t addresses[8], uint8_t protocol, uint16_t len)
{
    return vsw_csum(addresses, 8) + vsw_csum_be16(protocol) + vsw_csum_be16(len);
}

/* The same for IPv6 (RFC 8200 8.1).  Behind a routing header the destination is the final one. */
static inline uint64_t vsw_csum_pseudo6(const uint8_t addresses[32], uint8_t protocol, uint32_t len)
{
    return vsw_csum(addresses, 32) + vsw_csum_be16(protocol) + vsw_csum_be32(len);
}

/* Correct the checksum at @field after the word @old of what it covers, at an even offset, became
 * @new (both as vsw_csum_get() returns them): HC' = ~(~HC + ~m + m'), RFC 1624 eqn. 3.  UDP's
 * "none", 0, is the caller's to leave alone. */
static inline void vsw_csum_update(uint8_t *field, uint16_t old, uint16_t new)
{
    uint64_t sum = (uint64_t)vsw_csum_minus(vsw_csum_get(field)) + vsw_csum_minus(old) + new;

    vsw_csum_put(field, (uint16_t)~vsw_csum_fold(sum));
}

#endif
