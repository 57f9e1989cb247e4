/* A stripped VLAN tag comes back where it was, and the header's offsets move with the bytes. */
#undef NDEBUG
#include "datapath/tag.h"

#include <assert.h>
#include <string.h>

enum { ROOM = 16, LEN = 60 };

static uint8_t memory[ROOM + LEN];

/* A frame of rising bytes at memory + ROOM behind @header. */
static uint8_t *fresh(const uint8_t header[VSW_VNET_LEN])
{
    memset(memory, 0xee, ROOM);
    for (unsigned i = 0; i < LEN; i++)
        memory[ROOM + i] = (uint8_t)i;
    memcpy(memory + ROOM - VSW_VNET_LEN, header, VSW_VNET_LEN);
    return memory + ROOM;
}

static void the_tag_stands_behind_the_addresses(void)
{
    const uint8_t header[VSW_VNET_LEN] = {0};
    uint8_t *old = fresh(header), *new = vsw_tag_put_back(old, 0x88a8, 0x6123);
    const uint8_t tag[VSW_TAG_LEN] = {0x88, 0xa8, 0x61, 0x23};

    assert(new == old - VSW_TAG_LEN);
    for (unsigned i = 0; i < VSW_TAG_AT; i++)
        assert(new[i] == i);
    assert(!memcmp(new + VSW_TAG_AT, tag, sizeof(tag)));
    for (unsigned i = VSW_TAG_AT; i < LEN; i++)
        assert(new[i + VSW_TAG_LEN] == i);
    assert(memory[0] == 0xee && memory[1] == 0xee);
}

static void a_finished_frame_keeps_its_empty_header(void)
{
    const uint8_t header[VSW_VNET_LEN] = {2}; /* DATA_VALID says nothing about offsets */
    uint8_t *new = vsw_tag_put_back(fresh(header), 0x8100, 1);

    assert(!memcmp(new - VSW_VNET_LEN, header, VSW_VNET_LEN));
}

static void offsets_move_with_the_bytes_and_sizes_do_not(void)
{
    const uint8_t header[VSW_VNET_LEN] = {1, 1, 0xfe, 0, 0xb4, 5, 34, 0, 16, 0};
    const uint8_t moved[VSW_VNET_LEN] = {1, 1, 0x02, 1, 0xb4, 5, 38, 0, 16, 0};
    uint8_t *new = vsw_tag_put_back(fresh(header), 0x8100, 1);

    assert(!memcmp(new - VSW_VNET_LEN, moved, VSW_VNET_LEN));
}

int main(void)
{
    the_tag_stands_behind_the_addresses();
    a_finished_frame_keeps_its_empty_header();
    offsets_move_with_the_bytes_and_sizes_do_not();
    return 0;
}
