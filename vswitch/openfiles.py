"""How many files this process may have open: as many as a configuration takes, at any time."""

from __future__ import annotations

import resource

from vswitch._fastpath import PORTS_MAX
from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.portconfig import PortConfig
from vswitch.text import plural

FILES_BESIDES = 200  # those of Python, of the API and its clients


def allow(config: SwitchConfig) -> None:
    """See that the ports of *config* can be open at once.

    Raises:
        ConfigError: so many are not allowed.
    """
    needed = sum(map(_files, config.ports)) + FILES_BESIDES + 4 * config.pollers
    n = len(config.ports)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if config.listeners:  # as many as may come, if so many are allowed
        needed = max(needed, min(needed + PORTS_MAX, hard))
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{plural(n, 'port')} {'needs' if n == 1 else 'need'} {needed} open files, "
            f"and {hard} are allowed",
            hint=f"allow more: ulimit -n {needed}",
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _files(port: PortConfig) -> int:
    """A descriptor for each queue; a guest brings two for each of both directions."""
    return 2 + 4 * port.queues if port.kind == "vhost-user" else port.queues
