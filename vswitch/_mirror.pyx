"""What is mirrored, told to the datapath (``datapath/mirror.h``)."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from vswitch._fastpath cimport Datapath
from vswitch._policy cimport policy_of
from vswitch.datapath.mirror cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.rules cimport *

from vswitch.mirrors import check_apart

MIRRORS_MAX = VSW_MIRRORS_MAX


def set_mirrors(Datapath dp not None, mirrors):
    """Mirror what *mirrors*, `Mirrored` each, say, and nothing else.  *Parked.*

    A port that is removed is first taken out of them.

    Raises:
        ValueError: there are more than MIRRORS_MAX, one is of a port that there is not, or looks at
            the target of one.
    """
    cdef unsigned i
    cdef vsw_mirror_to *all
    if len(mirrors) > <unsigned>VSW_MIRRORS_MAX:
        raise ValueError(f"a switch has 0..{VSW_MIRRORS_MAX} mirrors, not {len(mirrors)}")
    for mirror in mirrors:
        for port in (mirror.target, *mirror.into, *mirror.out):
            dp._port_at(port)
    check_apart(mirrors)
    for i in range(dp._ports_end):
        dp._port[i].rules &= <unsigned>~(VSW_MIRRORED | VSW_ASIDE)
    dp._memory.pop("mirrors", None)
    if mirrors:
        all = <vsw_mirror_to *>dp._allocate(len(mirrors) * sizeof(vsw_mirror_to), "mirrors")
        for i, mirror in enumerate(mirrors):
            _set_target(dp, &all[i], mirror, mirrors)
        for port in {port for mirror in mirrors for port in (*mirror.into, *mirror.out)}:
            _set_source(dp, port, all, mirrors)
    dp._list_flood()


cdef int _set_target(Datapath dp, vsw_mirror_to *to, mirror, mirrors) except -1:
    cdef uint64_t *vids
    cdef vsw_port *target = dp._port_at(mirror.target)
    target.rules |= VSW_ASIDE
    to.to = target
    to.same = _bits(other.target == mirror.target for other in mirrors)
    if mirror.vids is not None:
        vids = <uint64_t *>dp._allocate(<size_t>VSW_VIDS // 8, "mirrors")
        _copy_set(vids, mirror.vids.bitmap())
        to.vids = vids
    return 0


cdef void _copy_set(uint64_t *to, bytes bitmap):
    memcpy(to, <const char *>bitmap, VSW_VIDS // 8)


cdef int _set_source(Datapath dp, unsigned port, vsw_mirror_to *all, mirrors) except -1:
    owner = (port, "mirror")
    cdef vsw_mirror *its
    dp._memory.pop(owner, None)
    its = <vsw_mirror *>dp._allocate(sizeof(vsw_mirror), owner)
    its.in_ = _bits(port in mirror.into for mirror in mirrors)
    its.out = _bits(port in mirror.out for mirror in mirrors)
    its.all = all
    policy_of(dp, port).mirror = its
    dp._port_at(port).rules |= VSW_MIRRORED
    return 0


cdef uint32_t _bits(which):
    return sum(<object>1 << i for i, wanted in enumerate(which) if wanted)
