"""``vswitch libvirt-xml``: the XML that makes a port a libvirt domain's network card."""

from __future__ import annotations

from pathlib import Path

import click

from vswitch.cli._names import completed_port
from vswitch.cli._plug import find
from vswitch.cli._qemu import mac_for, show, version, vm_options, with_memory
from vswitch.recipes import libvirt_xml

HELP = """\
Print the XML that plugs a libvirt domain into a port.

An <interface> for the domain's <devices>; or, for unix sockets, which libvirt's interfaces do not
know, a <qemu:commandline> for the end of its <domain>. PORT and the address are as in "vswitch
qemu-args".

\b
  vswitch libvirt-xml tap0
  vswitch libvirt-xml lan -S lab
  vswitch libvirt-xml tap0 >tap0.xml; virsh attach-device vm tap0.xml
"""


@click.command("libvirt-xml", help=HELP, short_help="Print libvirt's XML for a port.")
@click.argument("port", shell_complete=completed_port)
@vm_options
def command(
    port: str,
    server: bool,
    qemu: str | None,
    qemu_version: str | None,
    mac: str | None,
    memory: str,
    switch: str | None,
    api: Path | None,
) -> None:
    found = find(port, switch, api, server=server)
    plug = with_memory(found.plug, memory)
    xml = libvirt_xml(plug, version=version(qemu, qemu_version), mac=mac_for(found, mac))
    show(xml, found.notes)
