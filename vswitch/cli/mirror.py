"""``vswitch mirror``: copies of what passes some ports, for another one."""

from __future__ import annotations

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar
from vswitch.errors import ApiError

ADD_HELP = """\
Send copies of what passes some ports, or is of some VLANs, to another port.

"from" names the ports, with commas; behind one can stand "in" (what the switch receives there) or
"out" (what it sends there). With "vlan" only frames of these VLANs are copied; without "from" those
of all ports. The port behind "to" takes nothing else from then on, and what it receives is dropped.
Nothing is said when it is done.

\b
  vswitch mirror add watch from tap0 to mon0
  vswitch mirror add edges from tap0,in,tap1,out to mon0
  vswitch mirror add voice vlan 10,20-29 to mon0
  vswitch port add record:/tmp/tap0.pcap,name=rec
  vswitch mirror add rec from tap0 to rec
"""

ADD = Grammar({"from": _names.ports, "vlan": lambda _: (), "to": _names.ports}, free="NAME")


@click.group(
    "mirror",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show"},
    first=("add", "del", "show", "list"),
    short_help="Copy what passes some ports to another one.",
)
def command() -> None:
    """Mirrors: copies of what passes some ports, for another one.

    Without a command: show.
    """


@command.command(short_help="List the mirrors.")
@asking
def show(asked: Asking) -> None:
    """List the mirrors, in the words that "mirror add" takes."""
    with asked.client() as client:
        mirrors = client.mirrors()
    if asked.as_json:
        import msgspec

        asked.print_json(msgspec.to_builtins(mirrors))
        return
    for mirror in mirrors:
        click.echo(mirror.text)


@command.command(help=ADD_HELP, short_help="Begin a mirror.")
@ADD.argument("NAME [from PORT[,in|out]...] [vlan V] to PORT")
@click.option("--may-exist", is_flag=True, help="It may be there, as it is to be.")
@telling
def add(asked: Asking, given: tuple[str, ...], may_exist: bool) -> None:
    from vswitch.control.schema import MirrorInfo
    from vswitch.mirrors import Mirror, source_texts

    said = ADD.read(given)
    name = said.needed("NAME", "the mirror's name")
    target = said.needed("to", "the port that gets the copies (to PORT)")
    vlans = said.get("vlan") or ""
    mirror = Mirror.parse(name, sources=said.get("from") or "", vlans=vlans, target=target)
    wanted = MirrorInfo(
        name,
        target,
        source_texts(mirror.sources),
        mirror.vids.text() if mirror.vids is not None else "",
    )
    with asked.client() as client:
        try:
            client.add_mirror(wanted)
        except ApiError as e:
            if e.code != "exists" or not (may_exist and wanted in client.mirrors()):
                raise


@command.command("del", short_help="End a mirror.")
@click.argument("name", metavar="NAME", shell_complete=_names.completed_mirror)
@click.option("--if-exists", is_flag=True, help="It need not be there.")
@telling
def delete(asked: Asking, name: str, if_exists: bool) -> None:
    """End a mirror; the port that got the copies is one as others again."""
    with asked.client() as client:
        try:
            client.remove_mirror(name)
        except ApiError as e:
            if e.code != "not-found" or not if_exists:
                raise
