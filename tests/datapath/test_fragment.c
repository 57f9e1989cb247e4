/* Datagrams cut into fragments. */
#include "cut.h"

static void ufo4(uint32_t len, unsigned gso_size)
{
    super_ipv4(&s, 1, 17, 0);
    super_udp(&s, len);
    super_vnet(&s, 1, 3, gso_size, s.l4, 6);
}

static void fragments_of_ipv4_share_an_identification_and_say_where_they_belong(void)
{
    ufo4(5000, 1480);
    cut();

    assert(n_seg == 4);
    for (unsigned i = 0; i < n_seg; i++) {
        assert(seg[i].len == s.l4 + (i < 3 ? 1480 : 5008 - 3 * 1480));
        assert(vsw_be16(l3_of(i) + 2) == seg[i].len - s.l3);
        assert(vsw_be16(l3_of(i) + 4) == 0xfffe);
        assert(vsw_be16(l3_of(i) + 6) == (i * 185 | (i < 3 ? 0x2000 : 0)));
        assert(vsw_csum_fold(vsw_csum(l3_of(i), 20)) == 0xffff);
    }
    assert(memcmp(l4_of(1), super_at(&s, s.l4 + 1480), 1480) == 0);
}

static void fragments_of_ipv6_have_a_header_of_their_own(void)
{
    uint32_t ids[2];

    for (int again = 0; again < 2; again++) {
        super_ipv6(&s, 0, 17);
        super_udp(&s, 3000);
        super_vnet(&s, 1, 3, 1448, s.l4, 6);
        cut();
        assert(n_seg == 3);
        for (unsigned i = 0; i < n_seg; i++) {
            const uint8_t *header = l3_of(i) + 40;
            assert(l3_of(i)[6] == 44 && header[0] == 17 && header[1] == 0);
            assert(vsw_be16(l3_of(i) + 4) == seg[i].len - s.l3 - 40);
            assert(vsw_be16(header + 2) == (i * 1448 | (i < 2)));
            assert(memcmp(header + 4, l3_of(0) + 44, 4) == 0);
        }
        memcpy(&ids[again], l3_of(0) + 44, 4);
    }
    assert(ids[0] != ids[1]);
}

static void fragments_are_cut_at_multiples_of_eight(void)
{
    ufo4(3000, 1487);
    cut();

    assert(n_seg == 3 && seg[0].len == s.l4 + 1480 && vsw_be16(l3_of(1) + 6) == (0x2000 | 185));
}

static void a_datagram_of_one_fragment_is_only_completed(void)
{
    ufo4(1001, 1009);
    cut();

    assert(n_seg == 1 && seg[0].len == s.len);
    assert(vsw_be16(l3_of(0) + 6) == 0x4000); /* don't fragment */
    assert_all_valid(17, 1009);

    super_ipv6(&s, 0, 17);
    super_udp(&s, 1000);
    super_vnet(&s, 1, 3, 65535, s.l4, 6);
    cut();
    assert(n_seg == 1 && seg[0].len == s.len);
    assert_all_valid(17, 65535);
}

static void the_number_and_the_length_of_fragments_are_bounded(void)
{
    ufo4(40 * VSW_GSO_SEGMENTS_MAX - 8, 40);
    assert(begin() == 0);
    ufo4(40 * VSW_GSO_SEGMENTS_MAX - 7, 40);
    assert(begin() == -EINVAL);

    super_ipv6(&s, 2, 17); /* with its fragment header the first would be longer than any frame */
    super_udp(&s, VSW_FRAME_MAX - 62 - 8);
    super_vnet(&s, 1, 3, (VSW_FRAME_MAX - 62 - 1) & 0xfff8, s.l4, 6);
    assert(begin() == -EINVAL);
    super_vnet(&s, 1, 3, (VSW_FRAME_MAX - 62 - 8) & 0xfff8, s.l4, 6);
    assert(begin() == 0);
}

int main(void)
{
    fragments_of_ipv4_share_an_identification_and_say_where_they_belong();
    fragments_of_ipv6_have_a_header_of_their_own();
    fragments_are_cut_at_multiples_of_eight();
    a_datagram_of_one_fragment_is_only_completed();
    the_number_and_the_length_of_fragments_are_bounded();
    return 0;
}
