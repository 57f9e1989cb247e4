"""``vswitch run``: a switch in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vswitch.cli import _names
from vswitch.cli._api import asked_by_options
from vswitch.cli._common import forwarded, load
from vswitch.cli._guarding import guard_options, guards
from vswitch.cli._privilege import confinement, privilege_options
from vswitch.cli._settings import configured, given

if TYPE_CHECKING:
    from vswitch.configfile import Contents
    from vswitch.control.doors import Wanted

HELP = """\
Run a switch in the foreground, until SIGINT (Ctrl-C), SIGTERM or SIGHUP.

With --config FILE all of this is in a file, see "vswitch config --help"; SIGHUP has it read again
then, and does not end the switch. What the command line says as well wins over the file. Ports come
and go later, too ("vswitch port add"): a switch may begin without any.

A device that does not exist is made, a TAP, and goes when the switch ends. One that exists is left
as it was found: of a TAP that nobody holds the file end is taken; of one that QEMU holds, of a veth
or a network card the interface end. One line per port says what it got, one line says that frames
flow; at the end come the counters, and what was dropped for which reason.

A port is a device's name, with options after commas:

\b
  tap0                          create it, or take the end that is free
  tap:tap0  netdev:veth0        the file end; the interface end
  eth1,force                    even if the host uses it (address, bridge)
  tap0,queues=4,mtu=9000        four queues, for as many pollers; jumbo frames
  tap0,mac=02:00:00:00:00:01    address of the interface end
  tap0,fdb-limit=100            at most 100 stations behind this port
  tap0,offloads=off             take finished frames only, no segments to cut
  tap0,learning=off             learn nothing from what enters here
  tap0,state=blocked            nothing enters or leaves, for now
  tap0,allow-mac=MAC,MAC...     other sources are dropped
  tap0,allow-ip=IP,IP...        also who speaks for other addresses
  eth1,trusted=on               DHCP servers and routers are there
  tap0,police=10mbit            no more than that may enter; shape=RATE: leave
  tap0,storm-broadcast=100pps   or -multicast, -unknown: what is flooded

or the host itself, as "br0" of a Linux bridge, also said with --local:

\b
  local:br0                     a TAP that the host goes on using
  local:br0,ip=10.0.0.1/24,ip=fd00::1/64,mac=02:00:00:00:00:01

or a socket's address, which needs no root; "vhost-user" shares the memory of one VM, "qemu" is what
QEMU calls stream:

\b
  vhost-user:PATH               the switch listens there, for one VM at a time
  vhost-user:PATH,client        the VM does: connect to it, and again
  vhost-user:PATH,queues=4      four pairs of queues, spread over the pollers
  qemu:PATH                     connect to QEMU or passt, which listens
                                there, now or later, and again
  qemu:PATH,retry=off           the same, now or never
  qemu:HOST:PORT                the same over TCP; a path has a "/": ./vm.sock
  dgram:PATH,remote=PATH        a frame per datagram, from and to these paths
  udp:HOST:PORT,remote=HOST:PORT,name=vm0

or a file, pcap or pcapng:

\b
  pcap:in.pcap                  a capture, which enters at its recorded times
  pcap:in.pcap,speed=2.5,loop=3 faster (or speed=max), three times (0: no end)
  pcap:in.pcap,out=out.pcapng   ... and what leaves the port is recorded
  record:out.pcap               only that; "vswitch replay" needs no waiting

or what another process opened, and handed in; what it is, it says itself:

\b
  fd:3                          a TAP, a packet socket, a connected socket
  fd:3:4,name=tap0              two queues of one TAP
  fd:NAME                       by its name in LISTEN_FDNAMES (systemd)

VMs connect by themselves to --listen qemu:PATH or qemu:HOST:PORT. Each becomes a port, called as
its QEMU says (-name), or else NAME-1, NAME-2, ... (,name=NAME; by default after the file). Who may
connect is said by the file: ,mode=0660,owner=USER,group=GROUP. TCP is neither encrypted nor
authenticated. --listen vhost-user:FOLDER/ makes a socket for each VM, NAME-1.sock and, as that is
taken, NAME-2.sock, and so on. --listen fd:3 is a stream socket that listens already; those of
systemd's socket activation need not be mentioned.

Examples:

\b
  vswitch --port tap0 --port tap1
  vswitch run --name lab --port tap0,mtu=9000 --port tap1,mtu=9000 --stats 1
  vswitch run --port tap0 --port tap1 --forward stp,lldp
  vswitch run --local br0,ip=10.0.0.1/24 --port eth1 --port tap0
  vswitch run --listen qemu:/tmp/lan.sock
  qemu-system-x86_64 -device virtio-net,netdev=n,mac=52:54:00:00:00:01 \\
    -netdev stream,id=n,server=off,addr.type=unix,addr.path=/tmp/lan.sock ...

Two namespaces on one switch, in a second terminal:

\b
  for n in 0 1; do
    ip netns add lab$n; ip link set tap$n netns lab$n
    ip -n lab$n addr add 10.0.0.1$n/24 dev tap$n
    ip -n lab$n link set tap$n up
  done
  ip netns exec lab0 ping 10.0.0.11
"""


@click.command("run", help=HELP, short_help="Run a switch in the foreground.")
@click.option(
    "--config",
    "contents",
    type=click.Path(path_type=Path),
    metavar="FILE",
    is_eager=True,
    callback=configured,
    help="A configuration in TOML, or a folder of them (*.toml, in order of name).",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="PORT",
    help="A port, as above; once for each.",
)
@click.option(
    "--local",
    "locals_",
    multiple=True,
    metavar="NAME[,ip=IP/PREFIX...]",
    help="The host's own port: as --port local:NAME,...",
)
@click.option(
    "--listen",
    "listeners",
    multiple=True,
    metavar="qemu:PLACE|vhost-user:FOLDER/|fd:N",
    help="A unix socket, or HOST:PORT, where any number of VMs connect; each becomes a port while "
    "it does. Or a folder with a socket for each.",
)
@click.option("--name", default="vswitch", show_default=True, help="What others call this switch.")
@click.option(
    "--ageing",
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Forget a station not heard for so long; 0: never.",
)
@click.option(
    "--fdb-limit",
    default=65536,
    show_default=True,
    metavar="N",
    help="Stations to remember, up to 4194304.",
)
@click.option(
    "--mtu",
    type=int,
    metavar="BYTES",
    help="MTU of all ports that do not name their own  [default: as the devices have it]",
)
@click.option(
    "--pollers",
    default=1,
    show_default=True,
    metavar="N",
    help="Threads that forward; ports and queues are spread over them.",
)
@click.option(
    "--busy-poll",
    default=50,
    show_default=True,
    metavar="MICROSECONDS",
    help="Longest time a poller spins for the next frame before it sleeps.",
)
@click.option(
    "--core",
    default="c",
    show_default=True,
    metavar="c|python",
    shell_complete=_names.completed_choice,
    help="The compiled datapath, or the readable one: slow, and the same to the frame.",
)
@click.option(
    "--forward",
    metavar="LIST",
    help="Which frames to link-local addresses 01-80-C2-00-00-0x cross, instead of being dropped: "
    "stp, pause, lacp, dot1x, lldp, or last bytes 00 to 0f, with commas between  [default: stp, "
    "as the Linux bridge]",
)
@click.option(
    "--loop-detect",
    default="off",
    show_default=True,
    metavar="on|report|off",
    shell_complete=_names.completed_choice,
    help="Find loops through two ports by probes; hold one of the two down, or only say so.",
)
@click.option(
    "--loop-hold",
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="Held until no probe came back for so long, if the loop comes again soon; then longer.",
)
@click.option("--transparent", is_flag=True, help="All of those cross, as through a wire.")
@guard_options
@click.option(
    "--snooping-file",
    default="",
    metavar="FILE",
    help="Where its leases outlive a restart  [default: NAME.leases in $STATE_DIRECTORY, which "
    "systemd gives to services; else they do not]",
)
@click.option(
    "--stats",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Print rates of each port every so often.",
)
@click.option(
    "--api",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help='The socket to be asked on, or fd:N  [default: the one handed in as "api", else '
    "/run/vswitch/NAME.sock as root, $XDG_RUNTIME_DIR/vswitch/NAME.sock otherwise]",
)
@asked_by_options
@privilege_options
@click.option("-v", "--verbose", is_flag=True, help="Log what is done and why.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Log lines, on standard error, for people or for programs.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    contents: Contents | None,
    ports: tuple[str, ...],
    locals_: tuple[str, ...],
    listeners: tuple[str, ...],
    name: str,
    ageing: int,
    fdb_limit: int,
    mtu: int | None,
    pollers: int,
    busy_poll: int,
    core: str,
    forward: str | None,
    loop_detect: str,
    loop_hold: int,
    transparent: bool,
    snooping_file: str,
    stats: float | None,
    api: Path | None,
    asked_by: Wanted,
    user: str | None,
    lock: bool,
    seccomp: str,
    verbose: bool,
    log_format: str,
    **guarded: Any,
) -> None:
    from vswitch.config import SwitchConfig
    from vswitch.portconfig import PortConfig

    switch: dict[str, Any] = {
        "name": name,
        "ageing_s": ageing,
        "fdb_limit": fdb_limit,
        "mtu": mtu,
        "pollers": pollers,
        "busy_poll_us": busy_poll,
        "core": core,
        "forward": forwarded(forward, transparent=transparent),
        **guards(**guarded),
        "snooping_file": snooping_file,
        "loop_detect": loop_detect,
        "loop_hold_s": loop_hold,
    }
    opened = tuple(map(PortConfig.parse, (*ports, *(f"local:{text}" for text in locals_))))
    places = tuple(map(PortConfig.parse_listener, listeners))
    source = None
    if contents is None:
        config = SwitchConfig(ports=opened, listeners=places, **switch)
    else:
        from vswitch.configsource import Given, Source

        said = {field: switch[field] for field in given(ctx)}
        source = Source(contents, Given(said, opened, places))
        config = source.config
    from vswitch.logs import set_up

    set_up(verbose=verbose, form=log_format)
    load("vswitch.daemon").run(
        config,
        api=api,
        asked_by=asked_by,
        stats_s=stats,
        source=source,
        confinement=confinement(user=user, lock=lock, seccomp=seccomp),
    )
