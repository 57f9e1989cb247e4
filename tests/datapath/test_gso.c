/* Super-frames cut into segments, and checksums finished. */
#include <assert.h>

#include "datapath/gso.h"
#include "super_frame.h"

enum { FIN = 0x01, PSH = 0x08, ACK = 0x10, URG = 0x20, CWR = 0x80 };

static struct super s;
static struct vsw_frame super;   /* s, in memory of its own */
static struct vsw_frame seg[64]; /* what cut() made of it */
static unsigned n_seg;
static _Alignas(16) uint8_t buf[1 << 18];

/* Cut s in one call; n_seg segments. */
static void cut(void)
{
    struct vsw_gso g;

    super = exact_frame(&s, s.len);
    assert(vsw_vnet_check(&super) == 0);
    assert(vsw_gso_begin(&g, &super) == 0);
    memset(buf, 0xa5, sizeof(buf));
    n_seg = vsw_gso_next(&g, buf, sizeof(buf), seg, 64);
    assert(vsw_gso_next(&g, buf, sizeof(buf), seg + n_seg, 64 - n_seg) == 0);
    release_frame(&super);
}

static int begin(void)
{
    struct vsw_gso g;
    struct vsw_frame f = exact_frame(&s, s.len);
    int rc = vsw_gso_begin(&g, &f);

    release_frame(&f);
    return rc;
}

static const uint8_t *l3_of(unsigned i)
{
    return seg[i].data + s.l3;
}

static const uint8_t *l4_of(unsigned i)
{
    return seg[i].data + s.l4;
}

/* Lengths, IP checksum and L4 checksum of segment i are right. */
static void assert_valid(unsigned i, uint8_t protocol)
{
    const uint8_t *ip = l3_of(i);
    uint32_t l4_len = seg[i].len - s.l4;

    if (ip[0] >> 4 == 4) {
        assert(vsw_be16(ip + 2) == seg[i].len - s.l3);
        assert(vsw_csum_fold(vsw_csum(ip, s.l4 - s.l3)) == 0xffff);
    } else {
        assert(vsw_be16(ip + 4) == seg[i].len - s.l3 - 40);
    }
    if (protocol == 17)
        assert(vsw_be16(l4_of(i) + 4) == l4_len);
    uint64_t sum = pseudo_sum(ip, protocol, l4_len) + vsw_csum(l4_of(i), l4_len);
    assert(vsw_csum_fold(sum) == 0xffff);
}

/* All segments are valid, no longer than allowed, and carry the payload of s in order. */
static void assert_all_valid(uint8_t protocol, uint32_t gso_size)
{
    uint32_t done = s.payload;

    for (unsigned i = 0; i < n_seg; i++) {
        uint32_t carries = seg[i].len - s.payload;

        assert_valid(i, protocol);
        assert(i + 1 < n_seg ? carries == gso_size : carries <= gso_size);
        assert(memcmp(seg[i].data + s.payload, super_at(&s, done), carries) == 0);
        assert(memcmp(seg[i].data, super_at(&s, 0), s.l3) == 0);
        done += carries;
    }
    assert(done == s.len);
}

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

/* Finish the checksum of s in memory of exactly the size asked for; the segment, in buf. */
static struct vsw_frame complete(void)
{
    struct vsw_frame f = exact_frame(&s, s.len), out;
    uint8_t *exact = malloc(VSW_GSO_HEADROOM + s.len);

    assert(vsw_vnet_check(&f) == 0 && f.needs == VSW_CSUM);
    assert(vsw_csum_complete(&f, exact, &out) == VSW_GSO_HEADROOM + s.len);
    assert(out.data == exact + VSW_GSO_HEADROOM);
    assert(memcmp(f.data - VSW_VNET_LEN, s.bytes, VSW_VNET_LEN + s.len) == 0);
    memcpy(buf, exact, VSW_GSO_HEADROOM + s.len);
    out.data = buf + VSW_GSO_HEADROOM;
    free(exact);
    release_frame(&f);
    return out;
}

static void a_finished_copy_differs_in_the_checksum_only(void)
{
    for (uint32_t len = 0; len < 100; len++) {
        super_ipv4(&s, 1, 6, 0);
        super_tcp(&s, FIN | PSH | ACK | CWR, 20, len);
        super_vnet(&s, 1, 0, 0, s.l4, 16);
        vsw_csum_put(super_at(&s, s.l3 + 10), 0);
        uint64_t ip_sum = vsw_csum(super_at(&s, s.l3), 20);
        vsw_csum_put(super_at(&s, s.l3 + 10), (uint16_t)~vsw_csum_fold(ip_sum));

        seg[0] = complete();

        assert_valid(0, 6);
        assert(seg[0].len == s.len && seg[0].needs == 0);
        for (int k = 0; k < VSW_VNET_LEN; k++)
            assert(vsw_vnet(&seg[0])[k] == 0);
        uint32_t field = s.l4 + 16;
        assert(memcmp(seg[0].data, super_at(&s, 0), field) == 0);
        assert(memcmp(seg[0].data + field + 2, super_at(&s, field + 2), s.len - field - 2) == 0);
    }
}

/* Finish s after making the checksum at @offset behind l4 come out as 0; what it came out as. */
static uint16_t completed_zero(uint32_t offset, uint32_t spare)
{
    super_vnet(&s, 1, 0, 0, s.l4, offset);
    struct vsw_frame out = complete();
    uint64_t word = (uint64_t)vsw_csum_get(super_at(&s, spare)) +
                    vsw_csum_get(out.data + s.l4 + offset);

    vsw_csum_put(super_at(&s, spare), vsw_csum_fold(word));
    out = complete();
    return vsw_csum_get(out.data + s.l4 + offset);
}

static void zero_becomes_ones_for_udp_only(void)
{
    super_ipv4(&s, 1, 17, 0);
    super_udp(&s, 64);
    assert(completed_zero(6, s.payload) == 0xffff);

    super_ipv6(&s, 0, 17);
    super_udp(&s, 64);
    assert(completed_zero(6, s.payload) == 0xffff);

    super_ipv4(&s, 0, 6, 0);
    super_tcp(&s, ACK, 20, 64);
    assert(completed_zero(16, s.payload) == 0);

    super_ipv4(&s, 0, 33, 0); /* DCCP, whose checksum lies at offset 6, too */
    super_udp(&s, 64);
    assert(completed_zero(6, s.payload) == 0);
}

static void zero_becomes_ones_for_udp_in_a_tunnel(void)
{
    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 200);
    s.l4 = s.payload + 50; /* VXLAN, Ethernet, IPv4 and UDP again */

    assert(completed_zero(6, s.l4 + 8) == 0xffff);
}

static void a_checksum_may_be_the_last_two_bytes(void)
{
    super_ipv4(&s, 0, 99, 0);
    super_payload(&s, 7);
    super_vnet(&s, 1, 0, 0, 34, 5);

    struct vsw_frame out = complete();

    assert(out.len == 41);
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
    fragments_of_ipv4_share_an_identification_and_say_where_they_belong();
    fragments_of_ipv6_have_a_header_of_their_own();
    fragments_are_cut_at_multiples_of_eight();
    a_datagram_of_one_fragment_is_only_completed();
    the_number_and_the_length_of_fragments_are_bounded();
    a_frame_not_to_be_cut_is_refused();
    a_finished_copy_differs_in_the_checksum_only();
    zero_becomes_ones_for_udp_only();
    zero_becomes_ones_for_udp_in_a_tunnel();
    a_checksum_may_be_the_last_two_bytes();
    return 0;
}
