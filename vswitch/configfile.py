"""A switch's configuration as a file, and a file as a switch's configuration.

    [switch]            # options of "vswitch run" about the whole
    name = "lab"
    ageing = 600
    forward = ["stp", "lldp"]

    [[port]]            # one for each --port: its kind, what stands behind "kind:", its options
    kind = "tap"
    name = "tap0"
    queues = 4

    [[port]]
    port = "qemu:/run/vm.sock"  # or as the command line has it; more options may follow

    [[listen]]          # the same for each --listen
    kind = "qemu"
    address = "/run/lan.sock"
    mode = "0660"

    [[station]]         # a static entry of the forwarding database; sticky = true: one that ages
    mac = "02:00:00:00:00:01"
    port = "tap0"

    [[mirror]]          # a copy of what passes some ports, or is of some VLANs
    name = "watch"
    from = "vm,in"
    vlan = [10, "20-29"]
    to = "tap0"

    [[neigh]]           # a station that has an address, for ports with neigh-suppress
    ip = "192.0.2.1"
    lladdr = "02:00:00:00:00:01"

    [run]               # all other options of "vswitch run"
    log-format = "json"

Which keys there are is known to `config.OPTIONS`, `portconfig.KINDS` and `portconfig.LISTENERS`,
and for ``[run]`` to the command line. A value is what those read: as on the command line, in
quotes, or a number, true or false, a list. Several files make one configuration: ports of all,
everything else in one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from vswitch import config as switchconfig
from vswitch import mirrortable, neightable
from vswitch.config import STATION_OPTIONS, StationConfig, SwitchConfig
from vswitch.errors import ConfigError
from vswitch.mirrors import Mirror
from vswitch.neighbours import Neighbour, named
from vswitch.options import Option
from vswitch.portconfig import KINDS, LISTENERS, PortConfig
from vswitch.porttable import parts, written_port
from vswitch.tomltext import Document, Table, as_text, form, written_table

Made = TypeVar("Made")
BYTES_MAX = 1 << 22  # chosen by us: a thousand ports take 100 KiB
TABLES = {
    "switch": dict,
    "port": list,
    "listen": list,
    "station": list,
    "mirror": list,
    "neigh": list,
    "run": dict,
}
OTHER_TABLES = {
    "mirror": tuple(mirrortable.KEYS),
    "neigh": tuple(neightable.KEYS),
}  # with their keys


@dataclass(frozen=True)
class Contents:
    """What was read; `config` makes a configuration of it."""

    label: str
    switch: Mapping[str, Any] = field(default_factory=dict)  # fields of `SwitchConfig`
    ports: tuple[PortConfig, ...] = ()
    listeners: tuple[PortConfig, ...] = ()
    stations: tuple[StationConfig, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    run_places: Mapping[str, str] = field(default_factory=dict)  # where each of those stands
    # Says where a port or station stands, by its name or address (the last of those), which takes
    # a while.
    member_places: Mapping[str, Callable[[], str]] = field(default_factory=dict, compare=False)
    mirrors: tuple[Mirror, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

    def config(self) -> SwitchConfig:
        """
        Raises:
            ConfigError: these cannot be together.
        """
        try:
            return SwitchConfig(
                ports=self.ports,
                listeners=self.listeners,
                stations=self.stations,
                mirrors=self.mirrors,
                neighbours=self.neighbours,
                **self.switch,
            )
        except ConfigError as e:
            place = self.member_places.get(e.member or "", lambda: self.label)
            raise ConfigError(f"{place()}: {e}", hint=e.hint) from e

    def with_(
        self,
        switch: Mapping[str, Any],
        ports: Iterable[PortConfig] = (),
        listeners: Iterable[PortConfig] = (),
    ) -> Contents:
        """This and what the command line says, which wins: a port of its name is replaced."""
        return replace(
            self,
            switch={**self.switch, **switch},
            ports=_replaced(self.ports, ports, lambda p: p.name),
            listeners=_replaced(self.listeners, listeners, lambda p: (p.kind, p.address)),
        )


def _replaced(
    old: Iterable[PortConfig], new: Iterable[PortConfig], key: Callable[[PortConfig], object]
) -> tuple[PortConfig, ...]:
    new = tuple(new)
    taken = {key(port) for port in new}
    return (*(port for port in old if key(port) not in taken), *new)


# ---------------------------------------------------------------------- reading


def load(path: Path) -> Contents:
    """Read a file, or all ``*.toml`` of a folder in order of name.

    Raises:
        ConfigError: there is something wrong with it: each mistake, with file, line and key.
    """
    if not path.is_dir():
        return read([_document(path)], str(path))
    files = sorted(file for file in path.glob("*.toml") if not file.name.startswith("."))
    if not files:
        raise ConfigError(f"{path}: no *.toml is in that folder")
    return read([_document(file) for file in files], str(path))


def loads(text: str, label: str = "configuration") -> Contents:
    """Read a text; *label* is what its errors begin with."""
    return read([Document(label, text)], label)


def _document(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}") from e
    if len(content) > BYTES_MAX:
        raise ConfigError(f"{path}: more than {BYTES_MAX} bytes: this is no configuration")
    try:
        return Document(str(path), content.decode())
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8") from e


def read(documents: Sequence[Document], label: str) -> Contents:
    """Read what *documents* say together.

    Raises:
        ConfigError: as `load`.
    """
    reading = _Reading(label)
    for document in documents:
        reading.add(document)
    return reading.done()


class _Reading:
    """Reads documents one after the other, and collects what is wrong with them."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._errors: list[tuple[str, str | None]] = []  # sentence and hint
        self._switch: dict[str, Any] = {}
        self._run: dict[str, Any] = {}
        self._ports: list[PortConfig] = []
        self._listeners: list[PortConfig] = []
        self._stations: list[StationConfig] = []
        self._mirrors: list[Mirror] = []
        self._neighbours: list[Neighbour] = []
        self._places: dict[tuple[str, str], str] = {}  # of (table, key), to be given once
        self._members: dict[str, Callable[[], str]] = {}  # places of what must fit together

    def add(self, document: Document) -> None:
        for name, table in document.table.items():
            if self._is_table(document, name, table):
                getattr(self, f"_add_{name}")(document, table)

    def done(self) -> Contents:
        if self._errors:
            raise _all_of(self._errors)
        places = {key: at for (table, key), at in self._places.items() if table == "run"}
        return Contents(
            self._label,
            self._switch,
            tuple(self._ports),
            tuple(self._listeners),
            tuple(self._stations),
            self._run,
            places,
            self._members,
            tuple(self._mirrors),
            tuple(self._neighbours),
        )

    def _is_table(self, document: Document, name: str, table: object) -> bool:
        at = document.place(name) if name not in TABLES else ""
        if name not in TABLES:
            tables = ", ".join(t for t in TABLES)
            self._wrong(f"{at}: unknown table {name!r}", f"tables are: {tables}")
            return False
        many = TABLES[name] is list
        if many and isinstance(table, list) and all(isinstance(one, dict) for one in table):
            return True
        if not many and isinstance(table, dict):
            return True
        spelled = f"a table for each: [[{name}]]" if many else f"a table: [{name}]"
        self._wrong(f"{document.place(name)}: {name} is {spelled}")
        return False

    def _add_switch(self, document: Document, table: Table) -> None:
        for key, value in self._once(document, "switch", table):
            if key not in switchconfig.OPTIONS:
                hint = f"options are: {', '.join(switchconfig.OPTIONS)}"
                self._wrong(f"{self._places['switch', key]}: switch has no option {key!r}", hint)
                continue
            option, place = switchconfig.OPTIONS[key], self._places["switch", key]
            self._switch[option.field] = self._value(place, f"switch.{key}", option, value)

    def _add_run(self, document: Document, table: Table) -> None:
        self._run.update(self._once(document, "run", table))

    def _once(self, document: Document, name: str, table: Table) -> Iterator[tuple[str, Any]]:
        """The items that no earlier document had."""
        for key, value in table.items():
            place = document.place(name, key)
            if before := self._places.get((name, key)):
                self._wrong(f"{place}: {name}.{key} is given in {before}, too")
                continue
            self._places[name, key] = place
            yield key, value

    def _add_port(self, document: Document, tables: Sequence[Table]) -> None:
        for i, table in enumerate(tables):
            self._ports += self._member(document, "port", i, table, PortConfig.made)

    def _add_listen(self, document: Document, tables: Sequence[Table]) -> None:
        for i, table in enumerate(tables):
            self._listeners += self._member(document, "listen", i, table, PortConfig.made_listener)

    def _member(
        self,
        document: Document,
        name: str,
        index: int,
        table: Table,
        make: Callable[..., PortConfig],
    ) -> list[PortConfig]:
        """The port of a table; none if something is wrong with it, of which each key is said."""
        what, rest = f"{name}[{index + 1}]", dict(table)
        wrong = False
        while True:
            try:
                kind, address, options = parts(what, name, rest)
                made = make(kind, address, options, what=what, dot=".")
                self._members[made.name] = partial(document.place, name, index)
                return [] if wrong else [made]
            except ConfigError as e:
                if e.key is None and wrong:  # it may only follow from what was left out
                    return []
                key = [e.key] if e.key is not None and e.key in table else []
                self._wrong(f"{document.place(name, index, *key)}: {e}", e.hint)
                if e.key is None or e.key not in rest:
                    return []
                del rest[e.key]
                wrong = True

    def _add_station(self, document: Document, tables: Sequence[Table]) -> None:
        for i, table in enumerate(tables):
            what, errors, found = f"station[{i + 1}]", len(self._errors), {}
            for key, value in table.items():
                place = document.place("station", i, key)
                if key not in STATION_OPTIONS:
                    hint = f"options are: {', '.join(STATION_OPTIONS)}"
                    self._wrong(f"{place}: {what}: unknown option {key!r}", hint)
                    continue
                option = STATION_OPTIONS[key]
                found[option.field] = self._value(place, f"{what}.{key}", option, value)
            for key in ("mac", "port"):
                if key not in table:
                    self._wrong(f"{document.place('station', i)}: {what}: {key} is missing")
            if len(self._errors) == errors:
                self._stations.append(StationConfig(**found))
                mac = self._stations[-1].mac.hex(":")
                self._members[mac] = partial(document.place, "station", i)

    def _add_mirror(self, document: Document, tables: Sequence[Table]) -> None:
        for i, made in self._made(document, "mirror", tables, mirrortable.made):
            self._mirrors.append(made)
            self._members[f"mirror {made.name}"] = partial(document.place, "mirror", i)

    def _add_neigh(self, document: Document, tables: Sequence[Table]) -> None:
        for i, made in self._made(document, "neigh", tables, neightable.made):
            self._neighbours.append(made)
            self._members[f"neighbour {named(made.key)}"] = partial(document.place, "neigh", i)

    def _made(
        self,
        document: Document,
        name: str,
        tables: Sequence[Table],
        make: Callable[[str, Table], Made],
    ) -> Iterator[tuple[int, Made]]:
        """What *make* makes of tables, numbered; of those it makes nothing of, it is said why."""
        for i, table in enumerate(tables):
            try:
                yield i, make(f"{name}[{i + 1}]", table)
            except ConfigError as e:
                key = [e.key] if e.key is not None else []
                self._wrong(f"{document.place(name, i, *key)}: {e}", e.hint)

    def _value(self, place: str, what: str, option: Option, value: object) -> Any:
        """A value read; None if it is wrong."""
        try:
            return option.reader(what, as_text(what, option, value))
        except ConfigError as e:
            self._wrong(f"{place}: {e}", e.hint)
            return None

    def _wrong(self, sentence: str, hint: str | None = None) -> None:
        self._errors.append((sentence, hint))


def _all_of(errors: Sequence[tuple[str, str | None]]) -> ConfigError:
    if len(errors) == 1:
        return ConfigError(errors[0][0], hint=errors[0][1])
    return ConfigError("\n".join(f"{e} ({hint})" if hint else e for e, hint in errors))


# ---------------------------------------------------------------------- writing


def tables(config: SwitchConfig, run: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """*config* as a file has it; what is as by default is left out."""
    made: dict[str, Any] = {
        "switch": _switch_table(config),
        "port": [written_port(port, KINDS) for port in config.ports],
        "listen": [written_port(place, LISTENERS) for place in config.listeners],
        "station": [_station_table(station) for station in config.stations],
        "mirror": [mirrortable.written(mirror) for mirror in config.mirrors],
        "neigh": [neightable.written(neighbour) for neighbour in config.neighbours],
        "run": dict(run or {}),
    }
    return {name: table for name, table in made.items() if table}


def dumps(config: SwitchConfig, run: Mapping[str, Any] | None = None) -> str:
    """*config* as the text of a file, `loads` of which is equal."""
    parts = []
    for name, table in tables(config, run).items():
        many = TABLES[name] is list
        head = f"[[{name}]]" if many else f"[{name}]"
        parts += [written_table(head, one) for one in (table if many else [table])]
    return "\n".join(parts)


def _switch_table(config: SwitchConfig) -> Table:
    default = SwitchConfig()
    table = {"name": config.name}
    for key, option in switchconfig.OPTIONS.items():
        value = getattr(config, option.field)
        if value != getattr(default, option.field):
            table[key] = form(option).told(value)
    return table


def _station_table(station: StationConfig) -> Table:
    told = {"mac": station.mac.hex(":"), "port": station.port}
    more = {"vid": station.vid, "sticky": station.sticky}
    return {**told, **{key: value for key, value in more.items() if value}}
