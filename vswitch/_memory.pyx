"""Memory that C works in and Python can look at."""
cimport cython
from cpython.buffer cimport PyBuffer_FillInfo


cdef extern from "<sys/mman.h>" nogil:
    enum:
        PROT_READ
        PROT_WRITE
        MAP_PRIVATE
        MAP_ANONYMOUS
        MADV_HUGEPAGE
    void *MAP_FAILED
    void *mmap(void *addr, size_t size, int prot, int flags, int fd, long offset)
    int munmap(void *addr, size_t size)
    int madvise(void *addr, size_t size, int advice)

cdef extern from "datapath/sanitize.h" nogil:
    enum:
        VSW_REDZONE
    void vsw_poison(void *at, size_t size)
    void vsw_unpoison(void *at, size_t size)

cdef enum:
    LARGE_BYTES = 1 << 21  # a huge page


@cython.final
cdef class Memory:
    """Zeroed pages that live as long as somebody looks at them; a writable buffer for Python."""

    def __cinit__(self, size_t size):
        cdef int protection = PROT_READ | PROT_WRITE
        cdef size_t mapped = size + VSW_REDZONE
        self.at = mmap(NULL, mapped, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if self.at == MAP_FAILED:
            self.at = NULL
            raise MemoryError(f"cannot allocate {size} bytes")
        self.size = size
        if size >= LARGE_BYTES:
            # Fewer TLB misses in a large table; where the kernel declines nothing else changes.
            madvise(self.at, size, MADV_HUGEPAGE)
        vsw_poison(<char *>self.at + size, VSW_REDZONE)

    def __dealloc__(self):
        if self.at is not NULL:
            vsw_unpoison(self.at, self.size + VSW_REDZONE)
            munmap(self.at, self.size + VSW_REDZONE)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.at, <Py_ssize_t>self.size, 0, flags)
