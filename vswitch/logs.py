"""Log lines on standard error: for people, or one JSON object each for programs.

Modules write ``log.info("port up name=%s", name)``: the event first, facts as ``key=value``.
"""

from __future__ import annotations

import json
import logging
import time


def set_up(*, verbose: bool, form: str) -> None:
    """Send what vswitch logs to standard error; *form* is ``text`` or ``json``."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if form == "json" else _TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # other people's libraries
    logging.getLogger("vswitch").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.raiseExceptions = False  # a reader of our log who left is no reason to complain


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(lowered)s: %(message)s", "%Y-%m-%d %H:%M:%S")

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
