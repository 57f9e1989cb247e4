"""A descriptor that becomes readable at a time: timerfd_create(2), which Python has since 3.13."""

from __future__ import annotations

import ctypes
import os
import time

# <linux/timerfd.h>; the flags are those of open(2).
TFD_NONBLOCK, TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


def expired_timer() -> int:
    """A timer of CLOCK_MONOTONIC that is readable at once, as a non-blocking descriptor.

    Raises:
        OSError: the kernel refused.
    """
    fd = int(_libc.timerfd_create(time.CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC))
    if fd < 0 or _libc.timerfd_settime(fd, 0, ctypes.byref(_Itimerspec(0, 0, 0, 1)), None) < 0:
        code = ctypes.get_errno()
        if fd >= 0:
            os.close(fd)
        raise OSError(code, os.strerror(code))
    return fd
