"""What the recipes for VMs share: QEMU's version, the VM's address, and their options."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import click

from vswitch.cli._common import switch_options
from vswitch.cli._plug import Found
from vswitch.errors import ConfigError
from vswitch.recipes import STREAM_SINCE, Plug, Recipe, Version, station_address

Command = TypeVar("Command", bound=Callable[..., Any])

VERSION_S = 10  # how long QEMU may take to say its version
# What uname(1) says -> what QEMU's program is called after, where the two differ.
ARCHITECTURES = {
    "i486": "i386", "i586": "i386", "i686": "i386",
    "armv6l": "arm", "armv7l": "arm", "armv8l": "arm",
    "ppc64le": "ppc64",
}  # fmt: skip


def vm_options(command: Command) -> Command:
    """Add the options of a recipe for a VM, and those of `switch_options`."""
    for option in (
        click.option("--mac", metavar="MAC", help="The VM's address  [default: see above]"),
        click.option("--qemu-version", metavar="X.Y", help="For that version of QEMU."),
        click.option(
            "--qemu",
            metavar="PROGRAM",
            help="Which QEMU is asked for its version  [default: qemu-system of this machine]",
        ),
        click.option(
            "--memory",
            metavar="SIZE",
            default="512M",
            show_default=True,
            help="Of vhost-user: the VM's memory, which it shares with the switch.",
        ),
        click.option(
            "--server", is_flag=True, help="Of qemu:PATH: QEMU listens, vswitch connects."
        ),
        switch_options,
    ):
        command = option(command)
    return command


def version(program: str | None, given: str | None) -> Version:
    """The version to write for: *given*, or what *program* or the installed QEMU says.

    Raises:
        ConfigError: *given* is no version, or *program* does not say one.
    """
    if given is not None:
        if program is not None:
            raise click.UsageError("--qemu and --qemu-version exclude one another")
        return _read("--qemu-version", given)
    asked = program or _installed()
    if asked is None:
        say(f"no QEMU is installed here, so this is for {'.'.join(map(str, STREAM_SINCE))}")
        return STREAM_SINCE
    try:
        done = subprocess.run(
            [asked, "--version"], capture_output=True, text=True, timeout=VERSION_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise ConfigError(
            f"cannot ask {asked} for its version: {e}", hint="say it: --qemu-version 7.2"
        ) from e
    found = re.search(r"version ([0-9]+\.[0-9]+)", done.stdout)
    if not found:
        raise ConfigError(
            f"{asked} --version does not say a version of QEMU", hint="say it: --qemu-version 7.2"
        )
    return _read(asked, found[1])


def _installed() -> str | None:
    machine = platform.machine()
    program = f"qemu-system-{ARCHITECTURES.get(machine, machine)}"
    # The last two: what Red Hat and its relatives have.
    return next(filter(shutil.which, (program, "qemu-kvm", "/usr/libexec/qemu-kvm")), None)


def _read(what: str, text: str) -> Version:
    found = re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})(\.[0-9]+)*", text)
    if not found:
        raise ConfigError(f"{what}: not a version of QEMU: {text!r}", hint="as 7.2")
    return int(found[1]), int(found[2])


def mac_for(found: Found, given: str | None) -> str:
    """The VM's address: *given*; else a port's own, or a new one where VMs share a listener."""
    if given is not None:
        from vswitch.options import mac

        return mac("--mac", given).hex(":")
    if found.shared:
        return station_address(os.urandom(16))
    return station_address(f"{found.switch}/{found.plug.name}".encode())


def with_memory(plug: Plug, size: str) -> Plug:
    """The port, for a VM with so much memory.

    Raises:
        ConfigError: *size* is none.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,8}[MG]?", size):
        raise ConfigError(f"--memory: not a size: {size!r}", hint="as 512M or 4G")
    return replace(plug, memory=size if size[-1] in "MG" else f"{size}M")


def show(recipe: Recipe, notes: Sequence[str] = ()) -> None:
    """What to paste on standard output, the rest on standard error."""
    click.echo(recipe.text)
    for note in (*notes, *recipe.notes):
        say(note)
    for step in recipe.steps:
        click.echo(step, err=True)


def say(note: str) -> None:
    click.echo(f"note: {note}", err=True)
