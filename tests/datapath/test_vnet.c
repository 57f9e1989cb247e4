/* The virtio-net header of a stranger, held against the frame behind it. */
#include <assert.h>

#include "super_frame.h"

static struct super s;

/* vsw_vnet_check() of the first @len bytes of s; the needs on success. */
static int check_cut(uint32_t len)
{
    struct vsw_frame f = exact_frame(&s, len);
    int rc = vsw_vnet_check(&f);

    assert(rc == 0 || (rc == -EINVAL && f.needs == 0));
    release_frame(&f);
    return rc ? rc : f.needs;
}

static int check(void)
{
    return check_cut(s.len);
}

static void a_header_of_zeroes_means_a_finished_frame(void)
{
    super_ipv4(&s, 0, 6, 0);
    memset(s.bytes, 0, VSW_VNET_LEN);

    assert(check() == 0);
    assert(check_cut(VSW_ETH_LEN) == 0);
}

static void remarks_and_unknown_flags_ask_for_nothing(void)
{
    super_ipv4(&s, 0, 6, 0);

    for (unsigned flags = 0; flags < 256; flags += 2) {
        super_vnet(&s, (uint8_t)flags, 0, 0xffff, 0xffff, 0xffff);
        assert(check() == 0);
    }
}

static void a_checksum_field_lies_behind_the_addresses_and_within_the_frame(void)
{
    super_ipv4(&s, 0, 99, 0);
    super_payload(&s, 66); /* 100 bytes altogether */

    super_vnet(&s, 1, 0, 0, 34, 64);
    assert(check() == VSW_CSUM);
    super_vnet(&s, 1, 0, 0, 34, 65);
    assert(check() == -EINVAL);
    super_vnet(&s, 1, 0, 0, 14, 0);
    assert(check() == VSW_CSUM);
    super_vnet(&s, 1, 0, 0, 13, 20);
    assert(check() == -EINVAL);
    super_vnet(&s, 1, 0, 0, 98, 0);
    assert(check() == VSW_CSUM);
    super_vnet(&s, 1, 0, 0, 99, 0);
    assert(check() == -EINVAL);
    super_vnet(&s, 1, 0, 0, 0xfff0, 0x20); /* their sum as 16 bits would be 16 */
    assert(check() == -EINVAL);
}

static void a_remark_beside_needs_csum_changes_nothing(void)
{
    super_tso4(&s, 0, 5000);
    s.bytes[0] = 1 | 2 | 4;

    assert(check() == (VSW_CSUM | VSW_TSO4));
}

static void each_gso_type_has_its_bit(void)
{
    super_tso4(&s, 0, 5000);
    assert(check() == (VSW_CSUM | VSW_TSO4));
    s.bytes[1] = 0x81;
    assert(check() == (VSW_CSUM | VSW_TSO4 | VSW_ECN));

    super_ipv6(&s, 0, 6);
    super_tcp(&s, 0x10, 20, 5000);
    super_vnet(&s, 1, 4, 1440, s.l4, 16);
    assert(check() == (VSW_CSUM | VSW_TSO6));
    s.bytes[1] = 0x84;
    assert(check() == (VSW_CSUM | VSW_TSO6 | VSW_ECN));

    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 5, 1000, s.l4, 6);
    assert(check() == (VSW_CSUM | VSW_USO));

    super_ipv6(&s, 0, 17);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 5, 1000, s.l4, 6);
    assert(check() == (VSW_CSUM | VSW_USO));
}

/* A datagram to be fragmented, behind @n extension headers of 8 bytes of the kinds @ext. */
static void ufo6(unsigned n, const uint8_t *ext, unsigned gso_size)
{
    super_ipv6(&s, 0, n ? ext[0] : 17);
    for (unsigned i = 0; i < n; i++)
        super_append(&s, (const uint8_t[8]){i + 1 < n ? ext[i + 1] : 17}, 8);
    s.l4 = s.len;
    super_udp(&s, 5000);
    super_vnet(&s, 1, 3, gso_size, s.l4, 6);
}

static void a_fragment_has_eight_bytes_at_least(void)
{
    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 5000);
    for (unsigned size = 0; size < 20; size++) {
        super_vnet(&s, 1, 3, size, s.l4, 6);
        assert(check() == (size < 8 ? -EINVAL : (VSW_CSUM | VSW_UFO)));
    }
    s.bytes[1] = 0x83;
    assert(check() == -EINVAL);
    super_tso4(&s, 0, 5000);
    s.bytes[1] = 3;
    assert(check() == -EINVAL);
}

static void the_first_fragment_has_all_headers(void)
{
    const uint8_t ext[5] = {0, 60, 43, 60, 60}; /* the last two are not for routers */

    for (unsigned size = 8; size < 40; size++) {
        ufo6(3, ext, size);
        assert(check() == (VSW_CSUM | VSW_UFO));
        ufo6(5, ext, size);
        assert(check() == (size < 24 ? -EINVAL : (VSW_CSUM | VSW_UFO)));
        ufo6(1, ext + 1, size);
        assert(check() == (size < 16 ? -EINVAL : (VSW_CSUM | VSW_UFO)));
    }
}

static void every_other_gso_type_is_refused(void)
{
    for (unsigned type = 1; type < 256; type++) {
        if ((type & 0x7f) == 1)
            continue;
        super_tso4(&s, 0, 5000);
        s.bytes[1] = (uint8_t)type;
        assert(check() == -EINVAL);

        s.bytes[0] = 0; /* the fast exit must not let it through either */
        assert(check() == -EINVAL);
    }
}

static void a_gso_type_of_the_wrong_protocol_is_refused(void)
{
    super_ipv6(&s, 0, 6);
    super_tcp(&s, 0x10, 20, 5000);
    super_vnet(&s, 1, 1, 1440, s.l4, 16);
    assert(check() == -EINVAL);

    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 1, 1000, s.l4, 6);
    assert(check() == -EINVAL);
    s.bytes[1] = 0x85; /* congestion signals of UDP are not the sender's device's business */
    assert(check() == -EINVAL);

    super_ipv4(&s, 0, 132, 0);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 5, 1000, s.l4, 6);
    assert(check() == -EINVAL);
}

static void segmentation_needs_the_checksum_and_a_size(void)
{
    super_tso4(&s, 0, 5000);
    s.bytes[0] = 0;
    assert(check() == -EINVAL);
    s.bytes[0] = 2 | 4;
    assert(check() == -EINVAL);

    super_tso4(&s, 0, 5000);
    put_le16(s.bytes + 4, 0);
    assert(check() == -EINVAL);
    put_le16(s.bytes + 4, 1);
    assert(check() == (VSW_CSUM | VSW_TSO4));
    put_le16(s.bytes + 4, 0xffff);
    assert(check() == (VSW_CSUM | VSW_TSO4));
}

static void the_checksum_must_be_that_of_the_l4_header(void)
{
    super_tso4(&s, 0, 5000);
    super_vnet(&s, 1, 1, 1448, s.l4 + 2, 16);
    assert(check() == -EINVAL);
    super_vnet(&s, 1, 1, 1448, s.l4, 14);
    assert(check() == -EINVAL);

    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 5, 1000, s.l4, 16);
    assert(check() == -EINVAL);
}

static void two_tags_are_skipped_and_a_third_is_not(void)
{
    for (unsigned tags = 0; tags <= 3; tags++) {
        super_tso4(&s, tags, 5000);
        assert(check() == (tags < 3 ? (VSW_CSUM | VSW_TSO4) : -EINVAL));
    }
}

static void ipv4_options_move_the_l4_header(void)
{
    super_ipv4(&s, 1, 6, 40);
    super_tcp(&s, 0x10, 60, 5000);
    super_vnet(&s, 1, 1, 1400, s.l4, 16);

    assert(check() == (VSW_CSUM | VSW_TSO4));
}

static void an_ipv4_header_that_cannot_be_is_refused(void)
{
    super_tso4(&s, 0, 5000);
    *super_at(&s, s.l3) = 0x44;
    *super_at(&s, s.l3 + 16 + 12) = 0x50; /* a TCP header there would be fine */
    super_vnet(&s, 1, 1, 1448, s.l3 + 16, 16);
    assert(check() == -EINVAL);

    super_tso4(&s, 0, 5000);
    *super_at(&s, s.l3) = 0x65;
    assert(check() == -EINVAL);
}

static void an_ipv6_header_of_another_version_is_refused(void)
{
    super_ipv6(&s, 0, 6);
    super_tcp(&s, 0x10, 20, 5000);
    super_vnet(&s, 1, 4, 1440, s.l4, 16);
    *super_at(&s, s.l3) = 0x50;

    assert(check() == -EINVAL);
}

static void a_fragment_is_not_segmented(void)
{
    super_tso4(&s, 0, 5000);
    *super_at(&s, s.l3 + 6) = 0x20; /* more fragments */
    assert(check() == -EINVAL);

    super_tso4(&s, 0, 5000);
    *super_at(&s, s.l3 + 7) = 1; /* offset 8 */
    assert(check() == -EINVAL);

    super_tso4(&s, 0, 5000);
    *super_at(&s, s.l3 + 6) = 0x40; /* don't fragment */
    assert(check() == (VSW_CSUM | VSW_TSO4));

    const uint8_t fragment[8] = {6, 0, 0, 1, 0, 0, 0, 1};
    super_ipv6(&s, 0, 44);
    super_append(&s, fragment, 8);
    s.l4 = s.len;
    super_tcp(&s, 0x10, 20, 5000);
    super_vnet(&s, 1, 4, 1440, s.l4, 16);
    assert(check() == -EINVAL);
}

/* TCP over IPv6 behind @n extension headers of 16 bytes. */
static void tso6_behind_extensions(unsigned n)
{
    const uint8_t kind[3] = {0, 43, 60};
    uint8_t ext[16] = {0, 1};

    super_ipv6(&s, 0, n ? kind[0] : 6);
    for (unsigned i = 0; i < n; i++) {
        ext[0] = i + 1 < n ? kind[(i + 1) % 3] : 6;
        super_append(&s, ext, 16);
    }
    s.l4 = s.len;
    super_tcp(&s, 0x10, 20, 5000);
    super_vnet(&s, 1, 4, 1440, s.l4, 16);
}

static void eight_extension_headers_are_skipped_and_a_ninth_is_not(void)
{
    for (unsigned n = 0; n <= 9; n++) {
        tso6_behind_extensions(n);
        assert(check() == (n <= 8 ? (VSW_CSUM | VSW_TSO6) : -EINVAL));
    }
}

static void a_data_offset_outside_the_frame_or_below_twenty_is_refused(void)
{
    super_tso4(&s, 0, 5000);
    *super_at(&s, s.l4 + 12) = 0x40;
    assert(check() == -EINVAL);

    super_tso4(&s, 0, 0);
    *super_at(&s, s.l4 + 12) = 0xf0;
    assert(check() == -EINVAL);
}

static void payload_below_one_segment_is_still_fine(void)
{
    super_tso4(&s, 0, 1);
    assert(check() == (VSW_CSUM | VSW_TSO4));
    super_tso4(&s, 0, 0);
    assert(check() == (VSW_CSUM | VSW_TSO4));
}

static void an_ipv4_packet_longer_than_its_length_field_is_refused(void)
{
    super_tso4(&s, 0, 65535 - 52);
    assert(check() == (VSW_CSUM | VSW_TSO4));
    super_tso4(&s, 0, 65535 - 51);
    assert(check() == -EINVAL);
}

/* Under the address sanitizer this also shows that no header is read beyond the end. */
static void headers_cut_short_anywhere_are_refused(void)
{
    super_tso4(&s, 2, 100);
    for (uint32_t len = VSW_ETH_LEN; len < s.len; len++)
        assert(check_cut(len) == (len < s.payload ? -EINVAL : (VSW_CSUM | VSW_TSO4)));

    tso6_behind_extensions(8);
    for (uint32_t len = VSW_ETH_LEN; len < 400; len++)
        assert(check_cut(len) == (len < s.payload ? -EINVAL : (VSW_CSUM | VSW_TSO6)));

    super_ipv6(&s, 2, 17);
    super_udp(&s, 100);
    super_vnet(&s, 1, 5, 10, s.l4, 6);
    for (uint32_t len = VSW_ETH_LEN; len < s.len; len++)
        assert(check_cut(len) == (len < s.payload ? -EINVAL : (VSW_CSUM | VSW_USO)));
}

static void the_layout_names_every_header(void)
{
    super_ipv6(&s, 1, 17);
    super_udp(&s, 100);
    super_vnet(&s, 1, 5, 10, s.l4, 6);
    struct vsw_frame f = exact_frame(&s, s.len);
    struct vsw_vnet_layout at;

    assert(vsw_vnet_parse_gso(&f, &at) == VSW_USO);

    assert(at.l3 == 18 && at.l4 == 58 && at.payload == 66);
    assert(at.is_v6 && at.is_udp && at.protocol == 17);
    release_frame(&f);
}

static void the_tag_that_says_the_vlan_is_passed_over_whatever_its_type(void)
{
    super_ipv6(&s, 2, 17);
    super_udp(&s, 100);
    super_vnet(&s, 1, 5, 10, s.l4, 6);
    vsw_put_be16(super_at(&s, 12), 0x9100);
    struct vsw_frame f = exact_frame(&s, s.len);
    struct vsw_vnet_layout at;

    f.tagged = 1;
    assert(vsw_vnet_parse_gso(&f, &at) == VSW_USO);
    assert(at.l3 == 22);

    f.tagged = 0; /* a stranger's, as admission has it */
    assert(vsw_vnet_check(&f) == -EINVAL);
    release_frame(&f);
}

int main(void)
{
    a_header_of_zeroes_means_a_finished_frame();
    remarks_and_unknown_flags_ask_for_nothing();
    a_checksum_field_lies_behind_the_addresses_and_within_the_frame();
    a_remark_beside_needs_csum_changes_nothing();
    each_gso_type_has_its_bit();
    a_fragment_has_eight_bytes_at_least();
    the_first_fragment_has_all_headers();
    every_other_gso_type_is_refused();
    a_gso_type_of_the_wrong_protocol_is_refused();
    segmentation_needs_the_checksum_and_a_size();
    the_checksum_must_be_that_of_the_l4_header();
    two_tags_are_skipped_and_a_third_is_not();
    ipv4_options_move_the_l4_header();
    an_ipv4_header_that_cannot_be_is_refused();
    an_ipv6_header_of_another_version_is_refused();
    a_fragment_is_not_segmented();
    eight_extension_headers_are_skipped_and_a_ninth_is_not();
    a_data_offset_outside_the_frame_or_below_twenty_is_refused();
    payload_below_one_segment_is_still_fine();
    an_ipv4_packet_longer_than_its_length_field_is_refused();
    headers_cut_short_anywhere_are_refused();
    the_layout_names_every_header();
    the_tag_that_says_the_vlan_is_passed_over_whatever_its_type();
    return 0;
}
