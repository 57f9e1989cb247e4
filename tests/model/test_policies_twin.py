"""Two switches, one on each core, through the same changes of all that can be set.

Ports come and go, and have VLANs, flags, limits, guards, mirrors, stations, backups; cables are
pulled. After each change both have sent, counted and told the same and know the same, and every
frame is accounted for.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.frames import BROADCAST, mac
from support.lab import Lab, check_balance
from tests.fuzz import policies
from vswitch.guarding import SwitchGuards

SALT = bytes(16)
NAMES = [f"p{n}" for n in range(5)]
STEPS = 60
SPECIAL = [BROADCAST, bytes.fromhex("01005e000001"), bytes.fromhex("0180c200000e")]
TAGS = [b"", b"", b"\x81\0\0\5", b"\x81\0\xe0\0", b"\x88\xa8\0\5\x81\0\0\5", b"\x91\0\0\5"]
RATES = ["", "", "1pps", "8kbit", "400gbit"]


class Twin:
    """One of the two."""

    def __init__(self, core: str, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.lab = Lab(core=core, salt=SALT, fdb_limit=20, ageing_s=5)
        for name in NAMES:
            self.lab.add(name)
        self.sent: list[dict[str, list[bytes]]] = []

    def some(self, values):
        return values[int(self.rng.integers(0, len(values)))]

    def frame(self) -> bytes:
        dst = self.some([*map(mac, range(16)), *SPECIAL])
        data = dst + self.some([*map(mac, range(16))]) + self.some(TAGS)
        return (data + b"\x08\0".ljust(1510, b"v"))[: self.some([13, 17, 60, 60, 60, 1514, 1518])]

    def step(self) -> None:
        switch, port = self.lab.switch, self.some(NAMES)
        match self.some("ssssppplrgat"):
            case "s":
                for name in NAMES:
                    self.lab.ports[name].send([self.frame() for _ in range(self.some([0, 1, 9]))])
                switch.poll()
                self.sent.append(self.lab.receive())
            case "p":
                policies.change(switch, self.rng, probes=False)
            case "l":
                switch.set_port(port, police=self.some(RATES), storm_unknown=self.some(RATES))
            case "r":
                switch.remove_port(port)
                del self.lab.ports[port]
                self.lab.ports = {**self.lab.ports, port: self.lab.add(port)}
                switch.set_port(port, fdb_limit=self.some([0, 1, 3]))
            case "g":
                switch.set_guards(SwitchGuards(move_guard_s=self.some([0, 0, 3])))
                switch.set_port(port, allow_mac=self.some([(), (mac(3).hex(":"),)]))
            case "a":
                forwarding, learning = (self.some([True, True, False]) for _ in range(2))
                switch.set_port(port, forwarding=forwarding, learning=learning)
            case "t":
                self.lab.clock.advance(self.some([1, 6]))

    def told(self) -> dict[str, object]:
        """All that can be seen of it."""
        switch = self.lab.switch
        return {
            "sent": self.sent.pop() if self.sent else {},
            "ports": {s.name: s for s in switch.port_statuses()},
            "vlans": switch.vlan_statuses(),
            "stations": switch.stations(),
            "fdb": switch.fdb_counters(),
            "mirrors": [mirror.text for mirror in switch.mirrors.all],
            # Those of one sweep in any order: in that of places, which only one of them has.
            "events": sorted(map(repr, switch.observer.events())),
        }


@settings(max_examples=examples(4), deadline=None)
@given(st.integers(0, 2**32))
def test_both_cores_do_the_same_whatever_is_set(seed):
    one, other = Twin("c", seed), Twin("python", seed)
    try:
        for _ in range(STEPS):
            one.step()
            other.step()
            ours, theirs = one.told(), other.told()
            for what, value in ours.items():
                assert value == theirs[what], what
            for status in ours["ports"].values():
                check_balance(status)
    finally:
        one.lab.close()
        other.lab.close()
