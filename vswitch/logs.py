"""Log lines on standard error: for people, or one JSON object each for programs.

Modules write ``log.info("port up name=%s", name)``: the event first, facts as ``key=value``.

When standard error is the journal, which has the time itself, a line begins with its priority
instead (sd-daemon(3)), and so does each line of a traceback.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping

PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (0, 7),
)


def set_up(*, verbose: bool, form: str) -> None:
    """Send what vswitch logs to standard error; *form* is ``text`` or ``json``."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(form, journal=_is_journal(os.environ)))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # other people's libraries
    logging.getLogger("vswitch").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.raiseExceptions = False  # a reader of our log who left is no reason to complain


def _is_journal(environment: Mapping[str, str]) -> bool:
    """Whether standard error leads where JOURNAL_STREAM says (systemd.exec(5))."""
    try:
        here = os.fstat(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # there is none, or it is no file
        return False
    return environment.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"


def _formatter(form: str, *, journal: bool) -> logging.Formatter:
    inner = _JsonFormatter() if form == "json" else _TextFormatter(timed=not journal)
    return _JournalFormatter(inner) if journal else inner


class _JournalFormatter(logging.Formatter):
    """The lines of *inner*, each with its priority (syslog(3)) in front."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        priority = next(p for level, p in PRIORITIES if record.levelno >= level)
        lines = self._inner.format(record).split("\n")
        return "\n".join(f"<{priority}>{line}" for line in lines)


class _TextFormatter(logging.Formatter):
    def __init__(self, *, timed: bool) -> None:
        time_first = "%(asctime)s " if timed else ""
        super().__init__(time_first + "%(lowered)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.lowered = record.levelname.lower()
        return super().formatMessage(record)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)
