"""A running switch that was made from a configuration file, without root."""

from __future__ import annotations

from pathlib import Path

from vswitch import configfile
from vswitch.configsource import Given, Source
from vswitch.service import Service


def dgram(folder: Path, name: str, extra: str = "") -> str:
    """A port between *folder*/NAME and *folder*/NAME-peer, as a file says it."""
    return f"""
[[port]]
kind = "dgram"
name = "{name}"
address = "{folder}/{name}"
remote = "{folder}/{name}-peer"
{extra}
"""


def from_file(file: Path, given: Given | None = None) -> Service:
    """What `vswitch run --config` makes of *file*; the caller closes its switch."""
    source = Source(configfile.load(file), given or Given())
    made = Service.made(source.config)
    made.source = source
    source.was_resolved(source.config)
    made.open()
    made.switch.start()
    return made
