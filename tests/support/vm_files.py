"""Files that virtual machines fetch from each other, known by their SHA-256."""

from __future__ import annotations

import re
from collections.abc import Sequence

from support.vm import Vm

MIB = 1 << 20
FILE_MIB = 4
LONG_MIB = 64  # long enough to be interrupted


def give_addresses(vms: Sequence[Vm]) -> None:
    for number, vm in enumerate(vms, 1):
        vm.run(f"ip addr add 192.0.2.{number}/24 dev eth0")


def make_file(vm: Vm, mib: int = FILE_MIB) -> str:
    """Random bytes to be asked for; their SHA-256."""
    vm.run(f"dd if=/dev/urandom of=/srv/file bs=1M count={mib} 2>/dev/null")
    return digest(vm.run("sha256sum /srv/file"))


def digest(said: str) -> str:
    found = re.search(r"\b[0-9a-f]{64}\b", said)
    assert found, said
    return found[0]


def fetch(vm: Vm, host: str) -> str:
    return digest(vm.run(f"wget -qO- http://{host}/file | sha256sum"))


def begin_to_fetch(vm: Vm, host: str) -> None:
    vm.run(f"(wget -qO /tmp/got http://{host}/file; touch /tmp/done) >/dev/null 2>&1 &")


def end_of_fetch(vm: Vm) -> str:
    said = vm.run("until [ -e /tmp/done ]; do sleep 0.1; done; sha256sum /tmp/got", timeout_s=60)
    return digest(said)
