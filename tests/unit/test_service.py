"""A running switch is changed: what it takes, and that a refusal changes nothing."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from support.frames import BROADCAST, frame, mac
from support.services import descriptors, qemu, unchanged
from vswitch import MemoryPort, openfiles
from vswitch.config import StationConfig
from vswitch.errors import (
    ConfigError,
    PortError,
    PortExistsError,
    PortLimitError,
    PortNotFoundError,
)
from vswitch.portconfig import PortConfig

A, B = mac(1), mac(2)
LEARNED = frame(BROADCAST, A)


def test_a_port_that_was_added_is_part_of_the_configuration(service, out):
    port = out("a", "learning=off", "state=blocked", "fdb-limit=7")

    service.add_port(port)

    status = service.switch.port_status("a")
    assert service.config.ports == (port,)
    assert (status.learning, status.forwarding, status.state) == (False, False, "blocked")
    assert status.fdb_limit == 7


def test_what_a_port_is_set_to_is_part_of_the_configuration(service, out):
    service.add_port(out("a"))

    service.set_port("a", learning=False, forwarding=False, fdb_limit=5, mtu=9000)

    status = service.switch.port_status("a")
    assert service.config.ports == (out("a", "learning=off", "state=blocked", "fdb-limit=5",
                                        "mtu=9000"),)  # fmt: skip
    assert (status.learning, status.state, status.fdb_limit, status.mtu) == (
        False, "blocked", 5, 9000,
    )  # fmt: skip


def test_what_is_not_given_stays(service, out):
    service.add_port(out("a", "learning=off", "fdb-limit=5"))

    service.set_port("a", forwarding=False)
    service.set_port("a", forwarding=True)

    assert service.config.ports == (out("a", "learning=off", "fdb-limit=5"),)


def test_a_longer_mtu_holds_from_the_next_frame_on(service):
    a, b = (service.switch.add_port(MemoryPort(name)) for name in "ab")
    long = frame(BROADCAST, A, bytes(8000))
    for mtu in (9000, 1500):
        service.set_port("b", mtu=mtu)
        a.send([long])
        service.switch.poll()

    assert b.receive() == [long]
    assert service.switch.port_status("b").drops["too_long"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fdb_limit": -1}, r"fdb_limit must be in 0\.\.4194304, not -1"),
        ({"fdb_limit": 1 << 40}, "fdb_limit must be in"),
        ({"mtu": 67}, "mtu must be in 68..65521, not 67"),
        ({"mtu": 1 << 70, "learning": False}, "mtu must be in"),
    ],
)
def test_a_value_that_cannot_be_is_refused(service, out, change, said):
    service.add_port(out("a"))
    before = unchanged(service)

    with pytest.raises(ConfigError, match=said):
        service.set_port("a", **change)

    assert unchanged(service) == before


def test_the_mtu_of_a_guest_stays(service, tmp_path):
    service.add_port(PortConfig.parse(f"vhost-user:{tmp_path}/vm.sock"))
    before = unchanged(service)

    with pytest.raises(PortError, match="MTU of this port cannot be changed") as caught:
        service.set_port("vm", mtu=9000, learning=False)

    assert caught.value.hint == "remove it, and add it again with mtu=9000"
    assert unchanged(service) == before


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("record:{0}/a.pcap,name=b", ConfigError, "ports a and b both record to"),
        ("record:{0}/x.pcap,name=a", PortExistsError, "port a is there already"),
        ("record:{0}/none/x.pcap", PortError, "cannot record to"),
        ("pcap:{0}/none.pcap", ConfigError, "cannot read the capture"),
        ("qemu:{0}/a.pcap", PortError, "a.pcap"),
        ("dgram:{0}/a.pcap,remote={0}/y,name=c", PortError, "exists and is not a socket"),
        ("fd:7", PortError, "a descriptor is handed to a process when that starts"),
        ("fd:lan.socket", PortError, "a descriptor is handed to a process when that starts"),
    ],
)
def test_a_port_that_cannot_be_changes_nothing(service, out, tmp_path, text, error, said):
    service.add_port(out("a"))
    before = unchanged(service)

    with pytest.raises(error, match=said):
        service.add_port(PortConfig.parse(text.format(tmp_path)))

    assert unchanged(service) == before


def test_a_switch_that_is_full_refuses_the_next_port(service, out):
    for i in range(1024):
        service.switch.add_port(MemoryPort(f"m{i}", size_bytes=1 << 18))
    before = unchanged(service)

    with pytest.raises(PortLimitError):
        service.add_port(out("a"))

    assert unchanged(service) == before
    service.switch.remove_port("m7")
    service.add_port(out("a"))
    assert service.switch.port_status("a").number == 7


@pytest.fixture
def files() -> Iterator[Callable[[int, int], None]]:
    """Sets how many files may be open, soft and hard, and allows what was allowed afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda soft, hard: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_files_are_allowed_for_ports_that_come_later(service, tmp_path, files, monkeypatch):
    ours = len(os.listdir("/proc/self/fd"))  # of a process that has had many tests
    monkeypatch.setattr(openfiles, "FILES_BESIDES", ours + 200)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files(openfiles.FILES_BESIDES + 4, hard)

    service.add_port(PortConfig.parse(f"vhost-user:{tmp_path}/vm.sock,queues=16"))

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == openfiles.FILES_BESIDES + 4 + 2 + 64


def test_a_port_beyond_the_files_that_are_allowed_is_refused(make, out, monkeypatch):
    service = make()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (204, 204))
    before = unchanged(service)

    with pytest.raises(ConfigError, match="1 port needs 205 open files, and 204 are allowed"):
        service.add_port(out("a"))

    assert unchanged(service) == before


def test_the_next_owner_of_a_number_begins_at_nothing(service, out):
    a, b = (service.switch.add_port(MemoryPort(name)) for name in "ab")
    a.send([LEARNED])
    service.switch.poll()
    service.pin(StationConfig(B, "a"), move=False)
    service.set_port("a", fdb_limit=1, learning=False, forwarding=False)
    service.remove_port("a")

    service.add_port(out("c"))

    status = service.switch.port_status("c")
    assert (status.number, status.stations, status.fdb_limit, status.state) == (
        0, 0, 0, "forwarding",
    )  # fmt: skip
    assert not any([*status.counters.values(), *status.drops.values()])
    assert service.switch.stations() == []
    assert b.receive() == [LEARNED]


# ---------------------------------------------------------------------- at the same time


class Held:
    """`open_port` that waits, as in the lookup of a name, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, function: str = "open_port") -> None:
        from vswitch import service

        self._open = getattr(service, function)
        self.begun, self.go = threading.Event(), threading.Event()
        monkeypatch.setattr(service, function, self)

    def __call__(self, config: PortConfig):
        if "slow" not in config.name:
            return self._open(config)
        self.begun.set()
        assert self.go.wait(30)
        return self._open(config)


class Adding:
    """A port, or listener, is added in a thread that hangs while it is opened."""

    def __init__(self, add: Callable[[PortConfig], object], port: PortConfig, held: Held) -> None:
        self._call, self._port, self._held = add, port, held
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._add)
        self._thread.start()
        assert held.begun.wait(30)

    def _add(self) -> None:
        try:
            self._call(self._port)
        except Exception as e:  # noqa: BLE001 - the test looks at it
            self.error = e

    def end(self) -> Exception | None:
        self._held.go.set()
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.error


def test_a_port_that_hangs_keeps_nobody_waiting(service, out, monkeypatch):
    adding = Adding(service.add_port, out("slow"), Held(monkeypatch))

    service.add_port(out("a"))
    service.set_port("a", learning=False)
    service.remove_port("a")
    with pytest.raises(PortExistsError, match="port slow is being opened by somebody else"):
        service.add_port(out("slow"))
    with pytest.raises(PortNotFoundError):
        service.remove_port("slow")
    with pytest.raises(ConfigError, match="both record to"):
        service.add_port(replace(out("slow"), name="b"))

    assert adding.end() is None
    assert [port.name for port in service.config.ports] == ["slow"]


def test_a_listener_that_hangs_keeps_nobody_waiting(service, out, tmp_path, monkeypatch):
    place = qemu(tmp_path / "slow.sock")
    adding = Adding(service.listen, place, Held(monkeypatch, "open_listener"))

    service.add_port(out("a"))
    with pytest.raises(PortExistsError, match="is there already"):
        service.listen(place)
    service.listen(qemu(tmp_path / "lan.sock"))

    assert adding.end() is None
    assert [place.name for place in service.config.listeners] == ["lan", "slow"]


def test_of_two_who_add_one_name_one_does(service, out):
    errors: list[Exception] = []
    start = threading.Barrier(8)

    def add(i: int) -> None:
        start.wait(30)
        try:
            service.add_port(replace(out(f"x{i}"), name="same"))
        except PortExistsError as e:
            errors.append(e)

    for _ in range(20):
        threads = [threading.Thread(target=add, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [port.name for port in service.config.ports] == ["same"]
        service.remove_port("same")

    assert len(errors) == 20 * 7


def test_a_vm_that_takes_the_name_meanwhile_has_it(service, out, monkeypatch):
    before = descriptors()
    adding = Adding(service.add_port, out("slow"), Held(monkeypatch))
    service.switch.add_port(MemoryPort("slow"))

    assert isinstance(adding.end(), PortExistsError)

    assert service.config.ports == ()
    service.switch.remove_port("slow")
    assert descriptors() == before


def test_a_switch_that_closes_while_a_port_is_opened_leaves_nothing(service, out, monkeypatch):
    before = descriptors()
    service.add_port(out("a"))
    adding = Adding(service.add_port, out("slow"), Held(monkeypatch))
    service.switch.close()

    error = adding.end()

    assert (type(error), str(error)) == (PortError, "switch lab is closed")
    assert set(descriptors()) <= set(before)
