"""A port as a table of a configuration file: ``[[port]]``, ``[[listen]]``, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from vswitch.errors import ConfigError
from vswitch.portconfig import (
    AUTO,
    KINDS,
    LISTENERS,
    LISTS,
    OPTIONS,
    Kind,
    PortConfig,
    Word,
    split,
)
from vswitch.tomltext import Table, as_text, form
from vswitch.vlanwords import SYNONYMS
from vswitch.vlanwords import words as vlan_words

_DEFAULTS = {f.name: f.default for f in fields(PortConfig)}


def parts(what: str, name: str, table: Table) -> tuple[str | None, str, list[Word]]:
    """A table as the parts of a port: kind, address and options; *name* is the table's.

    Raises:
        ConfigError: it has a value of a type that no port has there.
    """
    table = dict(table)
    for key in (name, "kind", "name", "address"):
        if key in table and not isinstance(table[key], str):
            raise _about(key, f"{what}.{key} is text")
    whole = table.pop(name, None)
    if whole is None:
        kind, address, options = _head(what, table, LISTENERS if name == "listen" else KINDS)
    elif "kind" in table:
        raise _about("kind", f"{what}: {name} and kind exclude one another")
    else:
        kind, address, options = split(whole)
    for key, value in table.items():
        options += _spelled(what, key, value)
    return kind, address, options


def _head(
    what: str, table: dict[str, Any], kinds: Mapping[str, Kind]
) -> tuple[str | None, str, list[Word]]:
    """The kind and what would stand behind it, taken out of *table*."""
    kind = table.pop("kind", None)
    known = kinds.get(kind or AUTO)
    key = "address" if known and "name" in known.options else "name"  # a device is its name
    if known and key not in table:
        raise ConfigError(f"{what}: {key} is missing")
    return kind, table.pop(key, ""), []


def _spelled(what: str, key: str, value: object) -> list[Word]:
    """An option's values as the command line spells them."""
    option = OPTIONS.get(SYNONYMS.get(key, key))
    if option is None:
        return [(key, "")]  # it will be refused
    values = value if key in LISTS and isinstance(value, list) else [value]
    try:
        return [(key, as_text(f"{what}.{key}", option, one)) for one in values]
    except ConfigError as e:
        e.key = key
        raise


def _about(key: str, sentence: str) -> ConfigError:
    error = ConfigError(sentence)
    error.key = key
    return error


def _plain(said: str) -> int | bool | str:
    """A word's value as people write it in a file."""
    if said.isdecimal():
        return int(said)
    return False if said == "off" else said


def written_port(port: PortConfig, kinds: Mapping[str, Kind]) -> Table:
    """*port* as a table; what is as by default is left out."""
    known = kinds[port.kind].options
    table: dict[str, Any] = {} if port.kind == AUTO else {"kind": port.kind}
    if "name" in known:
        table["address"] = port.address
    table["name"] = port.name
    done = {"name"}
    for key, option in OPTIONS.items():
        name, value = option.field, getattr(port, option.field)
        if name == "vlans":
            table |= {word: _plain(said) for word, said in vlan_words(port.vlans).items()}
            done.add(name)
        if key in known and name not in done and value != _DEFAULTS[name]:
            told = form(option).told
            table[key] = [told(one) for one in value] if key in LISTS else told(value)
            done.add(name)
    return table
