"""In which VLANs the loop detector asks in a round: the ports' VLANs in turn, at a bounded rate.

A loop may be in one VLAN only, so each of a port's is asked in. A sweep through all of them ends
within SWEEP_S, in VLANs as many as LEAST in one round, as long as MOST probes a round suffice for
that; beyond, ports get their shares of those, and a sweep takes as many seconds as there are pairs
of a port and a VLAN, divided by MOST / PROBE_S = 2,048.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vswitch.loopguard import PROBE_S

# Chosen by us.
SWEEP_S = 10
LEAST = 8  # VLANs of a port in one round: of so few, or four times as many, within a second
MOST = 512  # probes in one round, of all ports; one of each port always
_ROUNDS = int(SWEEP_S / PROBE_S)


class Sweep:
    """Where in its VLANs each port is."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}

    def turn(self, vids: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """For each port, of its VLANs those that are asked in next."""
        shares = {p: min(len(of), max(LEAST, -(-len(of) // _ROUNDS))) for p, of in vids.items()}
        wanted = sum(shares.values())
        if wanted > MOST:
            shares = {p: max(1, share * MOST // wanted) for p, share in shares.items() if share}
        asked = {port: self._next(port, vids[port], share) for port, share in shares.items()}
        self._at = {port: self._at[port] for port in asked}  # others are gone
        return asked

    def _next(self, port: int, vids: Sequence[int], n: int) -> list[int]:
        at = self._at.get(port, 0) % max(1, len(vids))
        self._at[port] = at + n
        return [*vids[at : at + n], *vids[: max(0, at + n - len(vids))]]
