"""What this process may do to its host: capabilities(7), its user, and never more than that.

Capabilities belong to a thread, not to the process: capset(2) and prctl(2) reach only the one that
calls them, and those it starts afterwards. So this is done before any other thread is started
(`alone` says whether). The change of user goes through the C library, which does it in all.

The calls are made by ctypes. Python has no words for them, libcap has no binding that is looked
after, and a dependency for two functions of the C library would be the larger risk.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence, Set
from pathlib import Path

# <linux/capability.h>
CHOWN, DAC_OVERRIDE, FOWNER = 0, 1, 3
SETGID, SETUID, SETPCAP = 6, 7, 8
NET_BROADCAST, NET_ADMIN, NET_RAW = 11, 12, 13
_VERSION_3 = 0x20080522
_WORDS = 2  # of 32 bits

# <linux/prctl.h>
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4

_libc = ctypes.CDLL(None, use_errno=True)


def alone() -> bool:
    """Whether the calling thread is the only one of its process."""
    return len(os.listdir("/proc/self/task")) == 1


def held() -> frozenset[int]:
    """The capabilities the calling thread may use (its permitted set)."""
    return _set("CapPrm")


def bounding() -> frozenset[int]:
    """The capabilities that the calling thread, or a program it starts, could ever gain."""
    return _set("CapBnd")


def _set(name: str) -> frozenset[int]:
    status = Path("/proc/thread-self/status").read_text()
    bits = int(next(line for line in status.splitlines() if line.startswith(name)).split()[1], 16)
    return frozenset(number for number in range(32 * _WORDS) if bits >> number & 1)


def gain_nothing() -> None:
    """No program that is started from now on gets more than we have (PR_SET_NO_NEW_PRIVS)."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def limit(keep: Set[int]) -> None:
    """Give up every capability but *keep*, for good: none can be inherited or gained again.

    Raises:
        OSError: the kernel refused.
    """
    kept = held() & keep
    # Ambient ones go with the inheritable ones, but who reads this should not have to know that.
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _capset(effective=kept, permitted=kept)


def bound(keep: Set[int]) -> None:
    """Take all but *keep* out of the bounding set, which limits what any program can gain.

    Raises:
        OSError: there is something to take, which needs CAP_SETPCAP.
    """
    for number in bounding() - keep:
        _prctl(PR_CAPBSET_DROP, number)


def become(uid: int, gid: int, groups: Sequence[int]) -> None:
    """Be another user, and keep the permitted capabilities; the effective ones are gone.

    Raises:
        OSError: EPERM without CAP_SETUID and CAP_SETGID.
    """
    _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _prctl(PR_SET_KEEPCAPS, 0)


def _capset(*, effective: Set[int], permitted: Set[int]) -> None:
    words = []
    for shift in range(0, 32 * _WORDS, 32):
        words += [_bits(effective) >> shift & 0xFFFFFFFF, _bits(permitted) >> shift & 0xFFFFFFFF, 0]
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)  # of the calling thread
    _checked(_libc.capset(header, (ctypes.c_uint32 * len(words))(*words)))


def _bits(numbers: Set[int]) -> int:
    return sum(1 << number for number in numbers)


def _prctl(option: int, argument: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero))


def _checked(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
