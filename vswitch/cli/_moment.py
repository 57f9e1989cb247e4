"""How people say when something was."""

from __future__ import annotations

import re
import time
from datetime import datetime

from vswitch.errors import ConfigError

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DAY_S = 86400


def moment(text: str) -> float:
    """Seconds since 1970 of "10:05", "10:05:09", "-5m", "2026-11-23T10:05:09" or "@1795428309".

    Raises:
        ConfigError: it is none of these.
    """
    now_s = time.time()
    if found := re.fullmatch(r"-([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd]?)", text):
        return now_s - float(found[1]) * UNITS_S[found[2] or "s"]
    if found := re.fullmatch(r"@([0-9]{1,12}(?:\.[0-9]{1,9})?)", text):
        return float(found[1])
    try:
        if re.fullmatch(r"[0-9]{1,2}:.*", text):
            at_s = datetime.fromisoformat(f"{datetime.now().date()}T{text:0>5}").timestamp()
            return at_s if at_s <= now_s else at_s - DAY_S  # it was yesterday
        return datetime.fromisoformat(text).timestamp()
    except ValueError as e:
        raise ConfigError(
            f"not a time: {text!r}", hint="as 10:05, 10:05:09, 2026-11-23T10:05, or -5m"
        ) from e
