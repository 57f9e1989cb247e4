"""How much is tried of what is tried at random."""

from __future__ import annotations

import os

# What `make test` takes is little for each run, as every run tries something else; `make fuzz`
# takes more.
TIMES = float(os.environ.get("VSWITCH_EXAMPLES", "1"))


def examples(count: int) -> int:
    """*count* examples, or VSWITCH_EXAMPLES times as many if that is in the environment."""
    return max(1, round(count * TIMES))
