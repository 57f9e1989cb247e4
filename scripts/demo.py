"""The switch at work: two namespaces joined by it, ping, iperf3 both ways, a look inside.

    left (eth0, 10.99.0.1) ──TAP── vswitch ──TAP── right (eth0, 10.99.0.2)

Without root there are no namespaces; then a generated traffic file goes through memory ports.
Everything made here is removed again, whatever happens. Exit status 0: it worked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SECONDS = 3  # of each iperf3 run
WAIT_S = 15  # for anything that should happen at once
PREFIX = f"vsw-{os.getpid()}"
TAPS = [f"vsw{os.getpid()}a", f"vsw{os.getpid()}b"]
SIDES = {"left": "10.99.0.1", "right": "10.99.0.2"}


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def vswitch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "vswitch", *arguments]


def namespace(side: str) -> str:
    return f"{PREFIX}-{side}"


@contextmanager
def running_switch(api: str) -> Iterator[None]:
    """``vswitch run`` with two TAPs, from its line "forwarding" to its table of counters."""
    ports = [word for tap in TAPS for word in ("--port", tap)]
    command = vswitch("run", "--name", "demo", "--api", api, *ports)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        for line in process.stdout:
            print(line, end="")
            if "forwarding" in line:
                break
        else:
            raise RuntimeError("the switch did not start")
        yield
    finally:
        process.terminate()
        print(process.communicate(timeout=WAIT_S)[0], end="")


def plug_in(side: str, tap: str) -> None:
    """Move the interface end of a TAP into a namespace, as one gives a container its eth0."""
    ns = namespace(side)
    run("ip", "link", "set", tap, "netns", ns, "name", "eth0")
    run("ip", "-n", ns, "addr", "add", f"{SIDES[side]}/24", "dev", "eth0")
    run("ip", "-n", ns, "link", "set", "eth0", "up")


def iperf3(*arguments: str, api: str, look: bool) -> float:
    """One TCP stream between the namespaces; Gbit/s."""
    inside = ("ip", "netns", "exec")
    server = subprocess.Popen(
        [*inside, namespace("right"), "iperf3", "-s", "-1", "--forceflush"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout
        next(line for line in server.stdout if "listening" in line)
        client = subprocess.Popen(
            [*inside, namespace("left"), "iperf3", "-J", "-t", str(SECONDS), "-c", SIDES["right"],
             *arguments],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if look:
            time.sleep(SECONDS / 2)
            show(api)
        result = json.loads(client.communicate(timeout=WAIT_S + SECONDS)[0])
    finally:
        server.terminate()
        server.communicate()
    if "error" in result:
        raise RuntimeError(f"iperf3: {result['error']}")
    return float(result["end"]["sum_received"]["bits_per_second"]) / 1e9


def show(api: str) -> None:
    for words in (("show",), ("fdb", "show")):
        say(f"while it flows: vswitch {' '.join(words)}")
        print(run(*vswitch(*words, "--api", api)), end="")


def with_devices() -> str:
    with ExitStack() as cleanup:
        folder = cleanup.enter_context(tempfile.TemporaryDirectory())
        api = str(Path(folder, "api.sock"))
        for side in SIDES:
            run("ip", "netns", "add", namespace(side))
            cleanup.callback(run, "ip", "netns", "del", namespace(side), check=False)
        say(f"vswitch --port {TAPS[0]} --port {TAPS[1]}")
        with running_switch(api):
            for side, tap in zip(SIDES, TAPS, strict=True):
                plug_in(side, tap)
            say("ping from left to right")
            pings = run("ip", "netns", "exec", namespace("left"), "ping", "-c", "5", "-i", "0.2",
                        "-W", "2", SIDES["right"])  # fmt: skip
            print(pings, end="")
            say("iperf3 from left to right")
            there = iperf3(api=api, look=True)
            say("iperf3 from right to left")
            back = iperf3("-R", api=api, look=False)
            print(f"{there:.1f} and {back:.1f} Gbit/s")
            say("stopped; what the switch counted")
    middle = re.search(r"= [\d.]+/([\d.]+)/", pings)
    left = [tap for tap in TAPS if Path("/sys/class/net", tap).exists()]
    if left or PREFIX in run("ip", "netns", "list"):
        raise RuntimeError(f"left behind: {left or 'namespaces'}")
    delay = f", ping {middle[1]} ms" if middle else ""
    return f"{there:.1f} Gbit/s there, {back:.1f} Gbit/s back{delay}, nothing left behind"


def with_memory() -> str:
    """Three stations on three ports; a traffic file in, a count out."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.utils import rdpcap, wrpcap

    from vswitch import FakeClock, MemoryPort, Switch

    macs = [f"02:00:00:00:00:0{i}" for i in range(1, 4)]
    pairs = [(a, b) for a in macs for b in macs if a != b] * 50
    with tempfile.TemporaryDirectory() as folder, Switch("demo", clock=FakeClock()) as switch:
        traffic = str(Path(folder, "traffic.pcap"))
        wrpcap(traffic, [Ether(src=a, dst=b) / IP(dst="10.0.0.1") / UDP() for a, b in pairs])
        say("no root: no namespaces, so a generated traffic file goes through memory ports")
        ports = {mac: switch.add_port(MemoryPort(f"mem{i}")) for i, mac in enumerate(macs)}
        for packet in rdpcap(traffic):
            ports[packet.src].send([bytes(packet)])
            switch.poll()
        for name in switch.ports:
            counters = switch.port_status(name).counters
            print(
                f"{name}  rx {counters['rx_frames']:4} frames  tx {counters['tx_frames']:4} frames"
            )
        say("forwarding database")
        for s in switch.stations():
            print(f"{s.mac.hex(':')} dev {s.port} master {switch.name}")
        delivered = sum(len(port.receive()) for port in ports.values())
        flooded = sum(switch.port_status(n).counters["flooded_unicast"] for n in switch.ports)
    if delivered != len(pairs) + flooded:
        raise RuntimeError(f"{delivered} frames delivered, {len(pairs) + flooded} expected")
    return f"{len(pairs)} frames forwarded, {flooded} of them flooded (as root: real devices)"


def main() -> int:
    start = time.monotonic()
    try:
        result = with_devices() if os.geteuid() == 0 else with_memory()
    except (RuntimeError, OSError, subprocess.SubprocessError) as e:
        print(f"\nvswitch demo: failed: {e}", file=sys.stderr)
        return 1
    print(f"\nvswitch demo: ok in {time.monotonic() - start:.0f} s: {result}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
