"""Sweeps of the loop detector through the VLANs of ports: complete, in time, at a bounded rate."""

from __future__ import annotations

import pytest

from vswitch.loopguard import PROBE_S
from vswitch.loopsweep import LEAST, MOST, SWEEP_S, Sweep

ROUNDS = int(SWEEP_S / PROBE_S)
ALL = list(range(1, 4095))


def turns(sweep, vids, n):
    return [sweep.turn(vids) for _ in range(n)]


@pytest.mark.parametrize("n_vids", [1, 7, LEAST, LEAST + 1, 320, 321, 4094])
def test_a_sweep_ends_in_time_and_asks_in_each_vlan(n_vids):
    asked = turns(Sweep(), {3: ALL[:n_vids]}, ROUNDS)

    assert {vid for turn in asked for vid in turn[3]} == set(ALL[:n_vids])
    assert max(len(turn[3]) for turn in asked) <= max(LEAST, n_vids // ROUNDS + 1)


def test_few_vlans_are_asked_in_within_a_second():
    asked = turns(Sweep(), {3: ALL[: 4 * LEAST]}, int(1 / PROBE_S))

    assert {vid for turn in asked for vid in turn[3]} == set(ALL[: 4 * LEAST])


def test_a_vlan_is_asked_in_once_a_round():
    assert Sweep().turn({3: [7, 8]}) == {3: [7, 8]}


def test_a_port_without_others_is_not_asked():
    assert Sweep().turn({3: []}) in ({}, {3: []})


@pytest.mark.parametrize("n_ports", [6, 100])
def test_beyond_the_rate_each_port_has_its_share_and_a_sweep_takes_longer(n_ports):
    vids = dict.fromkeys(range(n_ports), ALL)
    rounds = -(-n_ports * len(ALL) // (MOST - n_ports))  # shares are rounded down
    asked = turns(Sweep(), vids, rounds)

    assert max(sum(map(len, turn.values())) for turn in asked) <= MOST
    for port in vids:
        assert {vid for turn in asked for vid in turn[port]} == set(ALL)


def test_each_of_very_many_ports_is_asked_in_one():
    asked = Sweep().turn(dict.fromkeys(range(1000), ALL))

    assert {len(of) for of in asked.values()} == {1}


def test_other_vlans_begin_anew_where_the_old_ended():
    sweep = Sweep()
    turns(sweep, {3: ALL}, 7)

    asked = turns(sweep, {3: ALL[:20]}, 3)

    assert {vid for turn in asked for vid in turn[3]} == set(ALL[:20])
