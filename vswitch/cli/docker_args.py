"""``vswitch docker-args``: the words and lines that make a port a container's eth0."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import click

from vswitch.cli._common import switch_options
from vswitch.cli._names import completed_port
from vswitch.cli._plug import find
from vswitch.cli._qemu import show
from vswitch.errors import ConfigError
from vswitch.recipes import ENGINES, container_args

HELP = """\
Print the options of docker that make a port a container's eth0.

PORT is a TAP, of a running switch or as --port spells it. The words for "docker run" are on
standard output; on standard error are the lines that move the interface, for a root shell: with
docker once the container runs, with podman before.

\b
  vswitch docker-args tap0 --name web --ip 10.0.0.2/24
  docker run -d $(vswitch docker-args tap0 --name web) nginx
  podman run -d $(vswitch docker-args tap0 --name web --engine podman) nginx
"""


@click.command("docker-args", help=HELP, short_help="Print docker's or podman's for a port.")
@click.argument("port", shell_complete=completed_port)
@click.option("--engine", type=click.Choice(ENGINES), default="docker", show_default=True)
@click.option("--name", metavar="NAME", help="The container's  [default: the port's]")
@click.option("--ip", metavar="ADDRESS/LENGTH", help="What eth0 is to have.")
@switch_options
def command(
    port: str, engine: str, name: str | None, ip: str | None, switch: str | None, api: Path | None
) -> None:
    if ip is not None:
        try:
            ip = str(ipaddress.ip_interface(ip))
        except ValueError as e:
            raise ConfigError(f"--ip: {e}", hint="as 10.0.0.2/24") from e
    plug = find(port, switch, api).plug
    show(container_args(plug, engine=engine, name=name or plug.name, ip=ip))
