"""``vswitch port``: ports that come and go while frames flow."""

from __future__ import annotations

import os

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar
from vswitch.errors import ApiError, ConfigError

ADD_HELP = """\
Open one more port of a running switch; it is spelled as "vswitch run --port" takes it.

Relative paths are those of this terminal. With --listen it is a place where VMs connect, as
"vswitch run --listen" takes it. Nothing is said when it is done; "vswitch port show" says what the
port got. A name that is taken is refused (exit status 1), unless with --may-exist.

\b
  vswitch port add tap2,mtu=9000
  vswitch port add vhost-user:./vm3.sock
  vswitch port add --listen qemu:/run/lan.sock
"""

DEL_HELP = """\
Close a port: its stations are forgotten, its device is put back as it was found.

\b
  vswitch port del tap2
  vswitch port del tap2 --if-exists
  vswitch port del --listen lan
"""

SHOW_HELP = """\
Show ports: state, how many stations are behind them, what they negotiated; with -s counters.

\b
  vswitch port show
  vswitch -s port show dev tap0
"""

SHOW = Grammar({"dev": _names.ports})


@click.group(
    "port",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show"},
    first=("add", "del", "show", "list"),
    short_help="Show ports; add and remove them while frames flow.",
)
def command() -> None:
    """Ports, and the places where VMs become some.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="Show ports.")
@SHOW.argument("[dev PORT]")
@asking
def show(asked: Asking, given: tuple[str, ...]) -> None:
    dev = SHOW.read(given).get("dev")
    with asked.client() as client:
        info = client.switch()
        ports = client.ports() if dev is None else [client.port(dev)]
    if asked.as_json:
        import msgspec

        asked.print_json(msgspec.to_builtins(ports))
        return
    from vswitch.cli.show import counters, port_lines

    for port in ports:
        for line in port_lines(port):
            click.echo(line)
    if asked.statistics:
        click.echo(f"\n{counters(info, ports)}")


@command.command(help=ADD_HELP, short_help="Open a port.")
@click.argument("port", metavar="PORT")
@click.option("--listen", is_flag=True, help="A place where VMs connect.")
@click.option("--may-exist", is_flag=True, help="It may be there.")
@telling
def add(asked: Asking, port: str, listen: bool, may_exist: bool) -> None:
    spelled = _checked(port, listener=listen)
    with asked.client() as client:
        try:
            if listen:
                client.listen(spelled)
            else:
                client.add_port(spelled)
        except ApiError as e:
            if e.code != "exists" or not may_exist:
                raise


@command.command("del", help=DEL_HELP, short_help="Close a port.")
@click.argument("name", metavar="NAME", shell_complete=_names.completed_port)
@click.option("--listen", is_flag=True, help="A place where VMs connect.")
@click.option("--if-exists", is_flag=True, help="It need not be there.")
@telling
def delete(asked: Asking, name: str, listen: bool, if_exists: bool) -> None:
    from vswitch.portconfig import check_interface_name, is_port_name

    if not is_port_name(name):
        check_interface_name(f"port {name!r}", name)
    with asked.client() as client:
        try:
            if listen:
                client.unlisten(name)
            else:
                client.remove_port(name)
        except ApiError as e:
            if e.code != "not-found" or not if_exists:
                raise


def _checked(spelled: str, *, listener: bool) -> str:
    """A port as it is spelled, with paths that mean the same to another process.

    Raises:
        ConfigError: it is no port, or none that a running switch can open.
    """
    from vswitch import paths
    from vswitch.portconfig import PortConfig

    parse = PortConfig.parse_listener if listener else PortConfig.parse
    if parse(spelled).kind == "fd":
        raise ConfigError(
            f"port {spelled!r}: descriptors are this process's own, and the switch is another",
            hint="hand them in when it starts: vswitch run --port fd:3",
        )
    made = paths.absolute(spelled, os.getcwd())
    parse(made)  # a path may have become too long
    return made
