"""The system calls a running switch makes, and a filter that refuses all others (seccomp(2)).

A list of what is allowed, not of what is forbidden: what the kernel learns next year is not
allowed either. What is refused fails with EPERM, and the kernel notes it in its log where that is
asked for (CTL_LOG); the process goes on.

    what is refused           because
    execve, fork              a switch starts no program
    setns, unshare, mount     devices in other namespaces are asked for by netlink
    ptrace, process_vm_*      it looks into nobody
    bpf, keyctl, *_module, …  the parts of the kernel where its mistakes are
    socket of other families  the same; once locked, netlink and packet sockets as well
"""

from __future__ import annotations

import errno
import os
import platform
import socket
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol

from vswitch.errors import ConfigError

_FILES = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek close
    open openat stat fstat lstat newfstatat statx access faccessat readlink readlinkat
    getdents getdents64 getcwd statfs fstatfs fcntl flock ioctl dup dup2 dup3 pipe pipe2
    ftruncate fallocate fadvise64 fsync fdatasync sendfile copy_file_range umask
    mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2
    chmod fchmod fchmodat chown fchown lchown fchownat
"""
_MEMORY = "mmap munmap mremap mprotect madvise msync brk membarrier memfd_create"
_THREADS = """
    futex set_robust_list get_robust_list rseq gettid sched_yield sched_getaffinity
    sched_setaffinity getcpu exit exit_group
"""
_SIGNALS = """
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending rt_sigsuspend
    sigaltstack signalfd4 restart_syscall
"""
_WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait poll ppoll select pselect6
    eventfd2 timerfd_create timerfd_settime timerfd_gettime
    clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times
"""
_CALLS = "io_setup io_submit io_getevents io_destroy io_cancel"  # datapath/call.h
_SOCKETS = """
    socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt
    setsockopt sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
"""
_FACTS = """
    getpid getppid getuid geteuid getgid getegid getgroups getresuid getresgid getrlimit
    getrusage uname sysinfo getrandom capget
"""
ALLOWED = " ".join(
    (_FILES, _MEMORY, _THREADS, _SIGNALS, _WAITING, _CALLS, _SOCKETS, _FACTS)
).split()

FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
FAMILIES_OF_DEVICES = (socket.AF_NETLINK, socket.AF_PACKET)

# <linux/prctl.h>: the names of threads, and of the C library's memory.
PRCTLS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA
# <linux/sched.h>: a thread of ours, and in no namespace but ours (cgroup, uts, ipc, user, pid,
# net, mount, time).
CLONE_THREAD = 0x00010000
CLONE_NEW = 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
CLONE_NEW |= 0x00020000 | 0x00000080

# From io_uring on, Linux 5.1, a call has the same number everywhere (asm-generic/unistd.h). None
# of those is needed: each C library that knows one knows how to go without, if the kernel does not
# know it, and EPERM would not tell it that. So clone3, too, whose flags no filter can see.
NEWER = range(425, 512)


def available() -> ModuleType:
    """The binding.

    Raises:
        ConfigError: it is not there, or the library below it is not.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError) as e:  # RuntimeError: without libseccomp.so.2
        lacks = "pyseccomp" if isinstance(e, ImportError) else "libseccomp"
        raise ConfigError(
            f"{lacks} is not installed, which restricts system calls",
            hint="pip install 'vswitch[seccomp]', and Debian's libseccomp2; or --seccomp off",
        ) from e
    module: ModuleType = pyseccomp
    return module


class Filter(Protocol):
    """System calls that are allowed."""

    def load(self) -> None:
        """Refuse all others, in every thread of this process, for ever.

        Raises:
            OSError: the kernel refused; nothing is restricted.
        """


def made(*, devices: bool) -> Filter:
    """The filter of a switch, not yet in force.

    Args:
        devices: Devices may be added: it takes netlink and packet sockets.

    Raises:
        ConfigError: there is no binding.
        OSError: the library refused a rule.
    """
    lib = available()
    rules = lib.SyscallFilter(lib.ERRNO(errno.EPERM))
    rules.set_attr(lib.Attr.CTL_TSYNC, 1)
    with suppress(OSError):  # before Linux 4.14
        rules.set_attr(lib.Attr.CTL_LOG, 1)
    for name in ALLOWED:
        _allow(lib, rules, name)
    families = FAMILIES + (FAMILIES_OF_DEVICES if devices else ())
    for family in families:
        _allow(lib, rules, "socket", lib.Arg(0, lib.EQ, family))
    for option in PRCTLS:
        _allow(lib, rules, "prctl", lib.Arg(0, lib.EQ, option))
    _allow(lib, rules, "prlimit64", lib.Arg(0, lib.EQ, 0))  # our own
    _allow(lib, rules, "tgkill", lib.Arg(0, lib.EQ, os.getpid()))  # as abort(3)
    flags = 1 if platform.machine().startswith("s390") else 0  # clone(2): which argument they are
    mask = CLONE_THREAD | CLONE_NEW
    _allow(lib, rules, "clone", lib.Arg(flags, lib.MASKED_EQ, mask, CLONE_THREAD))
    for number in NEWER:
        rules.add_rule(lib.ERRNO(errno.ENOSYS), number)
    done: Filter = rules
    return done


def _allow(lib: ModuleType, rules: Any, name: str, *arguments: Any) -> None:
    number = lib.resolve_syscall(lib.Arch.NATIVE, name)
    if number >= 0:  # newer architectures have no open, only openat
        rules.add_rule(lib.ALLOW, number, *arguments)
