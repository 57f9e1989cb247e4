# What is set of few ports: found by way of one pointer, and made when it is first needed.
from vswitch._fastpath cimport Datapath
from vswitch.datapath.port cimport vsw_policy


cdef inline vsw_policy *policy_of(Datapath dp, unsigned port) except NULL:
    # Freed with its port, as all that (port, ...) owns.
    owner = (port, "policy")
    if owner not in dp._memory:
        dp._port_at(port).policy = <vsw_policy *>dp._allocate(sizeof(vsw_policy), owner)
    return dp._port_at(port).policy
