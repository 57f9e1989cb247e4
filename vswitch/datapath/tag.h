/* tag.h - a VLAN tag that the kernel took out of a frame, put back.
 *
 * A receiving kernel strips the outer tag into the frame's metadata (skb_vlan_untag()) before a
 * packet socket sees the frame, whether there are VLAN devices or not.  Frame and virtio-net
 * header come without it, the header's offsets too; here both become what was sent.
 */
#ifndef VSW_TAG_H
#define VSW_TAG_H

#include "datapath/frame.h"
#include "datapath/vnet.h"

#include <stdint.h>
#include <string.h>

#define VSW_TAG_LEN 4 /* TPID and TCI (IEEE 802.1Q 9.3) */
#define VSW_TAG_AT 12 /* behind the addresses */

static inline void vsw_tag_shift_le16(uint8_t *p)
{
    uint16_t v = (uint16_t)(vsw_le16(p) + VSW_TAG_LEN);

    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

/* Put the tag @tpid, @tci into the frame at @data, whose addresses are there; its virtio-net
 * header lies in front, and before that are VSW_TAG_LEN free bytes.  Returns where the frame
 * starts now: so much earlier, with its header in front again. */
static inline uint8_t *vsw_tag_put_back(uint8_t *data, uint16_t tpid, uint16_t tci)
{
    uint8_t *header = data - VSW_TAG_LEN - VSW_VNET_LEN;

    memmove(header, data - VSW_VNET_LEN, VSW_VNET_LEN + VSW_TAG_AT);
    data -= VSW_TAG_LEN;
    vsw_put_be16(data + VSW_TAG_AT, tpid);
    vsw_put_be16(data + VSW_TAG_AT + 2, tci);
    if (header[VSW_VNET_FLAGS] & VSW_VNET_NEEDS_CSUM)
        vsw_tag_shift_le16(header + VSW_VNET_CSUM_START);
    if (vsw_le16(header + VSW_VNET_HDR_LEN))
        vsw_tag_shift_le16(header + VSW_VNET_HDR_LEN);
    return data;
}

#endif
