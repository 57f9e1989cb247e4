"""DPDK's testpmd with virtio-user devices: network cards of a guest without the guest.

It polls, and never sleeps: a core is lost for as long as it runs. Its memory is ordinary; no huge
pages are needed.
"""

from __future__ import annotations

import itertools
import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

TESTPMD = "dpdk-testpmd"
EAL = (
    "stdbuf", "-oL", TESTPMD, "--no-huge", "--no-pci", "--no-telemetry", "-m", "128", "--lcores",
    "0@0,1@0", "--force-max-simd-bitwidth=512",
)  # fmt: skip
PROMPT = "testpmd> "
COUNTERS = re.compile(r"([RT]X-(?:packets|missed|errors|nombuf|bytes)): +(\d+)")
DEADLINE_S = 20

_serial = itertools.count()


def lacking() -> str:
    """What there is not here and testpmd needs; empty if there is all."""
    return "" if shutil.which(TESTPMD) else f"needs {TESTPMD}, of Debian's dpdk-dev"


def mac(port: int) -> str:
    """The address of testpmd's port number *port*."""
    return f"02:00:00:00:00:{port + 1:02x}"


class Testpmd:
    """One process with a virtio-user device for each of *devices*, as words of ``--vdev``.

    They have the addresses `mac`. *options* are testpmd's own. Its files go to *folder*. It is at
    its prompt.
    """

    __test__ = False  # for pytest

    def __init__(self, folder: Path, devices: Sequence[str], *options: str) -> None:
        vdevs = [
            f"--vdev=net_virtio_user{i},mac={mac(i)},{words}" for i, words in enumerate(devices)
        ]
        prefix = f"--file-prefix=vsw{os.getpid()}-{next(_serial)}"
        own = {"RUNTIME_DIRECTORY": str(folder)}
        self._process = subprocess.Popen(
            [*EAL, prefix, *vdevs, "--", "--total-num-mbufs=4096", "-i", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0,
            env=os.environ | own,
        )  # fmt: skip
        self.said = self._until_prompt()

    def run(self, *commands: str) -> str:
        """Have *commands* done one by one; what was printed."""
        said = ""
        for command in commands:
            self._process.stdin.write(command.encode() + b"\n")
            said += self._until_prompt()
        return said

    def counters(self, port: int) -> dict[str, int]:
        """Since the process started, by testpmd's names."""
        said = self.run(f"show port stats {port}")
        return {name: int(value) for name, value in COUNTERS.findall(said)}

    def close(self) -> None:
        """Have it shut its devices down, or else end it."""
        if self._process.poll() is None:
            try:
                self._process.communicate(b"quit\n", timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate(timeout=5)
        self._process.stdin.close()
        self._process.stdout.close()

    def _until_prompt(self) -> str:
        """What it prints until it waits for a command."""
        said, output = "", self._process.stdout.fileno()
        deadline = time.monotonic() + DEADLINE_S
        while not said.endswith(PROMPT):
            ready, _, _ = select.select([output], [], [], max(0, deadline - time.monotonic()))
            more = os.read(output, 65536).decode(errors="replace") if ready else ""
            assert more, f"testpmd {'ended' if ready else 'is not ready'}: {said}"
            said += more
        return said
