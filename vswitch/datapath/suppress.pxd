# Declarations of suppress.h for cimport.
from vswitch.datapath.fdb cimport vsw_fdb
from vswitch.datapath.frame cimport vsw_frame
from vswitch.datapath.poller cimport vsw_poller
from vswitch.datapath.port cimport vsw_port


cdef extern from "datapath/suppress.h" nogil:
    enum:
        VSW_ANSWER_SIZE

    bint vsw_suppress(
        vsw_poller *p, vsw_fdb *t, const vsw_port *ports, const vsw_port *src, const vsw_frame *f
    )
