/* tag.h - a VLAN tag (IEEE 802.1Q-2018 9.3) put into a frame, and taken out, in place.
 *
 * The addresses and the virtio-net header in front of them move by VSW_TAG_LEN bytes; nothing behind
 * does, however long the frame is.  What counts from the start of the frame moves with it: where its
 * checksum starts, and how long its headers are said to be.  Of a super-frame every segment has the
 * tag then, since segmentation repeats the headers.
 *
 * A receiving kernel strips the outer tag into the frame's metadata (skb_vlan_untag()) before a
 * packet socket sees the frame, whether there are VLAN devices or not: there a tag is put back.
 */
#ifndef VSW_TAG_H
#define VSW_TAG_H

#include "datapath/frame.h"
#include "datapath/vnet.h"

#include <stdint.h>
#include <string.h>

#define VSW_TAG_LEN 4 /* TPID and TCI (IEEE 802.1Q 9.3) */
#define VSW_TAG_AT 12 /* behind the addresses */

static inline void vsw_tag_shift_le16(uint8_t *p, int by)
{
    uint16_t v = (uint16_t)(vsw_le16(p) + by);

    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* Let what the virtio-net header says of the frame behind it be true of one that is @by bytes longer
 * at its start. */
static inline void vsw_tag_shift_header(uint8_t *header, int by)
{
    if (header[VSW_VNET_FLAGS] & VSW_VNET_NEEDS_CSUM)
        vsw_tag_shift_le16(header + VSW_VNET_CSUM_START, by);
    if (vsw_le16(header + VSW_VNET_HDR_LEN))
        vsw_tag_shift_le16(header + VSW_VNET_HDR_LEN, by);
}

/* Move the addresses at @data, with the virtio-net header in front of them, by @by bytes.  In registers:
 * memmove() is called for so few. */
static inline uint8_t *vsw_tag_shift(uint8_t *data, int by)
{
    uint8_t kept[VSW_VNET_LEN + VSW_TAG_AT];

    memcpy(kept, data - VSW_VNET_LEN, sizeof(kept));
    memcpy(data + by - VSW_VNET_LEN, kept, sizeof(kept));
    return data + by;
}

/* Put the tag @tpid, @tci into the frame at @data, whose addresses are there; its virtio-net
 * header lies in front, and before that are VSW_TAG_LEN free bytes.  Returns where the frame
 * starts now: so much earlier, with its header in front again. */
static inline uint8_t *vsw_tag_put_back(uint8_t *data, uint16_t tpid, uint16_t tci)
{
    data = vsw_tag_shift(data, -VSW_TAG_LEN);
    vsw_put_be16(data + VSW_TAG_AT, tpid);
    vsw_put_be16(data + VSW_TAG_AT + 2, tci);
    vsw_tag_shift_header(data - VSW_VNET_LEN, VSW_TAG_LEN);
    return data;
}

/* Take the tag out of the frame at @data, which has one; its checksum does not start before its end.
 * Returns where the frame starts now: so much later, with its header in front. */
static inline uint8_t *vsw_tag_take_out(uint8_t *data)
{
    data = vsw_tag_shift(data, VSW_TAG_LEN);
    vsw_tag_shift_header(data - VSW_VNET_LEN, -VSW_TAG_LEN);
    return data;
}

#endif
