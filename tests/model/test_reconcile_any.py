"""From any configuration to any other, in steps each of which leaves one that can be."""

from dataclasses import fields, replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.configurations import configurations
from support.fake_service import FakeService
from vswitch import reconcile
from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError, PortError

FIXED = [field.name for field in fields(SwitchConfig) if field.name not in reconcile.LIVE]


@st.composite
def pairs(draw):
    """Two configurations of one switch; they may have ports, listeners and stations in common."""
    old, new = draw(configurations(least=1)), draw(configurations(least=1))
    kept = draw(st.sets(st.sampled_from(["ports", "listeners", "stations"])))
    ports, places = new.ports, new.listeners
    if "ports" in kept:
        names = {port.name for port in ports}
        ports = (*ports, *(port for port in old.ports if port.name not in names))
    if "listeners" in kept:
        there = {(place.kind, place.address) for place in places}
        places = (*(p for p in old.listeners if (p.kind, p.address) not in there), *places)
    stations = old.stations if {"ports", "stations"} <= kept else new.stations
    try:
        new = replace(
            new,
            ports=ports,
            listeners=places,
            stations=stations,
            **{name: getattr(old, name) for name in FIXED},
        )
    except ConfigError:
        assume(False)
    assume(old.ports or old.listeners)
    assume(new.ports or new.listeners)
    return old, new


@given(pairs())
@settings(max_examples=examples(20), deadline=None)
def test_any_configuration_becomes_any_other(pair):
    old, new = pair
    service = FakeService(old)

    changes = reconcile.apply(service, new)

    assert service.config == new
    assert bool(changes) == bool(service.calls)
    assert reconcile.changes(new, new) == []


@given(pairs(), st.integers(0, 12))
@settings(max_examples=examples(20), deadline=None)
def test_any_step_that_fails_is_taken_back(pair, step):
    old, new = pair
    service = FakeService(old, fails_at=step)

    try:
        reconcile.apply(service, new)
    except PortError as e:
        assert e.hint is None  # so all was restored  # noqa: PT017
        assert service.config == old
    else:
        assert service.config == new
