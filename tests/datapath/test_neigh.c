/* The table of neighbours knows what was set and nothing else, full or not, wherever entries come to
 * lie; questions of any bytes are read within their bounds. */
#undef NDEBUG
#include "datapath/suppress.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 20000, ROUNDS = 400000, ROOM = 64, LEN_MAX = 160, FRAMES = 300000 };

static struct vsw_neighs table;
static bool known[KEYS];

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static void make_table(void)
{
    free(table.place);
    memset(&table, 0, sizeof(table));
    table.place = calloc(VSW_NEIGH_PLACES, sizeof(struct vsw_neigh));
    assert(table.place);
    table.salt[0] = next_random();
    table.salt[1] = next_random();
    memset(known, 0, sizeof(known));
}

/* One of many neighbours, of both versions and some VLANs. */
static struct vsw_neigh numbered(uint32_t number)
{
    uint8_t ip[16] = {0};
    struct vsw_neigh n;

    vsw_put_be32(ip, number / 4);
    n = vsw_neigh_made(number % 2 ? 7 : 0, ip, number % 4 < 2 ? 4 : 16);
    vsw_put_be32(n.mac, number);
    return n;
}

static void holds(uint32_t number)
{
    struct vsw_neigh n = numbered(number);
    const struct vsw_neigh *found = vsw_neigh_find(&table, n.vid, n.ip, n.ip_len);

    assert(known[number] == (found != NULL));
    assert(!found || memcmp(found, &n, sizeof(n)) == 0);
}

static void what_was_set_is_found_and_nothing_else(void)
{
    uint32_t entries = 0;

    make_table();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t number = (uint32_t)(next_random() % KEYS);
        struct vsw_neigh n = numbered(number);

        if (next_random() % 16 < (i < ROUNDS / 2 ? 12 : 4)) { /* it fills up, and empties */
            int result = vsw_neigh_set(&table, &n);

            assert(result == (known[number] || entries < VSW_NEIGH_LIMIT ? 0 : -ENOSPC));
            entries += !known[number] && !result;
            known[number] |= !result;
        } else {
            assert(vsw_neigh_unset(&table, &n) == known[number]);
            entries -= known[number];
            known[number] = false;
        }
        assert(table.entries == entries);
        holds((uint32_t)(next_random() % KEYS));
        if (i == ROUNDS / 2)
            assert(entries > VSW_NEIGH_LIMIT / 10 * 9);
    }
    for (uint32_t number = 0; number < KEYS; number++)
        holds(number);
}

static void a_run_has_an_end(void)
{
    struct vsw_neigh same[VSW_NEIGH_REACH + 1];
    uint32_t n = 0;

    make_table();
    /* The last place there is: the run goes on at the first. */
    for (uint32_t i = 0; n <= VSW_NEIGH_REACH; i++) {
        struct vsw_neigh one = numbered(i);

        if (vsw_neigh_home(&table, &one) == VSW_NEIGH_PLACES - 1)
            same[n++] = one;
    }
    for (n = 0; n < VSW_NEIGH_REACH; n++)
        assert(vsw_neigh_set(&table, &same[n]) == 0);
    assert(vsw_neigh_set(&table, &same[n]) == -ENOSPC);
    assert(!vsw_neigh_find(&table, same[n].vid, same[n].ip, same[n].ip_len));
    assert(!vsw_neigh_unset(&table, &same[n]));
    assert(vsw_neigh_unset(&table, &same[0]));
    assert(vsw_neigh_set(&table, &same[n]) == 0);
    assert(table.entries == VSW_NEIGH_REACH && table.place[VSW_NEIGH_PLACES - 1].ip_len);
    for (n = 1; n <= VSW_NEIGH_REACH; n++)
        assert(vsw_neigh_find(&table, same[n].vid, same[n].ip, same[n].ip_len));
    for (n = 1; n <= VSW_NEIGH_REACH; n++)
        assert(vsw_neigh_unset(&table, &same[n]));
    for (n = 0; n < VSW_NEIGH_PLACES; n++)
        assert(!table.place[n].ip_len);
}

static void an_address_of_ip4_is_none_of_ip6(void)
{
    uint8_t ip[16] = {192, 0, 2, 1};
    struct vsw_neigh n = vsw_neigh_made(0, ip, 4);

    make_table();
    assert(vsw_neigh_set(&table, &n) == 0);
    assert(vsw_neigh_find(&table, 0, ip, 4));
    assert(!vsw_neigh_find(&table, 0, ip, 16));
    assert(!vsw_neigh_find(&table, 1, ip, 4));
}

static void a_question_is_read_within_its_bounds(void)
{
    static const uint8_t arp[] = {0, 1, 8, 0, 6, 4, 0, 1};
    static const uint8_t nd[] = {0x60, 0, 0, 0, 0, 40, 58, 255};
    uint32_t asked = 0;

    for (uint32_t i = 0; i < FRAMES; i++) {
        uint32_t tag = i % 3 ? 0 : 4, at = VSW_ETH_LEN + tag;
        uint32_t len = at + (uint32_t)(next_random() % (LEN_MAX - at));
        bool is_arp = i % 2;
        uint8_t bytes[LEN_MAX] = {0}, *memory = malloc(ROOM + len);
        struct vsw_frame f = {.data = memory + ROOM, .len = len, .tagged = tag != 0};
        struct vsw_asked q;

        assert(memory);
        for (uint32_t k = at; k < LEN_MAX; k++)
            bytes[k] = next_random() % 3 ? (uint8_t)(next_random() % 3) : (uint8_t)next_random();
        memcpy(bytes + at, is_arp ? arp : nd, 8);
        bytes[0] = 0xFF;
        vsw_put_be16(bytes + at - 2, is_arp ? VSW_TYPE_ARP : VSW_TYPE_IP6);
        bytes[at + VSW_IP6_LEN] = is_arp ? 1 : VSW_ND_SOLICIT;
        if (!is_arp) {
            bytes[at + VSW_IP6_LEN + 1] = 0;
            bytes[at + 5] = (uint8_t)(24 + next_random() % 64);
        }
        memcpy(memory + ROOM, bytes, len);
        q = vsw_asked_of(&f);
        if (q.asks == VSW_ASKS_NEIGHBOUR) {
            const uint8_t *end = f.data + len;

            asked++;
            assert(q.ip_len == (is_arp ? 4 : 16));
            assert(q.ip > f.data && q.ip + q.ip_len <= end);
            assert(q.from > f.data && q.from + q.ip_len <= end);
            assert(q.mac > f.data && q.mac + 6 <= end && vsw_is_station(q.mac));
        }
        free(memory);
    }
    assert(asked > FRAMES / 20);
}

int main(void)
{
    what_was_set_is_found_and_nothing_else();
    a_run_has_an_end();
    an_address_of_ip4_is_none_of_ip6();
    a_question_is_read_within_its_bounds();
    free(table.place);
    return 0;
}
