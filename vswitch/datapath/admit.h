/* admit.h - what may enter: the one place where a stranger's bytes are judged.
 *
 * Everything behind relies on it: an admitted frame has 14 bytes or more, a unicast source,
 * and a virtio-net header that fits it.
 *
 * Reserved addresses 01-80-C2-00-00-00 to -0F (IEEE 802.1Q-2018 table 8-1) are not for
 * forwarding by a bridge.  What happens to each is configured; the default is the Linux
 * bridge's with STP off: BPDUs (00) pass, so that a loop through us can be seen by those who do
 * run STP; the others stay here.  Their source is learned all the same, pause frames (01)
 * excepted (br_handle_frame() in net/bridge/br_input.c).
 */
#ifndef VSW_ADMIT_H
#define VSW_ADMIT_H

#include "datapath/drop.h"
#include "datapath/frame.h"
#include "datapath/vnet.h"

enum vsw_verdict {
    VSW_FORWARD, /* decide by the forwarding database */
    VSW_DISCARD, /* learn the source, then drop as RESERVED */
    VSW_PUNT,    /* learn the source, then give it to the control plane */
};

#define VSW_ADMITTED VSW_DROP_N
#define VSW_PAUSE 1 /* 01-80-C2-00-00-01, IEEE 802.3 annex 31B */

static inline bool vsw_mac_is_reserved(const uint8_t *mac)
{
    static const uint8_t prefix[5] = {0x01, 0x80, 0xC2, 0, 0};

    return mac[0] == prefix[0] && memcmp(mac, prefix, sizeof(prefix)) == 0 && mac[5] < 16;
}

static inline bool vsw_mac_is_zero(const uint8_t *mac)
{
    static const uint8_t zero[6];

    return memcmp(mac, zero, sizeof(zero)) == 0;
}

/* Judge @f, of which only data, len and VSW_PIECES in needs are set.  Returns VSW_ADMITTED with tagged, needs and
 * verdict set, or the reason to drop it.  @reserved: enum vsw_verdict by last nibble. */
static inline enum vsw_drop vsw_admit(struct vsw_frame *f, const uint8_t *reserved)
{
    uint8_t pieces = f->needs;

    if (f->len < VSW_ETH_LEN || f->len > VSW_FRAME_MAX)
        return VSW_DROP_RUNT;
    if (vsw_mac_is_group(f->data + 6) || vsw_mac_is_zero(f->data + 6))
        return VSW_DROP_BAD_SOURCE;
    f->tagged = 0;
    f->priority = 0;
    if (vsw_vnet_check(f) < 0)
        return VSW_DROP_BAD_OFFLOAD;
    f->needs |= pieces;
    f->verdict = VSW_FORWARD;
    if (__builtin_expect(vsw_mac_is_reserved(f->data), 0)) {
        f->verdict = reserved[f->data[5]];
        if (f->data[5] == VSW_PAUSE && f->verdict == VSW_DISCARD)
            return VSW_DROP_RESERVED;
    }
    return VSW_ADMITTED;
}

#endif
