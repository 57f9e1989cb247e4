/* drop.h - every reason a frame is not forwarded, once.
 *
 * Enum, names and help text come from one list, so a reason cannot exist without a name and
 * no tool can show one that nothing counts.  Counters are per poller and port; a discarded
 * frame increments exactly one of them: on the port it came from (received = forwarded +
 * dropped + punted), or, for a copy that was lost on its way out, on the port it was meant for.
 * RX_FULL are frames that were lost before we could read them, as far as the device tells: they
 * count as received, but nobody knows their bytes.
 */
#ifndef VSW_DROP_H
#define VSW_DROP_H

#include <stddef.h>

/*    name          where   what it means to a user */
#define VSW_DROP_REASONS(X)                                                                   \
    X(RUNT,         "rx",   "shorter than an Ethernet header, or longer than any frame")      \
    X(BAD_SOURCE,   "rx",   "the source address is a group address or zero")                  \
    X(BAD_OFFLOAD,  "rx",   "the virtio-net header does not fit the frame behind it")         \
    X(RESERVED,     "rx",   "sent to a link-local address 01-80-C2-00-00-0x (see --forward)") \
    X(VLAN,         "rx",   "not of a VLAN of the port it came from, or without a tag there")  \
    X(GUARDED,      "rx",   "its source, or what it says, may not enter here")                \
    X(POLICED,      "rx",   "beyond the rate that may enter here")                            \
    X(BLOCKED,      "rx",   "the port it came from is not forwarding")                        \
    X(HAIRPIN,      "rx",   "its station is behind the port it came from")                    \
    X(NO_EGRESS,    "rx",   "no other port may send it")                                      \
    X(SUPPRESSED,   "rx",   "a question about a neighbour, answered or for nobody (neigh-suppress)") \
    X(PUNT_FULL,    "rx",   "the control plane did not keep up")                              \
    X(RX_FULL,      "rx",   "the kernel had no room to keep it: the switch did not keep up")  \
    X(TX_FULL,      "tx",   "no room: a queue, or a disk, was full, or its shaper has ended") \
    X(TX_ERROR,     "tx",   "refused: the device is down or gone, or no peer is there")       \
    X(TOO_LONG,     "tx",   "longer than the port's MTU")                                     \
    X(TX_OFFLOAD,   "tx",   "segmentation for a port without offloads was not possible")

enum vsw_drop {
#define X(id, where, text) VSW_DROP_##id,
    VSW_DROP_REASONS(X)
#undef X
    VSW_DROP_N
};

struct vsw_drop_reason {
    const char *name;  /* of the enum, upper case */
    const char *where; /* "rx": counted where it came in; "tx": where it was to leave */
    const char *text;
};

/* The reason numbered @reason (0..VSW_DROP_N-1). */
static inline const struct vsw_drop_reason *vsw_drop_reason(size_t reason)
{
    static const struct vsw_drop_reason list[VSW_DROP_N] = {
#define X(id, where, text) {#id, where, text},
        VSW_DROP_REASONS(X)
#undef X
    };
    return &list[reason];
}

#endif
