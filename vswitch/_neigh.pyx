"""Who has which IP address, told to the datapath (``datapath/neigh.h``).

All functions but `neighbour_counters` are *parked*: to be called only while no poller is between
two gates.
"""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from vswitch._fastpath cimport Datapath
from vswitch.datapath.frame cimport VSW_BURST
from vswitch.datapath.neigh cimport *
from vswitch.datapath.suppress cimport VSW_ANSWER_SIZE

NEIGH_LIMIT = VSW_NEIGH_LIMIT

cdef enum:
    VID_MAX = 4094


def set_neighbour(Datapath dp not None, neighbour):
    """Know *neighbour*, a `Neighbour`, instead of what was known of its address.

    Returns False if there is no room for it.

    Raises:
        ValueError: it is none.
    """
    cdef vsw_neigh n = _made(neighbour)
    mac = <bytes>neighbour.mac
    if len(mac) != 6:
        raise ValueError(f"a station's address has 6 bytes, not {len(mac)}")
    memcpy(n.mac, <const char *>mac, 6)
    n.router = neighbour.router
    return vsw_neigh_set(_table_of(dp), &n) == 0


def unset_neighbour(Datapath dp not None, neighbour):
    """Forget who has the address of *neighbour*; whether it was known."""
    cdef vsw_neigh n = _made(neighbour)
    if dp._poller[0].neighs is NULL:
        return False
    return vsw_neigh_unset(_table_of(dp), &n)


cdef vsw_neigh _made(neighbour) except *:
    ip = <bytes>neighbour.ip
    if len(ip) not in (4, 16):
        raise ValueError(f"an IP address has 4 or 16 bytes, not {len(ip)}")
    if not 0 <= neighbour.vid <= VID_MAX:
        raise ValueError(f"vid must be in 0..{VID_MAX}, not {neighbour.vid}")
    return vsw_neigh_made(neighbour.vid, <const uint8_t *><const char *>ip, <uint8_t>len(ip))


cdef vsw_neighs *_table_of(Datapath dp) except NULL:
    # Once, with the first neighbour, and then for good.
    cdef vsw_neighs *t
    cdef uint8_t *answers
    cdef unsigned i
    if dp._poller[0].neighs is NULL:
        t = <vsw_neighs *>dp._allocate(sizeof(vsw_neighs), "neigh")
        t.place = <vsw_neigh *>dp._allocate(VSW_NEIGH_PLACES * sizeof(vsw_neigh), "neigh")
        t.salt = dp._fdb.salt
        for i in range(dp._n_pollers):
            answers = <uint8_t *>dp._allocate(VSW_BURST * VSW_ANSWER_SIZE, "neigh")
            dp._poller[i].answers = answers
        for i in range(dp._n_pollers):
            dp._poller[i].neighs = t
    return <vsw_neighs *>dp._poller[0].neighs


def neighbour_counters(Datapath dp not None):
    """Questions answered so far, and frames not sent to ports with neigh_suppress."""
    cdef uint64_t answered = 0, suppressed = 0
    cdef unsigned i
    for i in range(dp._n_pollers):
        answered += dp._poller[i].answered
        suppressed += dp._poller[i].suppressed
    return answered, suppressed
