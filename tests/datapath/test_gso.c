/* Super-frames cut into segments. */
#include "cut.h"

static void tcp4_is_cut_into_valid_segments(void)
{
    super_tso4(&s, 0, 5000);
    cut();

    assert(n_seg == 4);
    assert_all_valid(6, 1448);
}

static void tcp6_is_cut_into_valid_segments(void)
{
    super_ipv6(&s, 0, 6);
    super_tcp(&s, ACK, 20, 5001);
    super_vnet(&s, 1, 4, 1440, s.l4, 16);
    cut();

    assert(n_seg == 4);
    assert_all_valid(6, 1440);
}

static void udp_is_cut_into_valid_datagrams(void)
{
    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 2500);
    super_vnet(&s, 1, 5, 999, s.l4, 6);
    cut();
    assert(n_seg == 3);
    assert_all_valid(17, 999);

    super_ipv6(&s, 1, 17);
    super_udp(&s, 2500);
    super_vnet(&s, 1, 5, 1, s.l4, 6);
    assert(begin() == -EINVAL); /* 2500 datagrams */
    super_vnet(&s, 1, 5, 999, s.l4, 6);
    cut();
    assert(n_seg == 3);
    assert_all_valid(17, 999);
}

static void odd_segment_sizes_keep_their_checksums(void)
{
    for (uint32_t size = 95; size <= 130; size++) {
        super_ipv4(&s, 0, 6, 4);
        super_tcp(&s, ACK, 24, 1009);
        super_vnet(&s, 1, 1, size, s.l4, 16);
        cut();
        assert_all_valid(6, size);
    }
}

static void tags_and_options_are_repeated(void)
{
    super_ipv4(&s, 2, 6, 8);
    super_tcp(&s, ACK, 60, 3000);
    super_vnet(&s, 1, 1, 1400, s.l4, 16);
    cut();

    assert(n_seg == 3);
    assert_all_valid(6, 1400);
    for (unsigned i = 0; i < n_seg; i++) {
        assert(memcmp(l3_of(i) + 20, super_at(&s, s.l3 + 20), 8) == 0);
        assert(memcmp(l4_of(i) + 20, super_at(&s, s.l4 + 20), 40) == 0);
    }
}

static void sequence_numbers_advance_and_wrap(void)
{
    super_tso4(&s, 0, 5000); /* begins 256 before the wrap */
    cut();

    assert(vsw_be32(l4_of(0) + 4) == 0xffffff00);
    assert(vsw_be32(l4_of(1) + 4) == 1448 - 256);
    assert(vsw_be32(l4_of(3) + 4) == 3 * 1448 - 256);
}

static void identifications_advance_and_wrap(void)
{
    super_tso4(&s, 0, 5000);
    cut();

    const uint16_t id[] = {0xfffe, 0xffff, 0, 1};
    for (unsigned i = 0; i < 4; i++)
        assert(vsw_be16(l3_of(i) + 4) == id[i]);
}

static void fin_and_psh_stay_for_the_last_and_cwr_for_the_first(void)
{
    super_ipv4(&s, 0, 6, 0);
    super_tcp(&s, FIN | PSH | ACK | URG | CWR, 20, 3000);
    super_vnet(&s, 1, 0x81, 1448, s.l4, 16);
    cut();

    assert(n_seg == 3);
    assert(l4_of(0)[13] == (ACK | URG | CWR));
    assert(l4_of(1)[13] == (ACK | URG));
    assert(l4_of(2)[13] == (FIN | PSH | ACK | URG));
    assert_all_valid(6, 1448);
}

static void payload_of_one_segment_gives_the_frame_back_finished(void)
{
    for (uint32_t len = 0; len <= 1448; len += 181) {
        super_ipv4(&s, 0, 6, 0);
        super_tcp(&s, FIN | PSH | ACK | CWR, 20, len);
        super_vnet(&s, 1, 0x81, 1448, s.l4, 16);
        cut();

        assert(n_seg == 1 && seg[0].len == s.len);
        assert(l4_of(0)[13] == (FIN | PSH | ACK | CWR));
        assert_all_valid(6, 1448);
    }
}

static void a_whole_multiple_leaves_no_empty_segment(void)
{
    super_tso4(&s, 0, 3 * 1448);
    cut();

    assert(n_seg == 3 && seg[2].len == seg[0].len);
}

static void a_udp_checksum_of_zero_is_sent_as_ones(void)
{
    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 200);
    super_vnet(&s, 1, 5, 100, s.l4, 6);
    cut();
    /* Make the first datagram's checksum 0: its complement into a payload word. */
    uint16_t csum = vsw_csum_get(l4_of(0) + 6);
    uint64_t word = (uint64_t)vsw_csum_get(super_at(&s, s.payload)) + csum;

    vsw_csum_put(super_at(&s, s.payload), vsw_csum_fold(word));
    cut();

    assert(vsw_be16(l4_of(0) + 6) == 0xffff);
    assert_valid(0, 17);
}

static void a_tcp_checksum_of_zero_stays_zero(void)
{
    super_tso4(&s, 0, 2000);
    cut();
    uint16_t csum = vsw_csum_get(l4_of(0) + 16);
    uint64_t word = (uint64_t)vsw_csum_get(super_at(&s, s.payload)) + csum;

    vsw_csum_put(super_at(&s, s.payload), vsw_csum_fold(word));
    cut();

    assert(vsw_be16(l4_of(0) + 16) == 0);
    assert_valid(0, 6);
}

/* The sender's pseudo header names the final destination, which only it knows. */
static void the_pseudo_header_of_a_routed_packet_is_the_senders(void)
{
    uint8_t routing[24] = {6, 2, 0, 1, [8] = 0xfd, [23] = 9};
    uint8_t addresses[32];

    super_ipv6(&s, 0, 43);
    super_append(&s, routing, 24);
    s.l4 = s.len;
    super_tcp(&s, ACK, 20, 3000);
    super_vnet(&s, 1, 4, 1440, s.l4, 16);
    memcpy(addresses, super_at(&s, s.l3 + 8), 16);
    memcpy(addresses + 16, routing + 8, 16);
    vsw_csum_put(super_at(&s, s.l4 + 16),
                 vsw_csum_fold(vsw_csum_pseudo6(addresses, 6, s.len - s.l4)));
    cut();

    assert(n_seg == 3);
    for (unsigned i = 0; i < n_seg; i++) {
        uint32_t len = seg[i].len - s.l4;
        uint64_t sum = vsw_csum_pseudo6(addresses, 6, len) + vsw_csum(l4_of(i), len);
        assert(vsw_csum_fold(sum) == 0xffff);
        assert(vsw_be16(l3_of(i) + 4) == seg[i].len - s.l3 - 40);
    }
}

static void segments_lie_aligned_behind_zeroed_headers(void)
{
    super_tso4(&s, 0, 5000);
    cut();

    assert(seg[0].data == buf + VSW_GSO_HEADROOM);
    for (unsigned i = 0; i < n_seg; i++) {
        assert((uintptr_t)seg[i].data % 16 == 0);
        for (int k = 0; k < VSW_VNET_LEN; k++)
            assert(vsw_vnet(&seg[i])[k] == 0);
        assert(seg[i].needs == 0);
    }
}

static void the_super_frame_is_not_written(void)
{
    super_tso4(&s, 0, 5000);
    struct vsw_frame f = exact_frame(&s, s.len);
    struct vsw_gso g;

    assert(vsw_gso_begin(&g, &f) == 0);
    vsw_gso_next(&g, buf, sizeof(buf), seg, 64);

    assert(memcmp(f.data - VSW_VNET_LEN, s.bytes, VSW_VNET_LEN + s.len) == 0);
    release_frame(&f);
}

/* Chunks bounded by count or by memory are, put together, what one call makes. */
static void chunks_add_up_to_the_whole(void)
{
    static uint8_t whole[1 << 17], small[VSW_GSO_HEADROOM + 1520];
    struct vsw_frame one;
    struct vsw_gso g;
    uint32_t done = 0;

    super_tso4(&s, 0, 65000);
    cut();
    for (unsigned i = 0; i < n_seg; done += seg[i++].len)
        memcpy(whole + done, seg[i].data, seg[i].len);
    super = exact_frame(&s, s.len);

    for (size_t size = sizeof(small); size <= sizeof(buf); size += sizeof(buf) - sizeof(small)) {
        uint32_t at = 0;

        assert(vsw_gso_begin(&g, &super) == 0);
        while (vsw_gso_next(&g, size == sizeof(small) ? small : buf, size, &one,
                            size == sizeof(small) ? 5 : 1)) {
            assert(memcmp(whole + at, one.data, one.len) == 0);
            at += one.len;
        }
        assert(at == done);
    }
    release_frame(&super);
}

static void a_buffer_too_small_is_left_alone(void)
{
    struct vsw_gso g;
    uint8_t *exact = malloc(VSW_GSO_HEADROOM + 1519);

    super_tso4(&s, 0, 5000); /* 1514-byte segments: 1536 bytes a record */
    super = exact_frame(&s, s.len);
    assert(vsw_gso_begin(&g, &super) == 0);

    assert(vsw_gso_next(&g, exact, VSW_GSO_HEADROOM + 1519, seg, 64) == 0);
    assert(vsw_gso_next(&g, buf, sizeof(buf), seg, 0) == 0);
    assert(vsw_gso_next(&g, buf, sizeof(buf), seg, 64) == 4);
    release_frame(&super);
    free(exact);
}

static void the_buffer_size_serves_the_longest_segment(void)
{
    static _Alignas(16) uint8_t exact[VSW_GSO_BUF_SIZE];
    struct vsw_gso g;

    super_ipv6(&s, 2, 17);
    super_udp(&s, VSW_FRAME_MAX - 62 - 8);
    super_vnet(&s, 1, 5, 65535, s.l4, 6);
    super = exact_frame(&s, s.len);
    assert(super.len == VSW_FRAME_MAX && vsw_gso_begin(&g, &super) == 0);

    n_seg = vsw_gso_next(&g, exact, sizeof(exact), seg, 64);

    assert(n_seg == 1);
    assert_all_valid(17, 65535);
    release_frame(&super);
}

static void the_number_of_segments_is_bounded(void)
{
    super_ipv6(&s, 0, 17);
    super_udp(&s, 40 * VSW_GSO_SEGMENTS_MAX);
    super_vnet(&s, 1, 5, 40, s.l4, 6);
    assert(begin() == 0);
    super_ipv6(&s, 0, 17);
    super_udp(&s, 40 * VSW_GSO_SEGMENTS_MAX + 1);
    super_vnet(&s, 1, 5, 40, s.l4, 6);
    assert(begin() == -EINVAL);
}

static void a_frame_not_to_be_cut_is_refused(void)
{
    super_tso4(&s, 0, 5000);
    super_vnet(&s, 1, 0, 0, s.l4, 16);
    assert(begin() == -EINVAL);
    super_vnet(&s, 0, 0, 0, 0, 0);
    assert(begin() == -EINVAL);
    super_tso4(&s, 3, 5000);
    assert(begin() == -EINVAL);
}

int main(void)
{
    tcp4_is_cut_into_valid_segments();
    tcp6_is_cut_into_valid_segments();
    udp_is_cut_into_valid_datagrams();
    odd_segment_sizes_keep_their_checksums();
    tags_and_options_are_repeated();
    sequence_numbers_advance_and_wrap();
    identifications_advance_and_wrap();
    fin_and_psh_stay_for_the_last_and_cwr_for_the_first();
    payload_of_one_segment_gives_the_frame_back_finished();
    a_whole_multiple_leaves_no_empty_segment();
    a_udp_checksum_of_zero_is_sent_as_ones();
    a_tcp_checksum_of_zero_stays_zero();
    the_pseudo_header_of_a_routed_packet_is_the_senders();
    segments_lie_aligned_behind_zeroed_headers();
    the_super_frame_is_not_written();
    chunks_add_up_to_the_whole();
    a_buffer_too_small_is_left_alone();
    the_buffer_size_serves_the_longest_segment();
    the_number_of_segments_is_bounded();
    a_frame_not_to_be_cut_is_refused();
    return 0;
}
