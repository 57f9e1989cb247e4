"""The text of a configuration file: TOML with the lines its keys stand in, and values of options.

The grammar is `tomllib`'s, which does not tell where it found a value. A statement of TOML (a
header, or a key with its value) is one or more whole lines and parses alone, so the statement with
a key is the first with which the text up to there has that key.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from vswitch import vlanwords
from vswitch.config import reserved_names
from vswitch.errors import ConfigError
from vswitch.options import Option

STATEMENT_LINES_MAX = 200  # chosen by us: whoever writes longer values gets no lines in his errors
Table = Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """A text of TOML; *label* is what its errors begin with.

    Raises:
        ConfigError: it is none.
    """

    label: str
    text: str

    def __post_init__(self) -> None:
        assert self.table is not None

    @cached_property
    def table(self) -> Table:
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as e:
            raise ConfigError(self._placed(str(e))) from e
        except (ValueError, RecursionError) as e:  # an integer of 5,000 digits; [[[[[[...
            raise ConfigError(f"{self.label}: a value is too long, or nested too deep") from e

    def _placed(self, sentence: str) -> str:
        found = re.fullmatch(r"(.*) \(at line (\d+), column \d+\)", sentence, re.DOTALL)
        what = found[1] if found else sentence.removesuffix(" (at end of document)")
        line = int(found[2]) if found else self.text.rstrip().count("\n") + 1
        return f"{self.label}:{line}: {what[:1].lower()}{what[1:]}"

    def place(self, *keys: str | int) -> str:
        """Where *keys* lead to: ``lab.toml:12``."""
        ends = [0, *self._statement_ends]
        first = bisect_left(range(len(ends)), True, key=lambda i: self._holds(ends[i], keys))
        return f"{self.label}:{ends[first - 1] + 1}" if 0 < first < len(ends) else self.label

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.replace("\r\n", "\n").split("\n")

    @cached_property
    def _statement_ends(self) -> list[int]:
        """After how many lines each statement ends."""
        ends, start = [], 0
        for end in range(1, len(self._lines) + 1):
            if end - start > STATEMENT_LINES_MAX:
                return []
            if _parsed(self._lines[start:end]) is not None:
                ends.append(end)
                start = end
        return ends

    def _holds(self, end: int, keys: Iterable[str | int]) -> bool:
        found: Any = _parsed(self._lines[:end])
        for key in keys:
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return False
        return True


def _parsed(lines: Iterable[str]) -> Table | None:
    try:
        return tomllib.loads("\n".join(lines))
    except (ValueError, RecursionError):
        return None


# ---------------------------------------------------------------------- values of options


@dataclass(frozen=True, slots=True)
class Form:
    """How values of a type are in a file."""

    types: tuple[type, ...]  # besides text, as on the command line
    name: str
    told: Callable[[Any], Any] = lambda value: value
    within: tuple[type, ...] = (str,)  # a list


def _speed(value: float) -> float | str:
    return "max" if math.isinf(value) else value


# By `Option.returns`.
FORMS: Mapping[str, Form] = {
    "int": Form((int,), "a number"),
    "bool": Form((bool,), "true or false"),
    "float": Form((int, float), "a number", _speed),
    "str": Form((), "text"),
    "bytes": Form((), "text", lambda value: value.hex(":")),
    "Permissions": Form((), 'text, as "0660"', lambda value: f"{value:04o}"),
    "State": Form((), "text", lambda value: "forwarding" if value else "blocked"),
    "IPv4Interface | IPv6Interface": Form((), "text", str),
    "frozenset[int]": Form((list,), "a list of names", reserved_names),
    "VidSet": Form((int, list), 'VLANs, as [10, "20-29"]', lambda value: value.text(), (int, str)),
    "tuple[tuple[int, int], ...]": Form((list,), 'text, as "100:10"'),
    "tuple[str, ...]": Form((list,), "a list of addresses", list),
    "PortVlans | None": Form((), "text", vlanwords.text),
}


def form(option: Option) -> Form:
    """How values of *option* are in a file."""
    return FORMS[option.returns]


def as_text(what: str, option: Option, value: object) -> str:
    """*value* of a file as the command line spells it, for the reader of *option*.

    Raises:
        ConfigError: it is of another type; the sentence begins with *what*.
    """
    if isinstance(value, str):
        return value
    wanted = form(option)
    if type(value) not in wanted.types:
        raise ConfigError(f"{what} is {wanted.name}, not {_shown(value)}")
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        if value.bit_length() > 63:
            raise ConfigError(f"{what}: no number is so large")
        return str(value)
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    assert isinstance(value, list)
    if strange := [word for word in value if type(word) not in wanted.within]:
        raise ConfigError(f"{what} is {wanted.name}, not of {_shown(strange[0])}")
    return ",".join(map(str, value))


def _shown(value: object) -> str:
    """A value in an error: what it is, and itself if that is short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 63:
        return "such a number"
    return written(value) if isinstance(value, (bool, int, float, str)) else "a time"


# ---------------------------------------------------------------------- writing


def written(value: object) -> str:
    """A value in TOML: text, number, truth, or a list of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    assert isinstance(value, list)
    return f"[{', '.join(map(written, value))}]"


def written_table(head: str, values: Mapping[str, object]) -> str:
    """A table under its header, with a newline at the end."""
    return "".join([f"{head}\n", *(f"{key} = {written(v)}\n" for key, v in values.items())])
