"""A mirror as a table of a configuration file, ``[[mirror]]``, and back."""

from __future__ import annotations

from typing import Any

from vswitch.errors import ConfigError
from vswitch.mirrors import Mirror, source_texts
from vswitch.tomltext import Table

KEYS = ("name", "from", "vlan", "to")
NEEDED = ("name", "to")


def made(what: str, table: Table) -> Mirror:
    """The mirror that *table* says; errors begin with *what*, and have the key.

    Raises:
        ConfigError: it says none.
    """
    for key in table:
        if key not in KEYS:
            raise _about(key, f"{what}: unknown option {key!r}", f"options are: {', '.join(KEYS)}")
    for key in NEEDED:
        if not isinstance(table.get(key, ""), str):
            raise _about(key, f"{what}.{key} is text")
        if not table.get(key):
            raise ConfigError(f"{what}: {key} is missing")
    sources, vlans = (
        _words(what, table, "from", str),
        _words(what, table, "vlan", (int, str)),
    )
    try:
        return Mirror.parse(table["name"], sources=sources, vlans=vlans, target=table["to"])
    except ConfigError as e:
        raise ConfigError(f"{what}: {e}", hint=e.hint) from e


def _words(what: str, table: Table, key: str, types: type | tuple[type, ...]) -> str:
    """A text, or a list of some, as the command line has it."""
    value = table.get(key, "")
    if isinstance(value, str):
        return value
    words = value if isinstance(value, list) else [value]
    if not all(isinstance(word, types) and not isinstance(word, bool) for word in words):
        said = 'ports, as ["tap0", "tap1,in"]' if key == "from" else 'VLANs, as [10, "20-29"]'
        raise _about(key, f"{what}.{key} is {said}")
    return ",".join(map(str, words))


def _about(key: str, sentence: str, hint: str | None = None) -> ConfigError:
    error = ConfigError(sentence, hint=hint)
    error.key = key
    return error


def written(mirror: Mirror) -> dict[str, Any]:
    """The table that says *mirror*."""
    table: dict[str, Any] = {"name": mirror.name}
    if mirror.sources:
        table["from"] = source_texts(mirror.sources)
    if mirror.vids is not None:
        table["vlan"] = mirror.vids.text()
    return {**table, "to": mirror.target}
