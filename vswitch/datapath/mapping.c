/* mapping.c - see mapping.h.  Called by one thread at a time; the handler by any. */
#include "datapath/mapping.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static struct vsw_mapping list[VSW_MAPPINGS_MAX];
static struct sigaction before; /* what a SIGBUS was to others */
static bool handled;

static bool mapping_has(const struct vsw_mapping *m, const uint8_t *at)
{
    const uint8_t *from = atomic_load_explicit(&m->at, memory_order_acquire);

    return from && at >= from && at < from + m->mapped;
}

/* Runs in whichever thread touched the memory; all it calls is a system call. */
static void mapping_lost(int number, siginfo_t *info, void *context)
{
    int error = errno;

    (void)context;
    for (struct vsw_mapping *m = list; m < list + VSW_MAPPINGS_MAX; m++) {
        if (info->si_code <= 0 || !mapping_has(m, info->si_addr))
            continue; /* somebody sent it, or it is about other memory */
        uint8_t *at = atomic_load_explicit(&m->at, memory_order_relaxed);
        if (mmap(at, m->mapped, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            break;
        atomic_store_explicit(&m->lost, true, memory_order_release);
        errno = error;
        return;
    }
    sigaction(number, &before, NULL); /* not ours: it happens again, to whom it concerns */
    if (info->si_code <= 0)
        raise(number); /* unless it was sent */
}

static void mapping_handle(void)
{
    struct sigaction action = {.sa_sigaction = mapping_lost, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
    handled = true;
}

/* Whether a page of @fd comes from the kernel alone: where another program provides it (FUSE), that
 * one could keep a poller waiting in a page fault for ever. */
static bool mapping_is_prompt(int fd)
{
    struct statfs fs;

    if (fstatfs(fd, &fs) < 0)
        return false;
    switch ((uint32_t)fs.f_type) {
    case TMPFS_MAGIC: /* memfd_create(2), too */
    case HUGETLBFS_MAGIC:
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
        return true;
    default:
        return false;
    }
}

struct vsw_mapping *vsw_mapping_open(int fd, size_t size, uint64_t offset)
{
    struct vsw_mapping *m = list;
    struct stat file;

    while (m < list + VSW_MAPPINGS_MAX && atomic_load_explicit(&m->at, memory_order_relaxed))
        m++;
    if (m == list + VSW_MAPPINGS_MAX) {
        errno = ENOSPC;
        return NULL;
    }
    if (fstat(fd, &file) < 0)
        return NULL;
    if (!mapping_is_prompt(fd)) {
        errno = EMEDIUMTYPE;
        return NULL;
    }
    if (size == 0 || offset > (uint64_t)file.st_size || size > (uint64_t)file.st_size - offset) {
        errno = EINVAL;
        return NULL;
    }
    /* Huge pages are unmapped as a whole; the size of one is what such a file has for st_blksize. */
    size_t page = (size_t)file.st_blksize, mapped = (size + page - 1) / page * page;
    uint8_t *at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                       (off_t)offset);
    if (at == MAP_FAILED)
        return NULL;
    if (!handled)
        mapping_handle();
    m->size = size;
    m->mapped = mapped;
    atomic_store_explicit(&m->lost, false, memory_order_relaxed);
    atomic_store_explicit(&m->at, at, memory_order_release);
    return m;
}

void vsw_mapping_close(struct vsw_mapping *m)
{
    uint8_t *at = atomic_exchange_explicit(&m->at, NULL, memory_order_acq_rel);

    munmap(at, m->mapped);
}
