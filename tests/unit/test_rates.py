"""Rates and sizes, as tc(8) spells them."""

import pytest

from vswitch import rates
from vswitch.errors import ConfigError
from vswitch.meters import Meter, Meters, Shape, meters_of, shape_of
from vswitch.portconfig import PortConfig
from vswitch.portsettings import PortSettings


@pytest.mark.parametrize(
    ("said", "short", "means"),
    [
        ("10mbit", "10mbit", (10_000_000, True)),
        ("10Mbit", "10mbit", (10_000_000, True)),
        ("10000kbit", "10mbit", (10_000_000, True)),
        ("1.5mbit", "1500kbit", (1_500_000, True)),
        ("1kibit", "1024bit", (1024, True)),
        ("1bit", "1bit", (1, True)),
        ("400gbit", "400gbit", (400_000_000_000, True)),
        ("0.4tbit", "400gbit", (400_000_000_000, True)),
        ("1000pps", "1kpps", (1000, False)),
        ("1001pps", "1001pps", (1001, False)),
        ("2mpps", "2mpps", (2_000_000, False)),
        ("off", "", None),
        ("0", "", None),
        ("", "", None),
    ],
)
def test_a_rate_is_read_and_written_in_its_shortest_way(said, short, means):
    assert rates.rate("police", said) == short
    assert rates.rate("police", short) == short
    assert rates.parse(said) == means


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("fast", "police: not a rate: 'fast'"),
        ("10", "police: not a rate: '10'"),
        ("-1mbit", "police: not a rate: '-1mbit'"),
        ("1.mbit", "police: not a rate: '1.mbit'"),
        ("10xbit", "police: not a rate: '10xbit'"),
        ("10 mbit", "police: not a rate: '10 mbit'"),
        ("10mbps", "police: '10mbps' are bytes to tc(8), and bits to others"),
        ("0bit", "police must be in 1bit..400gbit, or as many pps, not '0bit'"),
        ("0.5bit", "police must be in 1bit..400gbit, or as many pps, not '0.5bit'"),
        ("401gbit", "police must be in 1bit..400gbit, or as many pps, not '401gbit'"),
        ("1e9bit", "police: not a rate: '1e9bit'"),
        ("٣mbit", "police: not a rate: '٣mbit'"),
    ],
)
def test_what_is_no_rate_is_refused(said, error):
    with pytest.raises(ConfigError) as e:
        rates.rate("police", said)

    assert str(e.value) == error


@pytest.mark.parametrize(
    ("said", "n_bytes"),
    [
        ("0", 0),
        ("1500", 1500),
        ("1500b", 1500),
        ("64k", 65_536),
        ("64kb", 65_536),
        ("1MB", 1 << 20),
    ],
)
def test_a_size_is_in_bytes(said, n_bytes):
    assert rates.size("police-burst", said) == n_bytes


@pytest.mark.parametrize("said", ["", "kb", "1.5kb", "64kbit", "-1", "1025mb", "1" * 16])
def test_what_is_no_size_is_refused(said):
    with pytest.raises(ConfigError, match=r"^police-burst"):
        rates.size("police-burst", said)


@pytest.mark.parametrize("said", ["1", "65567", "65mb", "99999999999"])
def test_a_queue_has_one_range(said):
    with pytest.raises(ConfigError, match=r"^shape-queue must be in 65568\.\.67108864, not \d+$"):
        rates.queue_size("shape-queue", said)


@pytest.mark.parametrize(
    ("said", "meter"),
    [
        ("police=80mbit", Meter(80_000_000, True, 5_000_000)),  # half a second
        ("police=80mbit,police-burst=64kb", Meter(80_000_000, True, 65_536)),
        ("police=1kbit", Meter(1000, True, 131_072)),
        ("police=1000pps", Meter(1000, False, 500)),
        ("police=1pps", Meter(1, False, 10)),
        ("police=400gbit", Meter(400_000_000_000, True, 1 << 30)),
    ],
)
def test_the_burst_of_a_policer_follows_from_its_rate_unless_it_is_said(said, meter):
    assert meters_of(PortConfig.parse(f"tap0,{said}")) == Meters(police=meter)


def test_storms_have_a_tenth_of_a_second():
    settings = PortConfig.parse(
        "tap0,storm-broadcast=1000pps,storm-multicast=80mbit,storm-unknown=5pps"
    )

    assert meters_of(settings) == Meters(
        broadcast=Meter(1000, False, 100),
        multicast=Meter(80_000_000, True, 1_000_000),
        unknown=Meter(5, False, 10),
    )


def test_without_a_rate_there_is_no_meter():
    assert not meters_of(PortSettings(police_burst=9)).any
    assert meters_of(PortSettings(storm_unknown="1pps")).any


@pytest.mark.parametrize(
    ("said", "shape"),
    [
        ("shape=80mbit", Shape(80_000_000, 200_000, 500_000)),  # 20 and 50 ms
        ("shape=1mbit", Shape(1_000_000, 2500, 131_136)),  # two super-frames wait
        ("shape=8kbit", Shape(8000, 1514, 131_136)),
        ("shape=100gbit", Shape(100_000_000_000, 250_000_000, 8 << 20)),
        ("shape=8kbit,shape-burst=9k,shape-queue=1mb", Shape(8000, 9216, 1 << 20)),
        ("shape=off", None),
    ],
)
def test_the_queue_of_a_shaper_follows_from_its_rate_unless_it_is_said(said, shape):
    assert shape_of(PortConfig.parse(f"tap0,{said}")) == shape
