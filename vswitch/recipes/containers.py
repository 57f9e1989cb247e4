"""The option of docker or podman, and the lines of ip(8), that make a port a container's eth0.

The switch keeps the file end of a TAP, its interface is moved into the container: no veth, no
bridge, and no copy between them.
"""

from __future__ import annotations

import shlex

from vswitch.errors import ConfigError
from vswitch.recipes.facts import Plug, Recipe

ENGINES = ("docker", "podman")


def container_args(plug: Plug, *, engine: str, name: str, ip: str | None = None) -> Recipe:
    """The words for ``docker run``, and as steps what goes with them.

    Args:
        plug: A TAP whose file end the switch holds.
        engine: One of ENGINES.
        name: The container's.
        ip: Address and length, as 10.0.0.2/24.

    Raises:
        ConfigError: the port has no device that could be moved.
    """
    _check(plug)
    if engine == "podman":
        return _podman(plug, name, ip)
    return _docker(plug, name, ip)


def _docker(plug: Plug, name: str, ip: str | None) -> Recipe:
    inside = "nsenter -t $pid -n "
    return Recipe(
        shlex.join(["--network", "none", "--name", name]),
        (
            *_notes(plug),
            f"{plug.name} goes with the container, and its port is gone then: see --engine podman, "
            "whose namespace stays",
        ),
        (
            "# once it runs, as root:",
            f"pid=$(docker inspect -f '{{{{.State.Pid}}}}' {shlex.quote(name)})",
            f"ip link set dev {shlex.quote(plug.name)} netns $pid name eth0",
            f"{inside}ip link set dev eth0 up",
            *([f"{inside}ip addr add {ip} dev eth0"] if ip else []),
        ),
    )


def _podman(plug: Plug, name: str, ip: str | None) -> Recipe:
    space = shlex.quote(name)
    return Recipe(
        shlex.join(["--network", f"ns:/run/netns/{name}", "--name", name]),
        (*_notes(plug), "root's podman: a user's may not enter a namespace that root made"),
        (
            "# before, as root:",
            f"ip netns add {space}",
            f"ip link set dev {shlex.quote(plug.name)} netns {space} name eth0",
            f"ip -n {space} link set dev lo up",
            f"ip -n {space} link set dev eth0 up",
            *([f"ip -n {space} addr add {ip} dev eth0"] if ip else []),
        ),
    )


def _notes(plug: Plug) -> tuple[str, ...]:
    if plug.kind != "auto":
        return ()
    return (
        f"{plug.name} is taken for a TAP, as no running switch was asked: "
        f"start vswitch --port {plug.name} first",
    )


def _check(plug: Plug) -> None:
    if plug.end == "file" or plug.kind == "auto":
        return
    if plug.end == "interface":
        raise ConfigError(
            f"{plug.name}: the switch holds the interface end, so a container cannot have it",
            hint="of a veth, move the other end: ip link set dev PEER netns PID name eth0; "
            "or give the switch a TAP",
        )
    raise ConfigError(
        f"{plug.name} is a port of kind {plug.kind}, and a container needs a device",
        hint="give the switch a TAP: vswitch --port tap0",
    )
