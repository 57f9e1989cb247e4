"""A neighbour as a table of a configuration file, ``[[neigh]]``, and back."""

from __future__ import annotations

from typing import Any

from vswitch.errors import ConfigError
from vswitch.neighbours import Neighbour
from vswitch.tomltext import Table

KEYS = {"ip": str, "lladdr": str, "vlan": int, "router": bool}
NEEDED = ("ip", "lladdr")
SAID = {str: "text", int: "a number", bool: "true or false"}


def made(what: str, table: Table) -> Neighbour:
    """The neighbour that *table* says; errors begin with *what*, and have the key.

    Raises:
        ConfigError: it says none.
    """
    for key, value in table.items():
        if key not in KEYS:
            raise _about(key, f"{what}: unknown option {key!r}", f"options are: {', '.join(KEYS)}")
        if type(value) is not KEYS[key]:  # True is an int as well
            raise _about(key, f"{what}.{key} is {SAID[KEYS[key]]}")
    for key in NEEDED:
        if not table.get(key):
            raise ConfigError(f"{what}: {key} is missing")
    try:
        return Neighbour.parse(
            table["ip"],
            table["lladdr"],
            vlan=str(table.get("vlan", "")),
            router=table.get("router", False),
        )
    except ConfigError as e:
        raise ConfigError(f"{what}: {e}", hint=e.hint) from e


def _about(key: str, sentence: str, hint: str | None = None) -> ConfigError:
    error = ConfigError(sentence, hint=hint)
    error.key = key
    return error


def written(neighbour: Neighbour) -> dict[str, Any]:
    """The table that says *neighbour*."""
    table: dict[str, Any] = {"ip": neighbour.address, "lladdr": neighbour.mac.hex(":")}
    if neighbour.vid:
        table["vlan"] = neighbour.vid
    return {**table, "router": True} if neighbour.router else table
