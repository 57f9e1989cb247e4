"""What was handed in: from a configuration with names of descriptors to one with their numbers.

Before anything else is opened, the descriptors a configuration names are taken over, and the
listening sockets of systemd's socket activation (sd_listen_fds(3)) that it does not name join it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path

from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.linux import descriptor
from vswitch.portconfig import PortConfig, is_port_name

log = logging.getLogger(__name__)

API = "api"  # the name of a descriptor that is not a port: the switch is asked there


def api_descriptor(place: Path | None, environment: Mapping[str, str]) -> int | None:
    """The socket for the API, if it was handed in: as ``fd:N``, or called API; else None.

    To be called before `resolved`, which takes the variables away.

    Raises:
        ConfigError: it is not a unix socket that listens, or *place* is another one.
    """
    given = descriptor.activated(dict(environment))
    number = next((number for number, name in given.items() if name == API), None)
    if place is not None and str(place).startswith("fd:"):
        number = _api_number(str(place))
        if number not in given:
            _take(number)
    elif number is not None and place is not None:
        raise ConfigError(
            f"--api {place}: the socket for that was handed in as descriptor {number}",
            hint="leave --api away, or FileDescriptorName=api",
        )
    if number is not None and not descriptor.is_unix_listener(number):
        # Over TCP anybody could ask.
        raise ConfigError(f"descriptor {number}: the API needs a unix socket that listens")
    return number


def _api_number(place: str) -> int:
    number = place.removeprefix("fd:")
    if not number.isdecimal():
        raise ConfigError(f"--api {place}: a descriptor is a number, as fd:3")
    return int(number)


def resolved(config: SwitchConfig, environment: MutableMapping[str, str]) -> SwitchConfig:
    """*config* with every descriptor by number, each of them ours from now on.

    Raises:
        ConfigError: there is no such descriptor, or it is meant twice.
    """
    given = descriptor.activated(environment)
    config = replace(
        config,
        ports=tuple(_numbered(port, given) for port in config.ports),
        listeners=tuple(_numbered(place, given) for place in config.listeners),
    )
    meant = {n for port in (*config.ports, *config.listeners) for n in port.descriptors}
    for number in sorted({*meant, *given}):
        _take(number)
    left = {number: name for number, name in given.items() if number not in meant}
    return replace(config, listeners=(*config.listeners, *_listeners(left)))


def _numbered(port: PortConfig, given: Mapping[int, str]) -> PortConfig:
    """*port* with the number of its descriptor, if it has the name of one."""
    if port.kind != "fd" or port.descriptors:
        return port
    found = [number for number, name in given.items() if name == port.address]
    if len(found) == 1:
        return replace(port, address=str(found[0]))
    names = ", ".join(name for name in given.values() if name) or "none"
    how_many = "several descriptors are" if found else "no descriptor is"
    raise ConfigError(
        f"fd:{port.address}: {how_many} called {port.address}",
        hint=f"names that were handed in (LISTEN_FDNAMES): {names}",
    )


def _take(number: int) -> None:
    try:
        descriptor.take(number)
    except OSError as e:
        raise ConfigError(
            f"descriptor {number} is not open: nobody handed it in",
            hint="whoever starts the switch opens it, and lets it be inherited",
        ) from e


def _listeners(left: Mapping[int, str]) -> Iterator[PortConfig]:
    for number, name in left.items():
        if name == API:
            continue
        found = descriptor.look(number)
        if found.kind == "listener":
            yield PortConfig(_base(number, name), kind="fd", address=str(number))
        else:
            log.warning("handed in and not used fd=%d name=%s what=%r", number, name, found.what)


def _base(number: int, name: str) -> str:
    """What ports are called after: the descriptor's name, systemd's being the unit's."""
    base = name.removesuffix(".socket")
    return base if is_port_name(base) else f"fd{number}"
