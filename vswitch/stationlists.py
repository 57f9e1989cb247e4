"""Which stations, in order of address: a picture of the forwarding database, cut into lists.

A million stations are 16 MB as C writes them, and many times that as objects; so they are chosen
and sorted as an array, and become objects a list at a time. numpy takes a moment, and
some memory, to load; so this is imported by who needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vswitch.status import ROW, Station


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which stations are meant; what is None does not matter."""

    port: int | None = None
    mac: bytes | None = None
    vid: int | None = None
    static: bool | None = None


def in_order(
    rows: np.ndarray[Any, Any], names: Mapping[int, str], chosen: Chosen, *, size: int
) -> Iterator[list[Station]]:
    """The *chosen* of *rows* as lists of at most *size*; ports without a name are left out.

    All that takes long is done when this returns.
    """
    kept = np.isin(rows["port"], list(names) if chosen.port is None else [chosen.port])
    if chosen.mac is not None:
        kept &= (rows["mac"] == np.frombuffer(chosen.mac, "u1")).all(axis=1)
    if chosen.vid is not None:
        kept &= rows["vid"] == chosen.vid
    if chosen.static is not None:
        kept &= (rows["static"] != 0) == chosen.static
    found = rows[kept]
    wide = np.zeros((len(found), 8), "u1")
    wide[:, 2:] = found["mac"]
    key = wide.view(">u8").astype("u8").ravel() << np.uint64(12) | found["vid"].astype("u8")
    return _lists(found[np.argsort(key)], dict(names), size)


def _lists(
    rows: np.ndarray[Any, Any], names: Mapping[int, str], size: int
) -> Iterator[list[Station]]:
    for start in range(0, len(rows), size):
        part = rows[start : start + size].tobytes()
        yield [Station.of_row(row, names[row[2]]) for row in ROW.iter_unpack(part)]
