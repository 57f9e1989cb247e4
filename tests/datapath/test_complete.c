/* Checksums finished in a copy. */
#include "cut.h"

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
    a_finished_copy_differs_in_the_checksum_only();
    zero_becomes_ones_for_udp_only();
    zero_becomes_ones_for_udp_in_a_tunnel();
    a_checksum_may_be_the_last_two_bytes();
    return 0;
}
