"""``vswitch vlan``: which port is of which VLANs, as ``bridge vlan`` shows and changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from vswitch import vlanwords
from vswitch.cli import _names, _vlans
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar, Said, one_of
from vswitch.vlans import VidSet, vid_of

SHOW_HELP = """\
List the VLANs of ports, with the lines of "bridge vlan show".

PVID is the VLAN of frames that enter without a tag; frames of "Egress Untagged" leave without. A
port without options about VLANs has all of them, as they are tagged, and is not listed. With -s
what was counted in each, with -c neighbours in one line, as there. "matrix" is a table of ports and
VLANs.

\b
  vswitch vlan show
  vswitch -c vlan show dev trunk0
  vswitch -s vlan show vid 10
  vswitch vlan show matrix
"""
ADD_HELP = """\
Put a port in VLANs, as "bridge vlan add": its frames leave with a tag unless it is "untagged"; with
"pvid" frames that enter without a tag are of it, and no more of another. What the port is of
already gets what is said, and loses what is not. A port without VLANs is of no other then.

\b
  vswitch vlan add vid 10 dev tap0 pvid untagged
  vswitch vlan add vid 20-29 dev trunk0
"""
DEL_HELP = """\
Take a port out of VLANs, as "bridge vlan del": without its PVID, untagged frames do not enter. What
it was not of is no mistake. A port without any lets nothing through; "vlan set dev PORT none" makes
it one without options.

\b
  vswitch vlan del vid 20-25 dev trunk0
"""


def _set_help() -> str:
    listed = "\n".join(f"  {key:<15} {text}" for key, text in vlanwords.TEXTS.items())
    return f"""\
Say all that a port does with VLANs; what was said before is forgotten.

\b
{listed}
  none            no options: of all VLANs, or none has any

\b
  vswitch vlan set dev tap0 access 10
  vswitch vlan set dev trunk0 trunk 10,20-29 native 1
"""


STP = "this switch does not speak STP yet"
SNOOPING = "this switch does not snoop multicast yet"
TUNNELS = "this switch has no tunnels yet"
SHOW = Grammar(
    {"dev": _names.ports, "br": _names.switches, "vid": one_of()},
    flags=("matrix",),
    synonyms={"brport": "dev", "master": "br"},
)
MEMBER = Grammar(
    {"dev": _names.ports, "vid": one_of()},
    flags=("pvid", "untagged", "self", "master"),
    refused={"tunnel_info": TUNNELS},
)
CHOICES = {
    "accept": ("all", "tagged", "untagged"),
    "ingress-filter": ("on", "off"),
    "native-mode": ("tagged", "untagged"),
    "tag-type": ("802.1Q", "802.1ad"),
}
SET = Grammar(
    {
        "dev": _names.ports,
        **{key: one_of(*CHOICES.get(key, ())) for key in vlanwords.READERS},
    },
    flags=("none",),
    synonyms={
        **vlanwords.SYNONYMS,
        **{key.replace("-", "_"): key for key in vlanwords.READERS if "-" in key},
    },
    refused={"state": STP, "mcast_router": SNOOPING, "neigh_suppress": TUNNELS, "vid": "see add"},
)


@click.group(
    "vlan",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show"},
    first=("add", "del", "show", "list", "set"),
    short_help="Show and change which port is of which VLANs.",
)
def command() -> None:
    """VLANs of ports (IEEE 802.1Q). A switch takes no notice of tags until a port has some.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="List the VLANs of ports.")
@SHOW.argument("[dev PORT] [vid V] [matrix]")
@click.option("-c", "--compressvlans", "compressed", is_flag=True, help="Neighbours in one line.")
@click.option("--matrix", "table", is_flag=True, help="A table of ports and VLANs.")
@asking
def show(asked: Asking, given: tuple[str, ...], compressed: bool, table: bool) -> None:
    said = SHOW.read(given, br=asked.switch)
    vid = None if said.get("vid") is None else vid_of(said.needed("vid", "vid"), "vid")
    with asked.client(said.get("br")) as client:
        ports = client.vlans(port=said.get("dev"))
    if asked.as_json and asked.statistics:
        asked.print_json(_vlans.counted_keys(ports, vid=vid))
    elif asked.as_json:
        asked.print_json(_vlans.keys(ports, compressed=compressed, vid=vid))
    elif table or "matrix" in said.flags:
        if vid is not None or asked.statistics:
            raise click.UsageError("the matrix has all VLANs, and no counters")
        click.echo(_vlans.matrix(ports))
    else:
        found = (
            _vlans.counted_lines(ports, vid=vid)
            if asked.statistics
            else _vlans.lines(ports, compressed=compressed, vid=vid)
        )
        click.echo("\n".join(found))


@command.command("add", help=ADD_HELP, short_help="Put a port in VLANs.")
@MEMBER.argument("vid V[-V] dev PORT [pvid] [untagged]")
@telling
def add(asked: Asking, given: tuple[str, ...]) -> None:
    said = MEMBER.read(given)
    port, vid = _member(said)
    if "pvid" in said.flags and not vid.isdecimal():
        raise click.UsageError(f"vid {vid}: a pvid is one VLAN")
    with asked.client() as client:
        client.add_vlan(port, vid, pvid="pvid" in said.flags, untagged="untagged" in said.flags)


@command.command("del", help=DEL_HELP, short_help="Take a port out of VLANs.")
@MEMBER.argument("vid V[-V] dev PORT")
@telling
def delete(asked: Asking, given: tuple[str, ...]) -> None:
    port, vid = _member(MEMBER.read(given))
    with asked.client() as client:
        client.delete_vlan(port, vid)


@command.command("set", help=_set_help(), short_help="Say all that a port does with VLANs.")
@SET.argument("dev PORT OPTION VALUE [OPTION VALUE...]")
@telling
def set_(asked: Asking, given: tuple[str, ...]) -> None:
    said = SET.read(given)
    port, options = said.needed("dev", "the port (dev PORT)"), _options(said)
    if bool(options) is ("none" in said.flags):
        words = ", ".join([*vlanwords.READERS, "none"])
        raise click.UsageError(
            "none excludes all others" if options else f"what to set is missing: {words}"
        )
    vlans = vlanwords.made("vlans", options)
    change: dict[str, Any] = {"vlans": vlanwords.text(vlans)}
    with asked.client() as client:
        client.change_port(port, **change)


def _member(said: Said) -> tuple[str, str]:
    port, vid = said.needed("dev", "the port (dev PORT)"), said.needed("vid", "vid V")
    if not VidSet.parse(vid, "vid"):
        raise click.UsageError("vid: no VLAN is named")
    return port, vid


def _options(said: Said) -> Mapping[str, Any]:
    return {
        key: read(key, said.needed(key, key))
        for key, read in vlanwords.READERS.items()
        if key in said.values
    }
