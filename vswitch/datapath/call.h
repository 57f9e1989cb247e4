/* call.h - signal an eventfd that a stranger has, too, without ever waiting for him.
 *
 * write(2) to an eventfd whose counter is full waits until somebody reads it, unless O_NONBLOCK is
 * set; and that flag belongs to the open file, so whoever else has it may clear the flag and fill the
 * counter at any moment.  An eventfd takes no RWF_NOWAIT, and cannot be opened anew.  The kernel's own
 * signal never waits, a full counter stays full; it is had as the completion of an asynchronous
 * operation that has nothing to do (io_submit(2), IOCB_FLAG_RESFD), for one system call, as before.
 */
#ifndef VSW_CALL_H
#define VSW_CALL_H

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define VSW_CALLS_KEPT 64u /* completions, of which nobody wants to know; the kernel keeps some more */
#define VSW_CALL_TRIES 8u  /* others may take the places that were made free */

/* Written by the control plane; any number of threads may call. */
struct vsw_caller {
    aio_context_t context; /* 0: not open */
    int null_fd;           /* where nothing is read from */
};

/* Open a zeroed or an open one; 0 or -errno.  EAGAIN: the machine has no more (fs.aio-max-nr). */
static inline int vsw_caller_open(struct vsw_caller *c)
{
    int err;

    if (c->context)
        return 0;
    if (syscall(SYS_io_setup, VSW_CALLS_KEPT, &c->context) < 0)
        return -errno;
    c->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (c->null_fd >= 0)
        return 0;
    err = -errno;
    syscall(SYS_io_destroy, c->context);
    c->context = 0;
    return err;
}

static inline void vsw_caller_close(struct vsw_caller *c)
{
    if (!c->context)
        return;
    syscall(SYS_io_destroy, c->context);
    close(c->null_fd);
    c->context = 0;
}

/* Make room: forget what is complete, as all is that was submitted. */
static inline void vsw_caller_forget(const struct vsw_caller *c)
{
    struct io_event event[VSW_CALLS_KEPT];
    struct timespec now = {0};

    while (syscall(SYS_io_getevents, c->context, 0L, (long)VSW_CALLS_KEPT, event, &now) > 0)
        continue;
}

/* Signal eventfd @fd. */
static inline void vsw_call(const struct vsw_caller *c, int fd)
{
    struct iocb nothing = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)c->null_fd,
                           .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = (uint32_t)fd};
    struct iocb *one = &nothing;

    for (unsigned i = 0; i < VSW_CALL_TRIES; i++) {
        if (syscall(SYS_io_submit, c->context, 1L, &one) > 0 || errno != EAGAIN)
            return;
        vsw_caller_forget(c);
    }
}

#endif
