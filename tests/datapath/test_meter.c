/* Token buckets: rates and bursts held, whatever the clock says; frames as their segments. */
#include <assert.h>

#include "datapath/meter.h"
#include "super_frame.h"

#define MS 1000000ull
#define S 1000000000ull
#define YEAR (365 * 86400 * S)

static struct vsw_meter m;
static struct super s;

/* Forget what m was. */
static void begin(uint64_t rate, bool in_bytes, uint64_t burst)
{
    memset(&m, 0, sizeof(m));
    vsw_meter_set(&m, rate, in_bytes, burst);
}

static bool passes(uint64_t now_ns, uint64_t units)
{
    return vsw_meter_take(&m, now_ns, vsw_meter_cost(&m, units));
}

/* How many of @n frames of @units each pass at once. */
static unsigned pass_at(uint64_t now_ns, unsigned n, uint64_t units)
{
    unsigned passed = 0;

    for (unsigned i = 0; i < n; i++)
        passed += passes(now_ns, units);
    return passed;
}

static void test_a_full_bucket_lets_its_burst_pass_and_no_more(void)
{
    begin(1000, false, 10);
    assert(pass_at(5 * S, 100, 1) == 10);
    assert(pass_at(5 * S + MS - 1, 5, 1) == 1); /* there is something in it, if not all it takes */
    assert(pass_at(5 * S + MS, 5, 1) == 0);
    assert(pass_at(5 * S + 2 * MS, 5, 1) == 1);
}

static void test_it_fills_at_the_rate_and_never_beyond_the_burst(void)
{
    begin(1000, false, 10);
    assert(pass_at(S, 100, 1) == 10);
    assert(pass_at(S + 4 * MS, 100, 1) == 4);
    assert(pass_at(99 * S, 100, 1) == 10);
}

static void test_what_a_long_frame_took_too_much_is_paid_back(void)
{
    begin(8000, true, 100); /* a byte a millisecond */
    assert(passes(S, 1000));
    assert(!passes(S + 899 * MS, 1));
    assert(passes(S + 901 * MS, 1));
}

/* Frames as fast as can be, for so long that 20,000 of them should pass. */
static void assert_rate(uint64_t rate, bool in_bytes, uint64_t units, double tolerance)
{
    uint64_t passed = 0;
    double each_ns = (double)S * (double)units * (in_bytes ? 8 : 1) / (double)rate;

    begin(rate, in_bytes, 200 * units);
    for (unsigned i = 0; i <= 200; i++)
        passed += pass_at(7 * S + (uint64_t)(100 * i * each_ns), 300, units);
    double error = (double)passed / 20200 - 1; /* the first burst comes before all time */
    assert(error < tolerance && error > -tolerance);
}

static void test_rates_are_held_from_slow_to_fast(void)
{
    assert_rate(1, true, 60, 0.001);
    assert_rate(10000, true, 125, 0.001);
    assert_rate(1000000, true, 1500, 0.001);
    assert_rate(10000000000, true, 1500, 0.001);
    assert_rate(400000000000, true, 65550, 0.001);
    assert_rate(400000000000, true, 1514, 0.0015);
    assert_rate(400000000000, true, 64, 0.025);
    assert_rate(10, false, 1, 0.001);
    assert_rate(1000000, false, 1, 0.001);
    assert_rate(600000000, false, 1, 0.025);
}

static void test_the_slowest_rate_takes_seconds_for_a_byte(void)
{
    begin(1, true, 1);
    assert(pass_at(S, 5, 1) == 1);
    assert(pass_at(S + 1, 5, 1) == 1); /* taken while there was a little in it */
    assert(pass_at(9 * S, 5, 1) == 0);
    assert(pass_at(9 * S + 1, 5, 1) == 1);
}

static void test_nothing_overflows(void)
{
    begin(1, true, UINT32_MAX);
    assert(m.burst > 0 && m.burst <= VSW_METER_COST_MAX);
    assert(vsw_meter_cost(&m, UINT64_MAX) == VSW_METER_COST_MAX);
    begin(1, true, 1);
    assert(passes(S, UINT32_MAX)); /* as one frame with 65,000 segments of long headers */
    assert(!passes(S, 1) && !passes(1000 * S, 1) && !passes(YEAR, 1));
    begin(VSW_METER_RATE_MAX, true, 1);
    assert(m.burst >= 1 && passes(S, 1));
}

static void test_the_clock_may_pass_the_end_of_the_word(void)
{
    uint64_t wrap_ns = UINT64_MAX / VSW_METER_TICKS + 1;

    for (uint64_t late = 0; late < 2; late++) { /* ticks wrap, and nanoseconds do */
        uint64_t at = late ? 0 : wrap_ns;

        begin(1000, false, 10);
        assert(pass_at(at - 9 * YEAR, 1, 1) == 1);
        assert(pass_at(at - 2 * MS, 100, 1) == 10);
        assert(pass_at(at + 2 * MS, 100, 1) == 4);
        assert(pass_at(at + S, 100, 1) == 10);
    }
}

static void test_a_bucket_left_alone_for_years_is_full(void)
{
    for (uint64_t years = 1; years < 30; years++) {
        begin(1, true, 1500);
        assert(pass_at(S, 9, 1500) == 1);
        assert(pass_at(S + years * YEAR, 9, 1500) == 1);
    }
}

static void test_a_poller_whose_clock_is_behind_takes_no_more(void)
{
    begin(1000, false, 10);
    assert(pass_at(S, 100, 1) == 10);
    assert(pass_at(S - 1000, 100, 1) == 0);
}

static void test_only_a_change_fills_the_bucket(void)
{
    begin(1000, false, 10);
    assert(pass_at(S, 100, 1) == 10);
    vsw_meter_set(&m, 1000, false, 10);
    assert(pass_at(S, 100, 1) == 0);
    vsw_meter_set(&m, 1000, false, 11);
    assert(pass_at(S, 100, 1) == 11);
    vsw_meter_set(&m, 0, false, 0);
    assert(!m.scale);
}

/* ------------------------------------------------------------------ what frames cost */

static uint64_t units_of(bool in_bytes)
{
    struct vsw_frame f = exact_frame(&s, s.len);
    struct vsw_meter meter = {.in_bytes = in_bytes};

    assert(vsw_vnet_check(&f) == 0);
    uint64_t units = vsw_meter_units(&meter, &f);
    release_frame(&f);
    return units;
}

static void test_a_frame_costs_its_bytes_or_itself(void)
{
    super_tso4(&s, 0, 100);
    memset(s.bytes, 0, VSW_VNET_LEN);
    assert(units_of(true) == s.len && units_of(false) == 1);
}

/* What it costs is what it is cut into. */
static void assert_costs_its_segments(uint64_t segments, uint64_t front, uint64_t carried)
{
    struct vsw_frame f = exact_frame(&s, s.len), made[64];
    static _Alignas(16) uint8_t buf[1 << 18];
    struct vsw_gso g;
    uint64_t n_bytes = 0;

    assert(vsw_vnet_check(&f) == 0 && vsw_gso_begin(&g, &f) == 0);
    unsigned n = vsw_gso_next(&g, buf, sizeof(buf), made, 64);
    for (unsigned i = 0; i < n; i++)
        n_bytes += made[i].len;
    assert(n == segments && units_of(false) == segments);
    assert(units_of(true) == n_bytes && n_bytes == segments * front + carried);
    release_frame(&f);
}

static void test_a_super_frame_costs_its_segments_with_all_their_headers(void)
{
    super_tso4(&s, 0, 10 * 1448);
    assert_costs_its_segments(10, 66, 14480);
    super_tso4(&s, 2, 10 * 1448 + 1);
    assert_costs_its_segments(11, 74, 14481);
    super_tso4(&s, 0, 0);
    assert_costs_its_segments(1, 66, 0);
    super_ipv6(&s, 0, 6);
    super_tcp(&s, 0x10, 20, 3000);
    super_vnet(&s, 1, 4, 1000, s.l4, 16);
    assert_costs_its_segments(3, 74, 3000);
    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 5, 500, s.l4, 6);
    assert_costs_its_segments(10, 42, 5000);
}

static void test_a_datagram_costs_its_fragments(void)
{
    super_ipv4(&s, 0, 17, 0);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 3, 1480, s.l4, 6);
    assert_costs_its_segments(4, 34, 5008);
    super_ipv6(&s, 0, 17);
    super_udp(&s, 5000);
    super_vnet(&s, 1, 3, 1448, s.l4, 6);
    assert_costs_its_segments(4, 62, 5008);
    super_vnet(&s, 1, 3, 6000, s.l4, 6);
    assert_costs_its_segments(1, 54, 5008);
}

static void test_too_many_segments_to_be_cut_cost_what_they_are(void)
{
    super_tso4(&s, 0, 60000);
    super_vnet(&s, 1, 1, 1, s.l4, 16);
    assert(units_of(false) == 60000);
    assert(units_of(true) == 60000 * 67ull);
}

int main(void)
{
    test_a_full_bucket_lets_its_burst_pass_and_no_more();
    test_it_fills_at_the_rate_and_never_beyond_the_burst();
    test_what_a_long_frame_took_too_much_is_paid_back();
    test_rates_are_held_from_slow_to_fast();
    test_the_slowest_rate_takes_seconds_for_a_byte();
    test_nothing_overflows();
    test_the_clock_may_pass_the_end_of_the_word();
    test_a_bucket_left_alone_for_years_is_full();
    test_a_poller_whose_clock_is_behind_takes_no_more();
    test_only_a_change_fills_the_bucket();
    test_a_frame_costs_its_bytes_or_itself();
    test_a_super_frame_costs_its_segments_with_all_their_headers();
    test_a_datagram_costs_its_fragments();
    test_too_many_segments_to_be_cut_cost_what_they_are();
    return 0;
}
