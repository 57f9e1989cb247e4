"""Virtual machines that are gone after the test, failed or not."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.vm import Image, Vm, lacking


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder for sockets and images, in which every user may do everything."""
    with tempfile.TemporaryDirectory(prefix="vsw") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def boot(room) -> Iterator[Callable[..., list[Vm]]]:
    """Factory: ``boot(words, words, nobody=True)`` starts VMs at once and returns when all are up,
    or directly with ``wait=False``.

    Skips the test where there is no QEMU, or nothing to boot.
    """
    if reason := lacking():
        pytest.skip(reason)
    image = Image.copied(room)
    with ExitStack() as stack:

        def make(*networks: Sequence[str], wait: bool = True, **options: object) -> list[Vm]:
            made = []
            for network in networks:
                made.append(Vm(image, network, **options))
                stack.callback(made[-1].close)
            for vm in made:
                if wait:
                    vm.wait_until_up()
            return made

        yield make
