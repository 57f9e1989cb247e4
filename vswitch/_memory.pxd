# Layout of Memory, for the other compiled modules.
cdef class Memory:
    cdef void *at
    cdef size_t size
