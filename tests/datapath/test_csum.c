/* The Internet checksum, against RFC 1071's example and its definition word by word. */
#include <assert.h>
#include <stdlib.h>

#include "datapath/csum.h"

/* The checksum by definition: big-endian words, one at a time. */
static uint16_t slow(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

/* A sum as the number that a big-endian field would hold. */
static uint16_t number(uint64_t sum)
{
    uint8_t field[2];

    vsw_csum_put(field, vsw_csum_fold(sum));
    return vsw_be16(field);
}

static void fill(uint8_t *p, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;
        p[i] = (uint8_t)(seed >> 16);
    }
}

static void the_example_of_rfc_1071_sums_to_ddf2(void)
{
    const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    assert(number(vsw_csum(example, sizeof(example))) == 0xddf2);
}

static void every_length_and_alignment_gives_the_sum_by_definition(void)
{
    for (size_t len = 0; len <= 200; len++) {
        for (size_t shift = 0; shift < 16; shift++) {
            uint8_t *room = malloc(shift + len); /* exact: reading on is caught */

            fill(room, shift + len, (unsigned)(len * 16 + shift));

            assert(number(vsw_csum(room + shift, len)) == slow(room + shift, len));
            free(room);
        }
    }
}

static void a_copy_is_equal_and_stays_within_its_length(void)
{
    uint8_t from[200], to[202];

    fill(from, sizeof(from), 7);
    for (size_t len = 0; len <= sizeof(from); len++) {
        memset(to, 0xa5, sizeof(to));

        uint64_t sum = vsw_csum_copy(to + 1, from, len);

        assert(number(sum) == slow(from, len));
        assert(memcmp(to + 1, from, len) == 0);
        assert(to[0] == 0xa5 && to[len + 1] == 0xa5);
    }
}

static void the_longest_frame_of_ones_loses_no_carry(void)
{
    uint8_t *p = malloc(65568);

    memset(p, 0xff, 65568);

    for (size_t len = 65500; len <= 65568; len++)
        assert(number(vsw_csum(p, len)) == slow(p, len));
    assert(vsw_csum(p, 65568) < 1ull << 33);
    free(p);
}

static void pieces_at_even_offsets_add_up(void)
{
    uint8_t p[301];

    fill(p, sizeof(p), 3);
    for (size_t cut = 0; cut <= 300; cut += 2)
        assert(number(vsw_csum(p, cut) + vsw_csum(p + cut, 301 - cut)) == slow(p, 301));
}

static void a_sum_folds_to_zero_only_when_all_is_zero(void)
{
    assert(vsw_csum_fold(0) == 0);
    assert(vsw_csum_fold(0xffff) == 0xffff);
    assert(vsw_csum_fold(0x1fffe) == 0xffff);
    assert(vsw_csum_fold(0x10000) == 1);
    assert(vsw_csum_fold(UINT64_MAX) == 0xffff);
    assert(vsw_csum_fold(0xffff0001ffffull) == 1);
    assert(vsw_csum_fold(0xffffffff80008000ull) == 1);
    assert(vsw_csum_fold(0xfffffffffffffffeull) == 0xfffe);
}

static void numbers_are_summed_as_they_lie_in_the_frame(void)
{
    const uint8_t bytes[] = {0x12, 0x34, 0xfe, 0xdc};

    assert(vsw_csum_be16(0x1234) == vsw_csum_get(bytes));
    assert(vsw_csum_fold(vsw_csum_be32(0x1234fedc)) == vsw_csum_fold(vsw_csum(bytes, 4)));
}

static void subtracting_undoes_adding(void)
{
    const uint8_t p[] = {0x12, 0x34, 0xff, 0xff, 0xab, 0xcd};

    assert(vsw_csum_fold(vsw_csum(p, 6) + vsw_csum_minus(vsw_csum_get(p + 4))) ==
           vsw_csum_fold(vsw_csum(p, 4)));
}

static void pseudo_headers_are_the_bytes_the_rfcs_draw(void)
{
    uint8_t v4[12] = {192, 0, 2, 1, 198, 51, 100, 254, 0, 6, 0x12, 0x34};
    uint8_t v6[40] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1, [16] = 0xfe, 0x80, [31] = 2};
    const uint8_t v6_tail[8] = {0, 1, 0x02, 0x03, 0, 0, 0, 17};

    memcpy(v6 + 32, v6_tail, 8);

    assert(number(vsw_csum_pseudo4(v4, 6, 0x1234)) == slow(v4, 12));
    assert(number(vsw_csum_pseudo6(v6, 17, 0x10203)) == slow(v6, 40));
}

static void an_update_equals_summing_again(void)
{
    uint8_t p[20];

    for (unsigned seed = 0; seed < 2000; seed++) {
        fill(p, sizeof(p), seed);
        vsw_csum_put(p + 10, 0);
        vsw_csum_put(p + 10, (uint16_t)~vsw_csum_fold(vsw_csum(p, 20)));
        uint16_t old = vsw_csum_get(p + 4), new = (uint16_t)(seed * 40503u);

        vsw_csum_put(p + 4, new);
        vsw_csum_update(p + 10, old, new);

        assert(slow(p, 20) == 0xffff);
    }
}

/* RFC 1624 4: the older formula of RFC 1141 gives 0xffff here. */
static void the_corner_case_of_rfc_1624_gives_zero(void)
{
    uint8_t field[2] = {0xdd, 0x2f};

    vsw_csum_update(field, vsw_csum_be16(0x5555), vsw_csum_be16(0x3285));

    assert(vsw_be16(field) == 0);
}

int main(void)
{
    the_example_of_rfc_1071_sums_to_ddf2();
    every_length_and_alignment_gives_the_sum_by_definition();
    a_copy_is_equal_and_stays_within_its_length();
    the_longest_frame_of_ones_loses_no_carry();
    pieces_at_even_offsets_add_up();
    a_sum_folds_to_zero_only_when_all_is_zero();
    numbers_are_summed_as_they_lie_in_the_frame();
    subtracting_undoes_adding();
    pseudo_headers_are_the_bytes_the_rfcs_draw();
    an_update_equals_summing_again();
    the_corner_case_of_rfc_1624_gives_zero();
    return 0;
}
