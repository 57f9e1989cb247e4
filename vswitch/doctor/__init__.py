"""What is wrong with this host and its switches, and the command that makes it right.

Facts are gathered once (`gather.py`); each check is a pure function from them to findings, so a
test can make up a host with any fault. `checks.py` has the table.
"""

from __future__ import annotations

from vswitch.doctor.checks import CHECKS, Report, diagnose
from vswitch.doctor.facts import Device, Facts, Holder, Host, SwitchFacts
from vswitch.doctor.finding import Finding
from vswitch.doctor.gather import gather

__all__ = [
    "CHECKS",
    "Device",
    "Facts",
    "Finding",
    "Holder",
    "Host",
    "Report",
    "SwitchFacts",
    "diagnose",
    "gather",
]
