"""Facts as text: exact columns, at most 80 of them."""

from types import SimpleNamespace

import pytest

from vswitch.cli.show import duration
from vswitch.text import counters_table, number, plural, rates_table

REASONS = {
    "reserved": ("rx", "sent to a link-local address 01-80-C2-00-00-0x (see --forward)"),
    "tx_full": ("tx", "the device's queue was full"),
}


def port(name, rx=(0, 0), tx=(0, 0), **drops):
    counters = dict(zip(("rx_frames", "rx_bytes", "tx_frames", "tx_bytes"), rx + tx, strict=True))
    return SimpleNamespace(name=name, counters=counters, drops=dict.fromkeys(REASONS, 0) | drops)


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0"),
        (999_999_999, "999999999"),
        (1_000_000_000, "1.00G"),
        (12_345_678_901_234, "12.35T"),
        (2**64 - 1, "18.45E"),
    ],
)
def test_long_numbers_are_shortened(n, text):
    assert number(n) == text


def test_one_is_singular():
    assert [plural(n, "port") for n in (0, 1, 2)] == ["0 ports", "1 port", "2 ports"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (187, "3:07"), (3661, "1:01:01"), (187509, "2 d 4:05:09")],
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


def test_counters_are_a_table():
    ports = [port("tap0", (12, 1800), (3, 180)), port("tap1", (3, 180), (12, 1800))]

    assert counters_table(ports, REASONS) == (
        "port  rx frames  rx bytes  rx drops  tx frames  tx bytes  tx drops\n"
        "tap0         12      1800         0          3       180         0\n"
        "tap1          3       180         0         12      1800         0"
    )


def test_drops_are_listed_by_reason_below():
    ports = [port("tap0", (12, 1800), reserved=9), port("tap1", tx_full=10)]

    assert counters_table(ports, REASONS) == (
        "port  rx frames  rx bytes  rx drops  tx frames  tx bytes  tx drops\n"
        "tap0         12      1800         9          0         0         0\n"
        "tap1          0         0         0          0         0        10\n"
        "\n"
        "dropped  frames  reason\n"
        "tap0          9  reserved  sent to a link-local address 01-80-C2-00-00-0x (see\n"
        "                           --forward)\n"
        "tap1         10  tx_full   the device's queue was full"
    )


def test_the_longest_name_and_the_largest_numbers_fit_80_columns():
    most = (2**64 - 1, 2**64 - 1)
    ports = [port("a" * 15, most, most, reserved=2**64 - 1, tx_full=2**64 - 1)]

    assert max(map(len, counters_table(ports, REASONS).splitlines())) <= 80


def test_rates_are_differences_over_time():
    before = [port("tap0", (10, 1000), (0, 0))]
    after = [port("tap0", (30, 251000), (4, 400), reserved=2), port("new", (5, 5))]

    assert rates_table(before, after, 2.0) == (
        "port  rx frames/s  rx Mbit/s  tx frames/s  tx Mbit/s  drops/s\n"
        "tap0           10        1.0            2        0.0        1\n"
        "new             0        0.0            0        0.0        0"
    )


def test_a_port_that_took_the_name_of_another_began_anew():
    before, after = port("vm1", rx=(1000, 60_000), tx_full=9), port("vm1", rx=(4, 240), tx_full=2)

    row = rates_table([before], [after], 2.0).splitlines()[1]

    assert row.split() == ["vm1", "2", "0.0", "0", "0.0", "1"]
