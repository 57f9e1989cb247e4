"""Something that is wrong, in one sentence, and the command that makes it right."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from vswitch.doctor.facts import SwitchFacts

SEVERITIES = ("error", "warning", "note")  # worst first; a note leaves the exit status at 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    check: str
    severity: str
    text: str
    switch: str = ""  # "" if it is the host's
    port: str = ""
    fix: str = ""  # for a shell; "" where no command does it


def command(*words: str | int) -> str:
    """A line that can be pasted."""
    return shlex.join(map(str, words))


def remove_port(switch: SwitchFacts, port: str) -> str:
    """The line that takes a port out of a running switch."""
    return _vswitch(switch, "port", "del", port)


def add_port(switch: SwitchFacts, port: str) -> str:
    """The line that opens a port of a running switch; *port* as for ``--port``."""
    return _vswitch(switch, "port", "add", port)


def change_port(switch: SwitchFacts, port: str, *settings: str | int) -> str:
    """The line that changes settings of a port."""
    return _vswitch(switch, "link", "set", "dev", port, *settings)


def _vswitch(switch: SwitchFacts, noun: str, verb: str, *words: str | int) -> str:
    # "--", for a device may be called "-x".
    return command("vswitch", noun, verb, "--api", switch.api, "--", *words)
