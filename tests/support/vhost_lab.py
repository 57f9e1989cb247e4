"""Machines on a vhost-user port of a lab, beside a memory port "a"."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from support.frames import BROADCAST, frame, mac
from support.front_end import open_fds
from support.lab import Lab
from support.plugged import PluggedVm

A, VM = mac(1), mac(100)
UP, DOWN = frame(BROADCAST, VM, b"up"), frame(BROADCAST, A, b"down")

Plug = Callable[..., PluggedVm]


@contextmanager
def plugs(net: Lab, place: Path) -> Iterator[Plug]:
    """Factory of machines at *place*, which look at the switch as they speak."""
    with ExitStack() as stack:

        def make(where: Path | socket.socket = place, **options: int) -> PluggedVm:
            return stack.enter_context(closing(PluggedVm(where, net.switch.poll, **options)))

        yield make


def talks(net: Lab, vm: PluggedVm) -> bool:
    """Whether a frame arrives each way."""
    vm.send(UP)
    arrived = net.send("a", DOWN) == {"a": [UP]}
    return vm.receive() == [DOWN] and arrived


def held() -> tuple[int, int]:
    """How many descriptors we have, and mappings of guests' memory."""
    return open_fds(), Path("/proc/self/maps").read_text().count("memfd:guest")
