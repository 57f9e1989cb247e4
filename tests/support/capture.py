"""What tcpdump, which nobody here wrote, sees on an interface."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scapy.utils import RawPcapReader

from support.namespaces import Netns
from support.wait import wait_for


class Capture:
    """The frames of one interface, readable once the block of `capture` has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames: list[bytes] = []


@contextmanager
def capture(
    ns: Netns, path: Path, expression: str, *, device: str = "eth0", snap: int = 66_000
) -> Iterator[Capture]:
    """Record the frames that match a pcap *expression* while the block runs, *snap* bytes each:
    tcpdump's buffer has a slot of that size for every frame."""
    found = Capture(path)
    command = ns.command(
        "tcpdump", "-i", device, "-w", str(path), "-U", f"-s{snap}", "-B32768", "-Z", "root",
        "-n", "--immediate-mode", expression,
    )  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if "listening on" in line:
                    break
            yield found
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=10)
    assert "0 packets dropped by kernel" in said, said
    with RawPcapReader(str(path)) as reader:
        found.frames = [data for data, _ in reader]


def settled(path: Path, marker: bytes) -> None:
    """Wait until the file at *path* holds *marker*, the last thing that was sent."""
    wait_for(lambda: marker in path.read_bytes(), "the last frame in the capture")
