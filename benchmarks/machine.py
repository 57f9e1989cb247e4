"""What a reader of a result must know about the machine and the programs that were compared."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parent.parent

_VERSIONS = {
    "iperf3": ["iperf3", "--version"],
    "ovs": ["ovs-vswitchd", "--version"],
    "vde": ["vde_switch", "--version"],
    "cc": ["cc", "--version"],
    "vswitch": ["git", "-C", str(_REPOSITORY), "describe", "--always", "--dirty"],
}


def facts() -> dict[str, object]:
    """CPU, kernel, versions and date; a program that is not there has the version ``None``."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_before": os.getloadavg()[0],
        "versions": {name: _first_line(command) for name, command in _VERSIONS.items()},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _first_line(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.strip().splitlines()
    return lines[0] if lines else None
