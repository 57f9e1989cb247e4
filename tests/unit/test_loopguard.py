"""The loop guard: what follows from probes that come back, without a clock."""

from __future__ import annotations

import pytest

from vswitch.loopguard import HOLD_MAX_S, PROBE_S, QUIET_S, Found, Loop, LoopGuard, Over

LOOP = Loop(port=2, other=1, vid=7)


def hear(guard, sender, port, begin_s, end_s):
    """A probe every PROBE_S, with a look each time; what follows, with its times."""
    found, now_s = [], begin_s
    while now_s < end_s:
        found += [(now_s, action) for action in guard.heard(sender, port, 7, now_s)]
        found += [(now_s, action) for action in guard.look(now_s)]
        now_s += PROBE_S
    return found


@pytest.mark.parametrize(("sender", "port"), [(1, 2), (2, 1)])
def test_the_port_with_the_higher_number_is_held(sender, port):
    guard = LoopGuard(10)

    assert guard.heard(sender, port, 7, 0) == [Found(LOOP, 10)]
    assert guard.held == {2}


def test_a_port_that_hears_itself_is_held():
    guard = LoopGuard(10)

    assert guard.heard(3, 3, 0, 0) == [Found(Loop(3, 3, 0), 10)]


def test_what_is_held_already_is_told_once():
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)

    assert guard.heard(2, 1, 7, 0) == guard.heard(1, 2, 7, 1) == []


def test_a_held_port_breaks_other_loops_through_it():
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)

    assert guard.heard(2, 3, 7, 0) == []
    assert guard.heard(1, 3, 7, 0) == [Found(Loop(3, 1, 7), 10)]


def test_a_port_is_free_when_its_time_is_over_and_nothing_came_back():
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)

    assert guard.look(9.9) == []
    assert guard.due_s == 10
    assert guard.look(10) == [Over(LOOP)]
    assert guard.held == frozenset()
    assert guard.due_s is None


def test_a_loop_that_stays_keeps_its_port_down_for_longer_and_longer():
    guard = LoopGuard(10)
    assert hear(guard, 1, 2, 0, 11) == [(0, Found(LOOP, 10))]
    assert guard.due_s == 30  # 10 + 20
    hear(guard, 1, 2, 11, 31)

    assert guard.due_s == 70
    assert guard.look(70) == [Over(LOOP)]


def test_a_loop_that_comes_again_soon_is_held_for_twice_as_long():
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)
    guard.look(10)

    assert guard.heard(1, 2, 7, 15) == [Found(LOOP, 20)]
    guard.look(35)
    assert guard.heard(1, 2, 7, 35) == [Found(LOOP, 40)]


def test_a_loop_that_comes_again_late_is_a_new_one():
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)
    guard.look(10)

    assert guard.heard(1, 2, 7, 20.5) == [Found(LOOP, 10)]


def test_no_port_is_held_for_ever():
    guard = LoopGuard(10)
    now_s, holds = 0.0, []
    for _ in range(9):
        [found] = guard.heard(1, 2, 7, now_s)
        holds.append(found.hold_s)
        now_s += found.hold_s
        guard.look(now_s)

    assert max(holds) == HOLD_MAX_S


def test_reporting_holds_nothing_and_ends_when_it_is_quiet():
    guard = LoopGuard(0)

    assert hear(guard, 1, 2, 0, 5) == [(0, Found(LOOP, None))]
    assert (guard.held, guard.looped) == (frozenset(), {2})
    assert guard.look(4.75 + QUIET_S - 0.01) == []
    assert guard.look(4.75 + QUIET_S) == [Over(LOOP)]
    assert guard.heard(1, 2, 7, 9) == [Found(LOOP, None)]


@pytest.mark.parametrize("gone", [1, 2])
def test_a_loop_is_over_when_one_of_its_ports_goes(gone):
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)

    assert guard.forget(gone) == [Over(LOOP)]
    assert guard.forget(gone) == []


def test_the_end_frees_all():
    guard = LoopGuard(10)
    guard.heard(1, 2, 7, 0)

    assert guard.end() == [Over(LOOP)]
    assert guard.due_s is None
