"""The limits of a systemd service without systemd: system calls, capabilities, memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# PR_SET_MDWE and PR_MDWE_REFUSE_EXEC_GAIN of <linux/prctl.h> do what MemoryDenyWriteExecute= does.
_CONFINE = """
import ctypes, errno, os, sys
import pyseccomp as seccomp
calls, command = sys.argv[1].split(","), sys.argv[2:]
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0
allowed = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
for call in calls:
    if seccomp.resolve_syscall(seccomp.Arch.NATIVE, call) >= 0:
        allowed.add_rule(seccomp.ALLOW, call)
allowed.load()
os.execvp(command[0], command)
"""


def confined(service: Path) -> list[str]:
    """What to put before a command that is to run with the limits of the unit file *service*."""
    lines = _lines(service)
    calls = allowed(service)
    kept = next(value for name, _, value in lines if name == "CapabilityBoundingSet")
    bounding = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in kept.split())
    return [
        *("setpriv", f"--bounding-set=-all,{bounding}", f"--inh-caps=-all,{bounding}"),
        *("--no-new-privs", sys.executable, "-c", _CONFINE, ",".join(sorted(calls))),
    ]


def allowed(service: Path) -> set[str]:
    """The system calls that a unit file lets its service make."""
    lines = _lines(service)
    filters = [value for name, _, value in lines if name == "SystemCallFilter"]
    calls: set[str] = set()
    for value in filters:  # each adds to those before, or takes from them
        named = _expanded(value.removeprefix("~"))
        calls = calls - named if value.startswith("~") else calls | named
    return calls


def _lines(service: Path) -> list[tuple[str, str, str]]:
    return [line.partition("=") for line in service.read_text().splitlines()]


def _expanded(words: str) -> set[str]:
    """The system calls of *words*: names, and groups, which may have groups."""
    groups = [word for word in words.split() if word.startswith("@")]
    found = set(words.split()) - {*groups}
    if not groups:
        return found
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", *groups],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        word = line.strip()
        if line.startswith(" ") and word.startswith("@"):
            found |= _expanded(word)
        elif line.startswith(" ") and not word.startswith("#"):
            found.add(word)
    return found
