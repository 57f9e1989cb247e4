"""Virtual machines: Debian's kernel and a busybox in QEMU, driven by the shell on their console.

What they boot is made by ``tests/vms/image.sh``.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from support.command import NOBODY, ROOT

QEMU = "qemu-system-x86_64"
IMAGE = ROOT / "build" / "vm"
# Emulated, since not every machine has KVM. With rdrand the guest has random numbers at once. The
# card goes without its boot program, which is another package; and without MSI-X, upon which QEMU
# 7.2 dies when it is emulated and has a vhost-user back-end.
MACHINE = (
    QEMU, "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-m", "192", "-smp", "1", "-nodefaults",
    "-display", "none", "-no-reboot", "-serial", "stdio",
    "-global", "virtio-net-pci.romfile=", "-global", "virtio-net-pci.vectors=0",
    "-append", "console=ttyS0 quiet panic=-1",
)  # fmt: skip
PAGE_BYTES = 4096
BOOT_S = 60  # a quiet machine needs 5
STATUS = re.compile(r"vm: status (\d+)\n")


def lacking(initrd: str = "initrd.gz") -> str:
    """What there is not here and virtual machines with *initrd* need; empty if there is all."""
    if not shutil.which(QEMU):
        return f"needs {QEMU}"
    if not (IMAGE / initrd).exists():
        return f"needs build/vm/{initrd}, which tests/vms/image.sh makes"
    return ""


@dataclass(frozen=True, slots=True)
class Image:
    """What a virtual machine boots."""

    kernel: Path
    initrd: Path

    @classmethod
    def copied(cls, folder: Path) -> Image:
        """A copy in *folder*, for users who cannot read the checkout."""
        return cls(*(Path(shutil.copy(IMAGE / name, folder)) for name in ("vmlinuz", "initrd.gz")))


class Vm:
    """A virtual machine, from its power button on; `close` kills it.

    Args:
        image: What it boots.
        network: QEMU's words for its network card and what that is plugged into.
        before: What to put before the command, as `Netns.command` gives it.
        nobody: Run QEMU as an ordinary user.
    """

    def __init__(
        self, image: Image, network: Sequence[str], *, before: Sequence[str] = (),
        nobody: bool = False,
    ) -> None:  # fmt: skip
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if nobody else {}
        self._console = ""
        self._read_to = 0
        files = ("-kernel", str(image.kernel), "-initrd", str(image.initrd))
        self._process = subprocess.Popen(
            [*before, *MACHINE, *files, *network],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            **user,
        )  # fmt: skip

    def wait_until_up(self) -> None:
        """Wait for its shell."""
        self._wait_for(re.compile(r"vm: ready\n"), BOOT_S)

    def reboot(self) -> None:
        """Have it start again, and wait for its shell; needs ``-action reboot=reset``."""
        self._process.stdin.write(b"reboot -f\n")
        self.wait_until_up()

    def run(self, line: str, *, timeout_s: float = 30) -> str:
        """Run one line of shell; what it printed, AssertionError unless it succeeded."""
        self._process.stdin.write(line.encode() + b"\n")
        printed, status = self._wait_for(STATUS, timeout_s)
        assert status == "0", f"{line} ({status}): {printed}"
        return printed

    def memory(self) -> np.ndarray:
        """What it has, a row for each page of 4 KiB; needs a ``memory-backend-memfd``."""
        for fd in Path(f"/proc/{self._process.pid}/fd").iterdir():
            if fd.readlink().name.startswith("memfd:memory-backend-memfd"):
                return np.memmap(fd, np.uint8, "r").reshape(-1, PAGE_BYTES)
        raise AssertionError("this machine has no memfd")

    def close(self) -> None:
        """Pull the plug; a second call does nothing."""
        self._process.kill()
        self._process.wait(10)
        self._process.stdin.close()
        self._process.stdout.close()

    def _wait_for(self, pattern: re.Pattern[str], timeout_s: float) -> tuple[str, ...]:
        """What the console said before *pattern*, and the groups of that."""
        deadline = time.monotonic() + timeout_s
        while not (found := pattern.search(self._console, self._read_to)):
            self._read(pattern, deadline)
        before = self._console[self._read_to : found.start()]
        self._read_to = found.end()
        return before, *found.groups()

    def _read(self, pattern: re.Pattern[str], deadline: float) -> None:
        output = self._process.stdout.fileno()
        ready, _, _ = select.select([output], [], [], max(0, deadline - time.monotonic()))
        more = os.read(output, 65536) if ready else b""
        reason = "QEMU ended" if ready else "not in time"
        assert more, f"{reason}: {pattern.pattern!r}; the console: {self._console[-2000:]}"
        self._console += more.decode(errors="replace").replace("\r\n", "\n")
