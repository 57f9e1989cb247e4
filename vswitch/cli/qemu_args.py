"""``vswitch qemu-args``: the words that make a port a VM's network card."""

from __future__ import annotations

import re
from pathlib import Path

import click

from vswitch.cli._names import completed_port
from vswitch.cli._plug import find
from vswitch.cli._qemu import mac_for, show, version, vm_options, with_memory
from vswitch.errors import ConfigError
from vswitch.recipes import qemu_args

HELP = """\
Print the options of QEMU that plug a VM into a port, as the installed QEMU has them.

PORT is a port or a listener of a running switch, or one as --port and --listen spell it. The words
are on standard output, quoted for a shell; what else to know is on standard error.

The VM gets an address of its own: QEMU gives every VM the same one, and two of them on a LAN do
not work. It begins with 52:54:00, as is the custom. For a port it is always the same; for a
listener, where any number of VMs connect, each call says another one: keep it with the VM (--mac).

\b
  vswitch qemu-args lan
  vswitch qemu-args qemu:/tmp/lan.sock
  vswitch qemu-args tap0 --qemu-version 9.2
  vswitch qemu-args vhost-user:/tmp/vm1.sock,queues=2 --memory 4G
  eval qemu-system-x86_64 -m 512 disk.img $(vswitch qemu-args lan)
"""


@click.command("qemu-args", help=HELP, short_help="Print QEMU's options for a port.")
@click.argument("port", shell_complete=completed_port)
@click.option("--id", "netdev", default="n0", show_default=True, help="QEMU's name for the wire.")
@vm_options
def command(
    port: str,
    netdev: str,
    server: bool,
    qemu: str | None,
    qemu_version: str | None,
    mac: str | None,
    memory: str,
    switch: str | None,
    api: Path | None,
) -> None:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", netdev):  # QEMU, util/id.c
        raise ConfigError(f"--id {netdev!r}: a letter, then letters, digits, '-', '.' or '_'")
    found = find(port, switch, api, server=server)
    address = mac_for(found, mac)
    plug = with_memory(found.plug, memory)
    words = qemu_args(plug, version=version(qemu, qemu_version), mac=address, netdev=netdev)
    show(words, found.notes)
