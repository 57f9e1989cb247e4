"""Services under a clock that stands still, and what a refusal must leave of them as it was."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vswitch import FakeClock
from vswitch.config import SwitchConfig
from vswitch.portconfig import PortConfig
from vswitch.service import Service


@contextmanager
def services() -> Iterator[Callable[..., Service]]:
    """Factory of services that are open, and closed with the block."""
    made: list[Service] = []

    def one(config: SwitchConfig | None = None) -> Service:
        made.append(Service.made(config or SwitchConfig("lab"), clock=FakeClock(1000)))
        made[-1].open()
        return made[-1]

    yield one
    for service in made:
        service.switch.close()


def recordings(folder: Path) -> Callable[..., PortConfig]:
    """Factory of ports that need nobody: recordings in *folder*."""
    return lambda name, *options: PortConfig.parse(
        ",".join([f"record:{folder}/{name}.pcap", *options])
    )


def qemu(path: Path, *options: str) -> PortConfig:
    return PortConfig.parse_listener(",".join([f"qemu:{path}", *options]))


def descriptors() -> list[str]:
    gc.collect()  # the ports of earlier tests
    return sorted(os.listdir("/proc/self/fd"))


def unchanged(service: Service) -> tuple[object, ...]:
    """What a refusal must leave as it is."""
    ports = [(s.name, s.mtu, s.settings, s.state) for s in service.switch.port_statuses()]
    return (
        service.config,
        ports,
        service.switch.stations(),
        service.switch.listener_status(),
        descriptors(),
    )
