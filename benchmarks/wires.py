"""Three namespaces for one measurement: left and right talk, the contestant lives in between.

    left: eth0 (10.x.0.1) ---- middle: contestant ---- right: eth0 (10.x.0.2)

The contestant's programs run inside ``middle``, so every device, address and abstract socket
they leave behind disappears with the namespace, and nothing of the host's network is touched.
"""

import json
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from cpu import Placement
from processes import BenchmarkError, Process, run

ADDRESSES = {"left": "10.99.0.1", "right": "10.99.0.2"}
PING_PORT = 9009
PING_ATTEMPTS = 25
# A bridge that hands frames to iptables drops or trims some of them; switch that off.
_BRIDGE_HOOKS = ("iptables", "ip6tables", "arptables")


class Wires:
    """The namespaces, and how to run things in them; both end with the ``with`` block."""

    def __init__(self, *, tools: Path, placement: Placement) -> None:
        self.tools = tools
        self._placement = placement
        self._logs = 0
        self._cleanup = ExitStack()
        self.names = {side: f"vswb{os.getpid()}-{side}" for side in ("left", "middle", "right")}

    def __enter__(self) -> Self:
        try:
            for name in self.names.values():
                run(["ip", "netns", "add", name])
                self._cleanup.callback(_delete, name)
                run(["ip", "-n", name, "link", "set", "lo", "up"])
                run(["ip", "netns", "exec", name, "sh", "-c", _QUIET])
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def command(self, side: str, *words: str) -> list[str]:
        """*words* as a command inside a namespace, on the CPU that is meant for that side."""
        place = self._placement
        cpu = place.contestant if side == "middle" else place.ends
        prefix = ["ip", "netns", "exec", self.names[side], "taskset", "-c", cpu]
        return [*prefix, *words]

    def run(self, side: str, *words: str) -> str:
        """Run to the end inside a namespace; its standard output."""
        return run(self.command(side, *words))

    def start(
        self,
        side: str,
        words: Sequence[str],
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start inside a namespace; ended with the wires at the latest."""
        self._logs += 1
        log = self.tools / f"{os.getpid()}-{self._logs}.log"
        process = Process(self.command(side, *words), log=log, env=env, cwd=cwd)
        process.name = Path(words[0]).name
        self._cleanup.callback(process.stop)
        return process

    def ip(self, side: str, *words: str) -> str:
        """``ip`` inside a namespace."""
        return run(["ip", "-n", self.names[side], *words])

    def attach(self, device: str, side: str) -> None:
        """Move *device* from the middle to *side*, call it eth0, give it an address, start it."""
        name = self.names[side]
        run(["ip", "-n", self.names["middle"], "link", "set", device, "netns", name])
        self.ip(side, "link", "set", device, "name", "eth0")
        self.ip(side, "addr", "add", f"{ADDRESSES[side]}/24", "dev", "eth0")
        self.ip(side, "link", "set", "eth0", "up")

    def mac(self, side: str) -> str:
        """The address of that side's eth0."""
        return str(json.loads(self.ip(side, "-j", "link", "show", "eth0"))[0]["address"])

    def wait_for_path(self) -> None:
        """Return when a datagram and its answer crossed; by then both stations are learned."""
        pingpong = str(self.tools / "pingpong")
        target = (ADDRESSES["right"], str(PING_PORT))
        server = self.start("right", [pingpong, "serve", *target])
        server.wait_for("serving")
        for _ in range(PING_ATTEMPTS):  # each waits for an answer, 200 ms at most
            try:
                self.run("left", pingpong, "play", *target, "1")
            except BenchmarkError:
                continue
            server.stop()
            return
        raise BenchmarkError("no datagram crossed the contestant")


_QUIET = "; ".join(
    [
        # No neighbour discovery and no router solicitations: an idle wire is silent.
        "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6",
        "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6",
        *(
            f"p=/proc/sys/net/bridge/bridge-nf-call-{hook}; [ ! -e $p ] || echo 0 > $p"
            for hook in _BRIDGE_HOOKS
        ),
    ]
)


def _delete(name: str) -> None:
    run(["ip", "netns", "del", name])
