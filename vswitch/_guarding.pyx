"""What the control plane sets of a port's guard (``datapath/guard.h``)."""
from libc.stdint cimport uint32_t

from vswitch._fastpath cimport Datapath
from vswitch._policy cimport policy_of
from vswitch.datapath.guard cimport *
from vswitch.datapath.port cimport *
from vswitch.datapath.rules cimport *

COPY = VSW_GUARD_COPY  # in the port number of a punted record: it is a copy


def set_guard(Datapath dp not None, unsigned port, guard):
    """Let in at *port* what *guard*, a `PortGuard`, does.  *Parked.*

    Raises ValueError for more than VSW_GUARD_MAX addresses of a kind; nothing was changed.
    """
    cdef vsw_port *p = dp._port_at(port)
    cdef vsw_guard *g
    macs = [(0, _number(mac)) for mac in guard.macs]
    ip4 = [(0, _number(ip)) for ip in guard.ips_of(4)]
    ip6 = [(_number(ip[:8]), _number(ip[8:])) for ip in guard.ips_of(16)]
    leases = [(_who(one), _number(one.ip)) for one in guard.leases_of(4)]
    leases6 = sorted((_number(one.ip), _who(one)) for one in guard.leases_of(16))
    for items in (macs, ip4, ip6, leases, leases6):
        if len(items) > VSW_GUARD_MAX:
            raise ValueError(f"a guard has {VSW_GUARD_MAX} addresses of a kind, not {len(items)}")
    if guard or (p.policy is not NULL and p.policy.guard is not NULL):
        g = _guard_of(dp, port)
        g.checks = _checks(guard)
        _fill(&g.macs, macs)
        _fill(&g.ip4, ip4)
        _fill(&g.ip6, ip6)
        _fill(&g.leases, leases)
        _fill(&g.leases6, [(ip >> 64, ip & 0xFFFF_FFFF_FFFF_FFFF) for ip, _ in leases6])
        for i, (_, who) in enumerate(leases6):
            g.owners6[i] = who
    p.rules = (p.rules & ~VSW_GUARDED_IN) | (VSW_GUARDED_IN if guard else 0)
    dp._list_flood()


cdef vsw_guard *_guard_of(Datapath dp, unsigned port) except NULL:
    # Once per port, and freed with it.
    cdef vsw_policy *policy = policy_of(dp, port)
    if policy.guard is NULL:
        policy.guard = dp._allocate(sizeof(vsw_guard), (port, "guard"))
    return <vsw_guard *>policy.guard


def _number(octets):
    return int.from_bytes(octets, "big")


def _who(lease):
    return lease.vid << 48 | _number(lease.mac)


cdef int _checks(guard) except -1:
    cdef int checks = 0
    checks |= VSW_GUARD_MACS if guard.macs else 0
    checks |= VSW_GUARD_IP4 if guard.check_ip4 else 0
    checks |= VSW_GUARD_IP6 if guard.check_ip6 else 0
    checks |= 0 if guard.servers else VSW_GUARD_SERVERS
    checks |= 0 if guard.routers else VSW_GUARD_ROUTERS
    checks |= VSW_GUARD_COPIES if guard.copies else 0
    checks |= VSW_GUARD_HOLDS if guard.holds else 0
    checks |= VSW_GUARD_LINK_LOCAL if guard.link_locals else 0
    return checks


cdef int _fill(vsw_guard_set *to, items) except -1:
    cdef unsigned i
    items = sorted(items)
    for i in range(<unsigned>len(items)):
        to.item[i].high, to.item[i].low = items[i]
    to.n = <uint32_t>len(items)
    return 0


def missed(Datapath dp not None, unsigned port):
    """Copies from *port* that were lost, as the control plane did not keep up."""
    cdef vsw_policy *policy = dp._port_at(port).policy
    if policy is NULL or policy.guard is NULL:
        return 0
    return (<vsw_guard *>policy.guard).missed
