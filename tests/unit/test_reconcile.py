"""From one configuration to another: what is touched, in which order, and all of it or nothing."""

import pytest

from support.fake_service import FakeService
from vswitch import configfile, reconcile
from vswitch.errors import ConfigError, PortError

OLD = """
[switch]
ageing = 300
[[port]]
name = "stays"
[[port]]
name = "goes"
mac = "02:00:00:00:00:01"
[[port]]
name = "changes"
mtu = 1500
fdb-limit = 5
[[port]]
name = "again"
[[listen]]
kind = "qemu"
address = "/old.sock"
[[station]]
mac = "02:00:00:00:00:11"
port = "stays"
[[station]]
mac = "02:00:00:00:00:12"
port = "goes"
[[station]]
mac = "02:00:00:00:00:13"
port = "again"
"""
NEW = """
[switch]
ageing = 600
forward = ["lldp"]
[[port]]
name = "stays"
[[port]]
name = "changes"
mtu = 9000
state = "blocked"
[[port]]
name = "again"
queues = 4
[[port]]
name = "new"
[[port]]
name = "heir"
mac = "02:00:00:00:00:01"
[[listen]]
kind = "qemu"
address = "/new.sock"
[[station]]
mac = "02:00:00:00:00:11"
port = "new"
[[station]]
mac = "02:00:00:00:00:13"
port = "again"
"""
CALLS = [
    "listen /new.sock",
    "add new",
    "close /old.sock",
    "remove goes",
    "remove again",
    "add again",
    "add heir",
    "set changes forwarding=False fdb_limit=0 mtu=9000",
    "pin 02:00:00:00:00:11 new",
    "pin 02:00:00:00:00:13 again",
    "switch ageing_s forward",
]


def config(text):
    return configfile.loads(text).config()


def lines(old, new):
    return reconcile.changes(config(old), config(new))


def test_only_what_differs_is_touched_new_things_first():
    service = FakeService(config(OLD))

    changes = reconcile.apply(service, config(NEW))

    assert service.calls == CALLS
    assert service.config == config(NEW)
    assert changes == [
        "listener qemu:/new.sock: opened",
        "port new: opened",
        "listener qemu:/old.sock: closed",
        "port goes: closed",
        "port again: closed",
        "port again: opened",
        "port heir: opened",
        "port changes: state forwarding -> blocked, fdb-limit 5 -> 0, mtu 1500 -> 9000",
        "station 02:00:00:00:00:11: behind new",
        "station 02:00:00:00:00:13: behind again",
        "switch: ageing 300 -> 600, forward stp -> lldp",
    ]


def test_nothing_differs_and_nothing_is_touched():
    service = FakeService(config(OLD))

    assert reconcile.apply(service, config(OLD)) == []
    assert service.calls == []


@pytest.mark.parametrize("step", range(len(CALLS)))
def test_a_step_that_fails_leaves_everything_as_it_was(step):
    service = FakeService(config(OLD), fails_at=step)

    with pytest.raises(PortError, match="the host refuses"):
        reconcile.apply(service, config(NEW))

    assert service.config == config(OLD)
    assert service.calls[: step + 1] == CALLS[: step + 1]


@pytest.mark.parametrize("step", range(len(CALLS)))
def test_as_many_steps_are_taken_back_as_were_done(step):
    service = FakeService(config(OLD), fails_at=step)

    with pytest.raises(PortError):
        reconcile.apply(service, config(NEW))

    opened = sum(call.startswith(("add", "listen")) for call in service.calls[:step])
    taken_back = service.calls[step + 1 :]
    assert sum(call.startswith(("remove", "close")) for call in taken_back) == opened


def test_what_cannot_be_restored_is_in_the_hint():
    service = FakeService(config(OLD), gone={"heir", "goes"})

    with pytest.raises(PortError, match="no such device: heir") as caught:
        reconcile.apply(service, config(NEW))

    assert caught.value.hint == (
        "and what was there before could not be restored: no such device: goes"
    )
    assert {port.name for port in service.config.ports} == {"stays", "changes", "again"}


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("name = 'b'", "name (is vswitch, not b)"),
        ("pollers = 2", "pollers (is 1, not 2)"),
        ("core = 'python'", "core (is c, not python)"),
        ("fdb-limit = 9", "fdb-limit (is 65536, not 9)"),
        ("busy-poll = 9", "busy-poll (is 50, not 9)"),
    ],
)
def test_what_cannot_change_is_refused_and_nothing_is_touched(line, named):
    service = FakeService(config(OLD))

    with pytest.raises(ConfigError) as caught:
        reconcile.apply(service, config(NEW.replace("ageing = 600", line)))

    assert str(caught.value) == f"cannot be changed while the switch runs: {named}"
    assert (service.calls, service.config) == ([], config(OLD))


def test_an_emptied_file_is_no_reason_to_close_all_ports():
    with pytest.raises(ConfigError, match="no port is left, and the switch has 5"):
        lines(OLD, "")


def test_a_switch_without_ports_may_stay_so_and_get_some():
    assert lines("", "[switch]\nageing = 7") == ["switch: ageing 300 -> 7"]
    assert lines("", "[[port]]\nname = 'a'") == ["port a: opened"]


def test_the_mtu_of_the_switch_is_that_of_the_ports_without_one():
    old = "[switch]\nmtu=1500\n[[port]]\nname='a'\n[[port]]\nname='b'\nmtu=2000"

    assert lines(old, old.replace("1500", "9000")) == [
        "port a: mtu 1500 -> 9000",
        "switch: mtu 1500 -> 9000",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name='a'\nmtu=9000", "name='a'"),  # what the device had is known when it is closed
        ("port='vhost-user:/a/b'\nmtu=1500", "port='vhost-user:/a/b'\nmtu=9000"),
        ("name='a'", "kind='tap'\nname='a'"),
    ],
)
def test_what_cannot_be_changed_in_place_is_opened_again(old, new):
    name = config(f"[[port]]\n{old}").ports[0].name

    assert lines(f"[[port]]\n{old}", f"[[port]]\n{new}") == [
        f"port {name}: closed",
        f"port {name}: opened",
    ]


def test_a_listener_is_opened_again_whatever_changed():
    old = "[[listen]]\nlisten='qemu:/a/b'\n"

    assert lines(old, old + "fdb-limit=5") == [
        "listener qemu:/a/b: closed",
        "listener qemu:/a/b: opened",
    ]


def test_a_port_at_the_place_of_another_is_opened_after_that_is_closed():
    assert lines("[[port]]\nport='qemu:/a/b,name=x'", "[[port]]\nport='qemu:/a/b,name=y'") == [
        "port x: closed",
        "port y: opened",
    ]
