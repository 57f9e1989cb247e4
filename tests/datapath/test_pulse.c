/* pulse.h: bursts by size, and which of them are timed. */
#include "datapath/pulse.h"

#include <assert.h>

/* One burst of @frames; whether it was timed. */
static int burst(struct vsw_pulse *p, unsigned frames)
{
    uint64_t since = vsw_pulse_begin(p);

    vsw_pulse_end(p, frames, since);
    return since != 0;
}

static uint64_t sum(const uint64_t *word, unsigned n)
{
    uint64_t total = 0;

    for (unsigned i = 0; i < n; i++)
        total += word[i];
    return total;
}

static void test_bursts_are_counted_by_their_frames(void)
{
    static struct vsw_pulse p;

    burst(&p, 1);
    burst(&p, VSW_BURST);
    burst(&p, VSW_BURST);

    assert(p.bursts[1] == 1 && p.bursts[VSW_BURST] == 2);
    assert(sum(p.bursts, VSW_BURST + 1) == 3);
}

static void test_the_second_burst_is_timed_and_then_one_in_1024(void)
{
    static struct vsw_pulse p;
    unsigned timed = 0;

    assert(!burst(&p, 7));
    assert(burst(&p, 7));
    for (unsigned i = 0; i < 10 * VSW_PULSE_EVERY; i++)
        timed += (unsigned)burst(&p, 7);

    assert(timed == 10);
    assert(sum(p.timed, VSW_PULSE_TIMES) == 11);
}

static void test_the_burst_that_is_timed_may_be_of_another_size(void)
{
    static struct vsw_pulse p;

    burst(&p, 1);

    assert(burst(&p, 32));
    assert(burst(&p, 1)); /* because that was the first one of 32 */
    assert(!burst(&p, 1));
}

static void test_time_goes_to_the_first_bound_it_does_not_exceed(void)
{
    static struct vsw_pulse p;

    vsw_pulse_time(&p, 1, 0);
    vsw_pulse_time(&p, 1, 1);
    vsw_pulse_time(&p, 4, 4 * 1024);
    vsw_pulse_time(&p, 4, 4 * 1025);
    vsw_pulse_time(&p, 1, 1u << (VSW_PULSE_TIMES - 2));
    vsw_pulse_time(&p, 1, (1u << (VSW_PULSE_TIMES - 2)) + 1);
    vsw_pulse_time(&p, 1, UINT64_MAX / 4);

    assert(p.timed[0] == 2 && p.timed[10] == 1 && p.timed[11] == 1);
    assert(p.timed[VSW_PULSE_TIMES - 2] == 1 && p.timed[VSW_PULSE_TIMES - 1] == 2);
}

int main(void)
{
    test_bursts_are_counted_by_their_frames();
    test_the_second_burst_is_timed_and_then_one_in_1024();
    test_the_burst_that_is_timed_may_be_of_another_size();
    test_time_goes_to_the_first_bound_it_does_not_exceed();
    return 0;
}
