"""Stations chosen, in order of address, a list at a time."""

import pytest

from support.raw_http import ask_json, request
from support.served import served
from vswitch.errors import PortNotFoundError

B, C, D = (bytes([2, 0, 0, 0, n, 0]) for n in (2, 3, 4))


@pytest.fixture(params=["c", "python"])
def core_of_labs(request):
    return request.param


@pytest.fixture
def four(lab):
    """c behind a, learned in VLANs 0 and 7; b and d behind b, static."""
    made = lab("a", "b")
    made.switch._core.fdb.learn(7, C, 0, 1000)
    made.switch._core.fdb.learn(0, C, 0, 1000)
    made.switch.pin(D, "b")
    made.switch.pin(B, "b")
    return made


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, [B, C, C, D]),
        ({"port": "a"}, [C, C]),
        ({"mac": C}, [C, C]),
        ({"mac": C, "vid": 7}, [C]),
        ({"vid": 0}, [B, C, D]),
        ({"static": True}, [B, D]),
        ({"static": False}, [C, C]),
        ({"static": False, "port": "b"}, []),
    ],
)
def test_those_that_match_are_in_order_of_address(four, chosen, found):
    stations = [s for part in four.switch.station_lists(9, **chosen) for s in part]

    assert [station.mac for station in stations] == found
    assert stations == [s for s in four.switch.stations() if s in stations]


@pytest.mark.parametrize(("size", "lengths"), [(1, [1] * 4), (3, [3, 1]), (4, [4])])
def test_a_list_has_at_most_its_size(four, size, lengths):
    assert [len(stations) for stations in four.switch.station_lists(size)] == lengths


def test_they_are_those_of_the_moment_of_the_call(four):
    lists = four.switch.station_lists(1)
    four.switch.flush()
    four.switch.remove_port("b")

    assert [station.port for stations in lists for station in stations] == ["b", "a", "a", "b"]


def test_a_port_that_is_not_there_is_said(four):
    with pytest.raises(PortNotFoundError, match="no port nix"):
        four.switch.station_lists(1, port="nix")


def test_the_api_has_a_parameter_for_each(four, tmp_path):
    with served(four.switch, tmp_path / "s") as path:
        found = {
            query: [e["mac"] for e in ask_json(path, request("GET", f"/v1/fdb?{query}"))[1]]
            for query in (f"mac={C.hex('-')}&vid=7", "static=true&port=b", "static=false&vid=0")
        }

    assert list(found.values()) == [[C.hex(":")], [B.hex(":"), D.hex(":")], [C.hex(":")]]
