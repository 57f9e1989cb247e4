"""Network namespaces, entered by thread, and programs that run in them."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from vswitch.linux.device import entered

_serial = itertools.count()


class Netns:
    """A network namespace. Names begin with ``vsw-<pid>-``, so leftovers can be recognised."""

    def __init__(self, name: str) -> None:
        self.name = f"vsw-{os.getpid()}-{next(_serial)}-{name}"

    def create(self) -> None:
        subprocess.run(["ip", "netns", "add", self.name], check=True, timeout=10)
        self.ip("link", "set", "lo", "up")

    def delete(self) -> None:
        """Remove the namespace; nothing happens if it is gone already."""
        if os.path.exists(f"/run/netns/{self.name}"):
            subprocess.run(["ip", "netns", "del", self.name], check=False, timeout=10)

    def ip(self, *args: str) -> str:
        """Run ``ip`` inside; a failure shows the command and what ip said."""
        return self.run("ip", *args)

    def run(self, *command: str, timeout_s: float = 20, check: bool = True) -> str:
        """Run a program inside; returns what it printed, both streams."""
        return _run(*self.command(*command), timeout_s=timeout_s, check=check)

    @staticmethod
    def here(*args: str) -> str:
        """Run ``ip`` in the namespace the calling thread is in."""
        return _run("ip", *args)

    def command(self, *command: str) -> list[str]:
        """The command line that runs *command* inside."""
        return ["ip", "netns", "exec", self.name, *command]

    @contextmanager
    def background(self, *command: str, **options: object) -> Iterator[subprocess.Popen[str]]:
        """A program running inside while the block does; terminated at its end."""
        process = subprocess.Popen(
            self.command(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **options,
        )  # fmt: skip
        with process:
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling *thread* in, and back out whatever happens."""
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with entered(there):
                yield
        finally:
            os.close(there)


def _run(*command: str, timeout_s: float = 20, check: bool = True) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s,
        check=False,
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ({done.returncode}): {done.stdout.strip()}")
    return done.stdout
