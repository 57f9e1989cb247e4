/* A guard finds what is in its sets and nothing else, judges any bytes within their bounds, and
 * gives copies of DHCP to the control plane. */
#undef NDEBUG
#include "datapath/guard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 64, LEN_MAX = 600, ROUNDS = 200000 };

static const uint8_t mine[6] = {2, 0, 0, 0, 0, 1};
static struct vsw_guard guard;
static struct vsw_policy policy = {.guard = &guard};
static struct vsw_port port = {.id = 3, .policy = &policy};
static struct vsw_poller *poller;

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void set(struct vsw_guard_set *s, uint32_t n, uint64_t step)
{
    s->n = n;
    for (uint32_t i = 0; i < n; i++)
        s->item[i] = (struct vsw_guard_item){.high = i / 3 * step, .low = i * step};
}

/* @len bytes in memory of their own, so that a read behind them is noticed. */
static struct vsw_frame fresh(uint8_t **memory, const uint8_t *bytes, uint32_t len)
{
    struct vsw_frame f = {.len = len};

    *memory = calloc(1, ROOM + len);
    assert(*memory);
    memcpy(*memory + ROOM, bytes, len);
    f.data = *memory + ROOM;
    return f;
}

static bool admits(const uint8_t *bytes, uint32_t len, uint8_t checks)
{
    uint8_t *memory;
    struct vsw_frame f = fresh(&memory, bytes, len);
    bool admitted;

    guard.checks = checks;
    poller->burst.frame[0] = f;
    admitted = vsw_guard_admits(poller, &port, &poller->burst.frame[0]);
    free(memory);
    return admitted;
}

static void every_set_size_is_searched_right(void)
{
    static struct vsw_guard_set s;

    for (uint32_t n = 0; n <= VSW_GUARD_MAX; n++) {
        set(&s, n, 2);
        for (uint64_t i = 0; i < n; i++) {
            assert(vsw_guard_has(&s, i / 3 * 2, i * 2));
            assert(!vsw_guard_has(&s, i / 3 * 2, i * 2 + 1));
            assert(!vsw_guard_has(&s, i / 3 * 2 + 1, i * 2));
        }
        assert(!vsw_guard_has(&s, UINT64_MAX, UINT64_MAX));
    }
}

static void the_end_of_extension_headers_is_found_or_refused(void)
{
    uint8_t frame[LEN_MAX] = {[12] = 0x86, [13] = 0xDD, [14] = 0x60, [20] = 60};
    uint32_t at = 54;

    memcpy(frame + 6, mine, 6);
    for (unsigned n = 1; n <= VSW_EXTENSIONS_MAX + 1; n++, at += 8) {
        struct vsw_frame f = {.data = frame, .len = at + 8 + 4};
        struct vsw_headers h;

        frame[at] = 58;
        frame[19] = (uint8_t)(f.len - 54);
        h = vsw_headers_of(&f);
        assert(h.state == (n <= VSW_EXTENSIONS_MAX ? VSW_UPPER_HERE : VSW_UPPER_HIDDEN));
        assert(n > VSW_EXTENSIONS_MAX || (h.upper == at + 8 && h.proto == VSW_PROTO_ICMP6));
        f.len--; /* the ICMPv6 header is cut off */
        assert(vsw_headers_of(&f).state == VSW_UPPER_HIDDEN);
        frame[at] = 60;
    }
}

/* A frame of random bytes in which the few that matter mostly have values that lead on. */
static uint32_t random_frame(uint8_t *bytes)
{
    static const uint16_t types[] = {0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 30, 0x8035};
    static const uint8_t protos[] = {0, 43, 44, 51, 60, 58, 17, 2, 6};
    static const uint8_t snap[] = {0xAA, 0xAA, 3, 0, 0, 0};
    uint32_t len = VSW_ETH_LEN + (uint32_t)(next_random() % (LEN_MAX - VSW_ETH_LEN));
    uint32_t at = VSW_ETH_LEN;

    for (uint32_t i = 0; i < LEN_MAX; i++)
        bytes[i] = next_random() & 3 ? 0 : (uint8_t)next_random();
    memcpy(bytes + 6, mine, 6);
    for (;;) {
        uint16_t type = types[next_random() % 7];

        vsw_put_be16(bytes + at - 2, type);
        if (type == 30)
            memcpy(bytes + at, snap, sizeof(snap));
        if (type != 0x8100 && type != 0x88A8 && type != 30)
            break;
        at += type == 30 ? 8 : 4;
        if (at > 100)
            break;
    }
    bytes[at] = vsw_be16(bytes + at - 2) == 0x86DD ? 0x60 : 0x45;
    bytes[at + 6] = protos[next_random() % 9];
    bytes[at + 9] = protos[next_random() % 9];
    for (unsigned i = at + 40; i < LEN_MAX; i += 8)
        bytes[i] = protos[next_random() % 9];
    if (next_random() & 1) {
        vsw_put_be16(bytes + at + 2, (uint16_t)len);
        vsw_put_be16(bytes + at + 4, (uint16_t)(len - at));
    }
    return len;
}

static void any_bytes_are_judged_within_their_bounds(void)
{
    unsigned admitted = 0;
    uint8_t bytes[LEN_MAX];

    set(&guard.ip4, 1, 0); /* 0.0.0.0 and ::, so that random addresses are known */
    set(&guard.ip6, 1, 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        admitted += admits(bytes, random_frame(bytes), (uint8_t)(next_random() & 0x1E));
    assert(admitted > ROUNDS / 50 && admitted < ROUNDS * 9 / 10);
}

static void a_lease_of_ipv6_is_of_its_station_and_vlan(void)
{
    uint8_t frame[LEN_MAX] = {[12] = 0x86, [13] = 0xDD, [14] = 0x60, [20] = 17, [22] = 0xFD};
    struct vsw_frame f = {.data = frame, .len = 80};
    const uint8_t *source = frame + 22;

    memcpy(frame + 6, mine, 6);
    frame[37] = 5;
    guard.checks = VSW_GUARD_IP6;
    guard.leases6.n = 4;
    for (unsigned i = 0; i < 4; i++) { /* fd00::4, and fd00::5 in VLANs 1 to 3 */
        guard.leases6.item[i] =
            (struct vsw_guard_item){.high = 0xFDull << 56, .low = i ? 5 : 4};
        guard.owners6[i] = (uint64_t)i << 48 | vsw_guard_mac(mine);
    }
    for (uint16_t vid = 0; vid < 5; vid++) {
        f.src = vsw_fdb_key(vid, mine);
        assert(vsw_guard_is_ip6(&guard, &f, source) == (vid >= 1 && vid <= 3));
    }
    f.src = vsw_fdb_key(2, mine);
    frame[11] = 9;
    assert(!vsw_guard_is_ip6(&guard, &f, source));

    frame[22] = 0xFE;
    frame[23] = 0xBF;
    assert(!vsw_guard_is_ip6(&guard, &f, source));
    guard.checks |= VSW_GUARD_LINK_LOCAL;
    assert(vsw_guard_is_ip6(&guard, &f, source));
    frame[23] = 0xC0;
    assert(!vsw_guard_is_ip6(&guard, &f, source));
    guard.leases6.n = 0;
}

static uint32_t make_dhcp(uint8_t *bytes, uint8_t to)
{
    static const uint8_t head[] = {8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64, 17};

    memset(bytes, 0, 100);
    memcpy(bytes + 6, mine, 6);
    memcpy(bytes + 12, head, sizeof(head));
    bytes[37] = to;
    return 74;
}

static void dhcp_is_copied_and_goes_on(void)
{
    uint8_t bytes[100];
    struct vsw_record *record;

    assert(admits(bytes, make_dhcp(bytes, 67), VSW_GUARD_COPIES));
    record = vsw_ring_peek(&poller->punt);
    assert(record && record->port == (3 | VSW_GUARD_COPY) && record->len == 74);
    assert(!memcmp(record->data, bytes, 74));
    assert(admits(bytes, make_dhcp(bytes, 53), VSW_GUARD_COPIES));
    assert(!vsw_ring_peek(&poller->punt));
    assert(!admits(bytes, make_dhcp(bytes, 68), VSW_GUARD_COPIES | VSW_GUARD_SERVERS));
    assert(!vsw_ring_peek(&poller->punt));
    vsw_ring_done(&poller->punt);
}

static void what_the_control_plane_has_no_room_for_goes_on_and_is_counted(void)
{
    uint8_t bytes[100];
    unsigned n = 0;

    guard.missed = 0;
    while (!guard.missed) {
        assert(admits(bytes, make_dhcp(bytes, 68), VSW_GUARD_COPIES));
        n++;
    }
    assert(n > 10 && guard.missed == 1);
}

static void so_much_a_second_is_copied(uint8_t checks, unsigned most, uint32_t from_s)
{
    uint8_t bytes[100];

    guard.missed = 0;
    for (poller->now_s = from_s; poller->now_s < from_s + 2; poller->now_s++)
        for (unsigned i = 0; i < most + 5; i++) {
            assert(admits(bytes, make_dhcp(bytes, 67), checks));
            if (vsw_ring_peek(&poller->punt))
                vsw_ring_done(&poller->punt);
        }
    assert(guard.missed == 10);
}

static void of_what_clients_and_servers_say_so_much_a_second_is_copied(void)
{
    so_much_a_second_is_copied(VSW_GUARD_COPIES | VSW_GUARD_SERVERS, VSW_GUARD_COPIES_MAX, 7);
    so_much_a_second_is_copied(VSW_GUARD_COPIES, VSW_GUARD_ANSWERS_MAX, 17);
}

int main(void)
{
    poller = aligned_alloc(64, sizeof(*poller));
    assert(poller);
    memset(poller, 0, sizeof(*poller));
    poller->notify_fd = -1;
    poller->punt.size = 4096;
    poller->punt.memory = aligned_alloc(64, 4096);
    every_set_size_is_searched_right();
    the_end_of_extension_headers_is_found_or_refused();
    a_lease_of_ipv6_is_of_its_station_and_vlan();
    any_bytes_are_judged_within_their_bounds();
    dhcp_is_copied_and_goes_on();
    of_what_clients_and_servers_say_so_much_a_second_is_copied();
    what_the_control_plane_has_no_room_for_goes_on_and_is_counted();
    free(poller->punt.memory);
    free(poller);
    return 0;
}
