"""Descriptors that were handed in, before any of them is a port."""

from __future__ import annotations

import os
import socket

import pytest

from vswitch.activation import resolved
from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.linux import descriptor
from vswitch.portconfig import PortConfig


@pytest.fixture
def inherited():
    """Factory of descriptors that look as if another process had opened them."""
    made = []

    def make(what):
        fd = os.dup(what.fileno())
        os.set_inheritable(fd, True)
        made.append(fd)
        return fd

    yield make
    for fd in made:
        os.close(fd)


@pytest.fixture
def listening():
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("")
        s.listen()
        yield s


def given(monkeypatch, *pairs):
    """Have `resolved` find these descriptors, with these names, in the environment."""
    monkeypatch.setattr(descriptor, "activated", lambda _: dict(pairs))


def config(*ports, listeners=()):
    return SwitchConfig(
        ports=tuple(map(PortConfig.parse, ports)),
        listeners=tuple(map(PortConfig.parse_listener, listeners)),
    )


# ---------------------------------------------------------------------- sd_listen_fds(3)


def environment(**changed):
    found = {
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": "lan:wan",
        "X": "",
    }
    return {name: value for name, value in (found | changed).items() if value is not None}


def test_the_variables_name_the_descriptors_and_are_gone():
    variables = environment()

    assert descriptor.activated(variables) == {3: "lan", 4: "wan"}
    assert variables == {"X": ""}


@pytest.mark.parametrize(
    "changed",
    [{"LISTEN_PID": "1"}, {"LISTEN_PID": None}, {"LISTEN_FDS": None}, {"LISTEN_FDS": "x"}],
)
def test_what_is_for_another_process_is_not_taken_and_not_handed_on(changed):
    variables = environment(**changed)

    assert descriptor.activated(variables) == {}
    assert variables == {"X": ""}


@pytest.mark.parametrize(
    ("names", "found"), [(None, ["", ""]), ("a", ["a", ""]), (":b", ["", "b"])]
)
def test_names_may_be_missing(names, found):
    assert list(descriptor.activated(environment(LISTEN_FDNAMES=names)).values()) == found


# ---------------------------------------------------------------------- a configuration


def test_a_descriptor_that_is_named_is_ours_from_then_on(inherited, listening):
    fd = inherited(listening)

    resolved(config(f"fd:{fd}"), {})

    assert not os.get_inheritable(fd)


def test_one_that_nobody_handed_in_is_not_ours(listening):
    fd = listening.fileno()  # open, but by ourselves

    with pytest.raises(ConfigError, match=f"descriptor {fd} is not open: nobody handed it in"):
        resolved(config(f"fd:{fd}"), {})


def test_one_that_is_closed_is_refused():
    with pytest.raises(ConfigError, match="descriptor 999 is not open"):
        resolved(config("fd:999"), {})


def test_listening_sockets_that_nobody_mentions_become_listeners(inherited, listening, monkeypatch):
    first, second, third = (inherited(listening) for _ in range(3))
    given(monkeypatch, (first, "lan.socket"), (second, "a b"), (third, "used"))

    found = resolved(config(listeners=["fd:used,fdb-limit=5"]), {}).listeners

    assert [(place.name, place.address) for place in found] == [
        ("used", str(third)), ("lan", str(first)), (f"fd{second}", str(second)),
    ]  # fmt: skip
    assert found[0].fdb_limit == 5


def test_what_is_left_over_is_said(inherited, monkeypatch, caplog):
    near, far = socket.socketpair()
    with near, far:
        fd = inherited(near)
        given(monkeypatch, (fd, "vm"))

        assert resolved(config(), {}).listeners == ()
        assert not os.get_inheritable(fd), "no program of ours gets it"
    assert caplog.messages == [
        f"handed in and not used fd={fd} name=vm what='a connected stream socket'"
    ]


def test_a_name_is_looked_up(inherited, listening, monkeypatch):
    fd = inherited(listening)
    given(monkeypatch, (fd, "vm"))

    port = resolved(config("fd:vm,mtu=9000"), {}).ports[0]

    assert (port.name, port.descriptors, port.mtu) == ("vm", (fd,), 9000)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [(["a", "b"], "fd:vm: no descriptor is called vm"),
     (["vm", "vm"], "fd:vm: several descriptors are called vm"),
     ([], "fd:vm: no descriptor is called vm")],
)  # fmt: skip
def test_a_name_that_is_not_one_descriptors_is_refused(monkeypatch, names, sentence):
    given(monkeypatch, *enumerate(names, 3))

    with pytest.raises(ConfigError) as caught:
        resolved(config("fd:vm"), {})

    assert str(caught.value) == sentence
    assert caught.value.hint.endswith(": " + (", ".join(names) or "none"))


def test_by_name_and_by_number_is_twice(inherited, listening, monkeypatch):
    fd = inherited(listening)
    given(monkeypatch, (fd, "vm"))

    with pytest.raises(ConfigError, match=f"descriptor {fd} is given twice"):
        resolved(config(f"fd:{fd}", "fd:vm"), {})


# ---------------------------------------------------------------------- the command line


def test_descriptors_of_a_port():
    port = PortConfig.parse("fd:3:4,name=tap0,fdb-limit=7,offloads=off")

    assert port == PortConfig("tap0", "fd", address="3:4", fdb_limit=7, offloads=False)
    assert port.descriptors == (3, 4)
    assert PortConfig.parse("fd:0").name == "fd0"
    assert PortConfig.parse("fd:vm.socket").name == "vm"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("fd:", "neither descriptors nor the name of one: ''"),
        ("fd:3:", "neither descriptors nor the name of one: '3:'"),
        ("fd:3:x", "neither descriptors nor the name of one: '3:x'"),
        ("fd:1", "descriptor 1 is where we say what happens"),
        ("fd:3:3", "descriptor 3 is given twice"),
        ("fd:1048577", "descriptor must be in 0..1048576, not 1048577"),
        ("fd:3,queues=2", "fd has no option 'queues'"),
        ("fd:3,mac=02:00:00:00:00:01", "fd has no option 'mac'"),
        (
            "fd:a b",
            "a port's name has 1 to 64 letters, digits, '_', '.' or '-', which 'a b' has not",
        ),
    ],
)
def test_what_is_no_descriptor_is_refused(text, sentence):
    with pytest.raises(ConfigError) as caught:
        PortConfig.parse(text)

    assert str(caught.value) == f"port {text!r}: {sentence}"


def test_more_queues_than_a_port_has():
    with pytest.raises(ConfigError, match=r"must be in 1\.\.16, not 17"):
        PortConfig.parse("fd:" + ":".join(map(str, range(3, 20))))


def test_a_descriptor_is_one_thing():
    with pytest.raises(ConfigError, match="descriptor 3 is given twice"):
        config("fd:3", "fd:4:3")
    with pytest.raises(ConfigError, match="descriptor 3 is given twice"):
        config("fd:3", listeners=["fd:3"])
