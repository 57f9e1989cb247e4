"""Something that is wrong, in one sentence, and the command that makes it right."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from urllib.parse import quote

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
    return _ask(switch, "DELETE", f"ports/{quote(port, safe='')}")


def add_port(switch: SwitchFacts, port: str) -> str:
    """The line that opens a port of a running switch; *port* as for ``--port``."""
    return _ask(switch, "POST", "ports", {"port": port})


def change_port(switch: SwitchFacts, port: str, **what: int) -> str:
    """The line that sets what is given of a port."""
    return _ask(switch, "PATCH", f"ports/{quote(port, safe='')}", what)


def _ask(switch: SwitchFacts, method: str, place: str, body: object = None) -> str:
    data = [] if body is None else ["--json", json.dumps(body)]
    url = f"http://vswitch/v1/{place}"
    return command(
        "curl", "--fail-with-body", "-sX", method, "--unix-socket", switch.api, *data, url
    )
