"""Captures on disk: read whole, and opened to be written."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from vswitch.errors import ConfigError
from vswitch.wire import capture
from vswitch.wire.record import Record

log = logging.getLogger(__name__)


def load(path: Path) -> list[Record]:
    """The frames of the capture at *path*, in order of time; equal times as in the file.

    A frame that was cut when it was captured is as long as what there is of it.

    Raises:
        CaptureError: it is no capture.
        ConfigError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path}: cannot read the capture: {e.strerror}") from e
    records = sorted(capture.read(data, os.fspath(path)), key=_time_of)
    if cut := sum(record.wire_len > len(record.frame) for record in records):
        log.warning(
            "frames were cut when they were captured, and enter as they are there "
            "frames=%d of=%d file=%s",
            cut, len(records), path,
        )  # fmt: skip
    return records


def _time_of(record: Record) -> int:
    return record.time_ns
