"""Mirrors, as facts: what passes some ports, or is of some VLANs, and the port that gets a copy.

    >>> Mirror.parse("watch", sources="tap0,tap1,in", vlans="10", target="mon0").text
    'watch from tap0,tap1,in vlan 10 to mon0'

A mirror takes what passes any of its sources, in the direction that is said of each; without
sources, what passes any port. With VLANs it takes only their frames. That is how Open vSwitch reads
``select_src_port``, ``select_dst_port``, ``select_all`` and ``select_vlan``
(ovs-vswitchd.conf.db(5)).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vswitch.errors import ConfigError
from vswitch.vlans import VidSet

DIRECTIONS = ("in", "out", "both")
MIRRORS_MAX = 32  # datapath/mirror.h


@dataclass(frozen=True, slots=True)
class Source:
    """A port that is looked at: what enters there, what leaves there, or both."""

    port: str
    direction: str = "both"


@dataclass(frozen=True, slots=True)
class Mirror:
    """A mirror by the names of ports.

    Raises:
        ConfigError: it mirrors nothing, or what it mirrors is its target.
    """

    name: str
    target: str
    sources: tuple[Source, ...] = ()  # none: all ports but the targets of mirrors
    vids: VidSet | None = None  # None: frames of all VLANs, and of none

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", self.name):
            raise ConfigError(
                f"mirror {self.name!r}: a name has 1 to 64 letters, digits, '_', '.' or '-'"
            )
        if not self.sources and self.vids is None:
            raise ConfigError(
                f"mirror {self.name}: what it mirrors is missing",
                hint="ports, VLANs or both: from PORT, vlan 10",
            )
        ports = [source.port for source in self.sources]
        for port in ports:
            if ports.count(port) > 1:
                raise ConfigError(f"mirror {self.name}: port {port} is given twice")
        if self.target in ports:
            raise ConfigError(
                f"mirror {self.name}: {self.target} cannot be mirrored to itself",
                hint="send it to another port, as record:FILE,name=NAME",
            )

    @classmethod
    def parse(cls, name: str, *, sources: str = "", vlans: str = "", target: str) -> Mirror:
        """Read the parts of a mirror as the command line has them.

        Raises:
            ConfigError: they make none.
        """
        vids = VidSet.parse(vlans, f"mirror {name}: vlan") if vlans else None
        return cls(name, target, parse_sources(name, sources), vids)

    @property
    def ports(self) -> tuple[str, ...]:
        """Those that it names, its target first."""
        return (self.target, *(source.port for source in self.sources))

    @property
    def text(self) -> str:
        """As the command line has it."""
        words = [self.name]
        if self.sources:
            words += ["from", sources_text(self.sources)]
        if self.vids is not None:
            words += ["vlan", self.vids.text()]
        return " ".join([*words, "to", self.target])

    def without(self, port: str) -> Mirror | None:
        """What is left of it when a port is gone; None: nothing."""
        left = tuple(source for source in self.sources if source.port != port)
        if self.target == port or (self.sources and not left):
            return None
        return replace(self, sources=left)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A mirror by the numbers of ports, as the datapath is told."""

    target: int
    into: frozenset[int] = frozenset()  # what enters there
    out: frozenset[int] = frozenset()  # what leaves there
    vids: VidSet | None = None


def check_apart(mirrors: Iterable[Mirrored]) -> None:
    """Raise ValueError if a target of *mirrors* is looked at: copies would be copied."""
    mirrors = tuple(mirrors)
    for mirror in mirrors:
        for target in {other.target for other in mirrors}:
            if target in mirror.into or target in mirror.out:
                raise ValueError(f"port {target} is the target of a mirror, and looked at by one")


def parse_sources(name: str, text: str) -> tuple[Source, ...]:
    """Read ``tap0,tap1,in``: ports, and behind each, if not both, the direction.

    Raises:
        ConfigError: a word is empty.
    """
    found: list[Source] = []
    open_ = False  # the last port has no direction yet
    for word in text.split(",") if text else ():
        if not word:
            raise ConfigError(f"mirror {name}: from: a port's name is missing in {text!r}")
        if open_ and word in DIRECTIONS:
            found[-1] = Source(found[-1].port, word)
            open_ = False
        else:
            found.append(Source(word))
            open_ = True
    return tuple(found)


def source_texts(sources: Iterable[Source]) -> list[str]:
    """Each as `parse_sources` reads them one after the other."""
    sources = tuple(sources)
    said = any(source.port in DIRECTIONS for source in sources)  # it could be taken for one
    return [f"{s.port},{s.direction}" if said or s.direction != "both" else s.port for s in sources]


def sources_text(sources: Iterable[Source]) -> str:
    """All of them, as `parse_sources` reads them."""
    return ",".join(source_texts(sources))


def check_together(mirrors: Iterable[Mirror]) -> None:
    """Raise ConfigError unless these can be mirrors of one switch."""
    mirrors = tuple(mirrors)
    if len(mirrors) > MIRRORS_MAX:
        raise ConfigError(f"a switch has at most {MIRRORS_MAX} mirrors, not {len(mirrors)}")
    targets = {mirror.target: mirror.name for mirror in mirrors}
    seen: set[str] = set()
    for mirror in mirrors:
        if mirror.name in seen:
            raise cannot_be(mirror, " is given twice", "each has its own name")
        seen.add(mirror.name)
        for source in mirror.sources:
            if other := targets.get(source.port):
                why = f": {source.port} is the target of mirror {other}, where nothing else passes"
                raise cannot_be(mirror, why)


def cannot_be(mirror: Mirror, why: str, hint: str | None = None) -> ConfigError:
    """The error that *mirror* cannot be beside what else there is; *why* ends the sentence."""
    member = f"mirror {mirror.name}"
    error = ConfigError(f"{member}{why}", hint=hint)
    error.member = member
    return error
