"""Rates and sizes as tc(8) spells them: ``10mbit``, ``1000pps``; ``64kb``.

A rate of a port's setting is text in its shortest spelling, as `rate` returns it: it is the same on
the command line, in a file, in the API and in what is shown.
"""

from __future__ import annotations

import re
from fractions import Fraction

from vswitch.errors import ConfigError
from vswitch.options import in_range

RATE_MAX = (
    400_000_000_000  # bits or packets a second; no port is faster (IEEE 802.3-2022 clause 116)
)
SIZE_MAX = 1 << 30  # bytes, or packets
QUEUE_MIN, QUEUE_MAX = 65_568, 64 << 20  # bytes: the longest frame has room, and it is memory
_SI = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_IEC = {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
_SIZES = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20}
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
NONE = ("", "0", "off")


def rate(what: str, value: str) -> str:
    """Read a rate, ``off`` for none, which is returned as nothing.

    Raises:
        ConfigError: it is none, or beyond 1 to 400 gbit or as many packets.
    """
    if value in NONE:
        return ""
    found = re.fullmatch(_NUMBER + r"([a-z]*?)(bit|pps|bps)", value.lower())
    if found and found[3] == "bps":
        raise ConfigError(
            f"{what}: {value!r} are bytes to tc(8), and bits to others", hint="as 10mbit"
        )
    scale = found and (_SI | _IEC).get(found[2])
    if not found or not scale:
        raise ConfigError(
            f"{what}: not a rate: {value!r}", hint="as 10mbit, 1gbit, 1000pps, or off"
        )
    number = Fraction(found[1]) * scale
    if number.denominator != 1 or not 1 <= number <= RATE_MAX:
        raise ConfigError(f"{what} must be in 1bit..400gbit, or as many pps, not {value!r}")
    return _shortest(int(number), found[3])


def bit_rate(what: str, value: str) -> str:
    """The same, in bits.

    Raises:
        ConfigError: it is none, or in packets.
    """
    found = rate(what, value)
    if found.endswith("pps"):
        raise ConfigError(f"{what}: packets differ too much to leave at {value}", hint="as 10mbit")
    return found


def _shortest(number: int, unit: str) -> str:
    prefix, scale = max(
        ((p, s) for p, s in _SI.items() if number % s == 0), key=lambda found: found[1]
    )
    return f"{number // scale}{prefix}{unit}"


def parse(text: str) -> tuple[int, bool] | None:
    """A rate that `rate` can read: bits a second and True, or packets and False; None for none."""
    found = re.fullmatch(r"([0-9]+)([kmgt]?)(bit|pps)", rate("rate", text))
    return found and (int(found[1]) * _SI[found[2]], found[3] == "bit")


def size(what: str, value: str) -> int:
    """Read a size in bytes, as 64kb, kb being 1024; of a rate in packets it is their number.

    Raises:
        ConfigError: it is none, or beyond 1 GiB.
    """
    return in_range(what, _size(what, value), 0, SIZE_MAX)


def _size(what: str, value: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15})([a-z]*)", value.lower())
    if not found or found[2] not in _SIZES:
        raise ConfigError(f"{what}: not a size: {value!r}", hint="as 65536, 64kb or 1mb")
    return int(found[1]) * _SIZES[found[2]]


def queue_size(what: str, value: str) -> int:
    """The same of a queue: 0, or 65568 bytes to 64 MiB."""
    found = _size(what, value)
    return found and in_range(what, found, QUEUE_MIN, QUEUE_MAX)
