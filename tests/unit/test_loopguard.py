"""The loop guard: what follows from probes that come back, without a clock."""

from __future__ import annotations

import pytest

from vswitch.loopguard import BY_CHANCE, HOLD_MAX_S, PROBE_S, QUIET, Found, Loop, LoopGuard, Over

LOOP = Loop(port=2, other=1, vid=7)
QUIET_S = QUIET * PROBE_S


def guard_of(hold_s, chance=0.0):
    return LoopGuard(hold_s, chance=lambda: chance)


def rounds_until_over(guard, now_s=0.0, most=10_000):
    """How many rounds pass until a loop is over, no probe coming back any more."""
    for n in range(most):
        if guard.turn(now_s + n * PROBE_S):
            return n
    return None


@pytest.mark.parametrize(("sender", "port"), [(1, 2), (2, 1)])
def test_the_port_with_the_higher_number_is_held(sender, port):
    guard = guard_of(10)

    assert guard.heard(sender, port, 7, 0) == [Found(LOOP, QUIET_S)]
    assert guard.held == {2}


def test_a_port_that_hears_itself_is_held():
    guard = guard_of(10)

    assert guard.heard(3, 3, 0, 0) == [Found(Loop(3, 3, 0), QUIET_S)]


def test_what_is_held_already_is_told_once():
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)

    assert guard.heard(2, 1, 7, 0) == guard.heard(1, 2, 7, 1) == []


def test_a_held_port_breaks_other_loops_through_it():
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)

    assert guard.heard(2, 3, 7, 0) == []
    assert guard.heard(1, 3, 7, 0) == [Found(Loop(3, 1, 7), QUIET_S)]


@pytest.mark.parametrize(("chance", "rounds"), [(0, QUIET), (1, QUIET + BY_CHANCE)])
def test_a_port_is_free_when_nothing_came_back_for_some_rounds_by_chance(chance, rounds):
    guard = guard_of(10, chance)
    guard.heard(1, 2, 7, 0)

    assert rounds_until_over(guard) == rounds
    assert guard.held == frozenset()


def test_a_loop_that_stays_keeps_its_port_down():
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)
    over = []
    for n in range(1000):
        over += guard.turn(n * PROBE_S)
        guard.heard(1, 2, 7, n * PROBE_S)

    assert over == []
    assert rounds_until_over(guard, 250) == QUIET


def test_time_in_which_nothing_was_asked_frees_no_port():
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)

    assert guard.turn(1000) == []


@pytest.mark.parametrize(("chance", "share"), [(0, 1), (1, 0.5)])
def test_a_loop_that_comes_again_soon_is_met_with_more_patience(chance, share):
    guard = guard_of(10, chance)
    guard.heard(1, 2, 7, 0)
    over_s = rounds_until_over(guard) * PROBE_S

    assert guard.heard(1, 2, 7, over_s + 9) == [Found(LOOP, 10 * share)]
    rounds_until_over(guard, over_s + 9)
    again_s = over_s + 9 + 10 * share
    assert guard.heard(1, 2, 7, again_s + 9) == [Found(LOOP, 20 * share)]


def test_a_loop_that_comes_again_late_is_a_new_one():
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)
    over_s = rounds_until_over(guard) * PROBE_S

    assert guard.heard(1, 2, 7, over_s + 10.5) == [Found(LOOP, QUIET_S)]


def test_no_port_is_held_for_ever():
    guard = guard_of(10)
    now_s, quiet = 0.0, []
    for _ in range(9):
        [found] = guard.heard(1, 2, 7, now_s)
        quiet.append(found.quiet_s)
        now_s += rounds_until_over(guard, now_s) * PROBE_S

    assert max(quiet) == HOLD_MAX_S


def test_reporting_holds_nothing_and_ends_when_it_is_quiet():
    guard = guard_of(0)

    assert guard.heard(1, 2, 7, 0) == [Found(LOOP, None)]
    assert (guard.held, guard.looped) == (frozenset(), {2})
    assert rounds_until_over(guard) == QUIET
    assert guard.heard(1, 2, 7, 9) == [Found(LOOP, None)]


@pytest.mark.parametrize("gone", [1, 2])
def test_a_loop_is_over_when_one_of_its_ports_goes(gone):
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)

    assert guard.forget(gone) == [Over(LOOP)]
    assert guard.forget(gone) == []


def test_the_end_frees_all():
    guard = guard_of(10)
    guard.heard(1, 2, 7, 0)

    assert guard.end() == [Over(LOOP)]
    assert guard.looped == frozenset()
