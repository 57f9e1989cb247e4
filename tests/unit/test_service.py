"""A running switch is changed: what it takes, and that a refusal changes nothing."""

from __future__ import annotations

import gc
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac
from support.plugged import PluggedVm
from support.stream_peer import StreamPeer
from vswitch import FakeClock, MemoryPort, openfiles, paths
from vswitch.config import StationConfig, SwitchConfig
from vswitch.errors import (
    ConfigError,
    FdbError,
    FdbFullError,
    PortError,
    PortExistsError,
    PortLimitError,
    PortNotFoundError,
    StationExistsError,
    StationNotFoundError,
)
from vswitch.portconfig import PortConfig
from vswitch.ports import QemuPort
from vswitch.service import Service

A, B = mac(1), mac(2)
LEARNED = frame(BROADCAST, A)


@pytest.fixture
def make() -> Iterator[Callable[..., Service]]:
    """Factory of services under a clock that stands still: open, and closed after the test."""
    made: list[Service] = []

    def one(config: SwitchConfig | None = None) -> Service:
        made.append(Service.made(config or SwitchConfig("lab"), clock=FakeClock(1000)))
        made[-1].open()
        return made[-1]

    yield one
    for service in made:
        service.switch.close()


@pytest.fixture
def service(make: Callable[..., Service]) -> Service:
    return make()


@pytest.fixture
def out(tmp_path: Path) -> Callable[..., PortConfig]:
    """Factory of ports that need nobody: recordings in a folder of the test."""
    return lambda name, *options: PortConfig.parse(
        ",".join([f"record:{tmp_path}/{name}.pcap", *options])
    )


def qemu(path: Path, *options: str) -> PortConfig:
    return PortConfig.parse_listener(",".join([f"qemu:{path}", *options]))


def descriptors() -> list[str]:
    gc.collect()  # the ports of earlier tests
    return sorted(os.listdir("/proc/self/fd"))


def unchanged(service: Service) -> tuple[object, ...]:
    """What a refusal must leave as it is."""
    ports = [(s.name, s.mtu, s.learning, s.state, s.fdb_limit) for s in
             service.switch.port_statuses()]  # fmt: skip
    return (
        service.config,
        ports,
        service.switch.stations(),
        service.switch.listener_status(),
        descriptors(),
    )


# ---------------------------------------------------------------------- ports


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


# ---------------------------------------------------------------------- where VMs connect


def test_a_listener_comes_and_goes_with_the_configuration(service, tmp_path):
    place = qemu(tmp_path / "lan.sock", "mtu=9000")

    status = service.listen(place)

    assert (status.name, status.address, status.mtu) == ("lan", f"{tmp_path}/lan.sock", 9000)
    assert service.config.listeners == (place,)
    service.unlisten("lan")
    assert service.config.listeners == ()
    assert list(tmp_path.iterdir()) == []
    assert service.listen(place) == status


def test_vms_stay_when_their_listener_goes(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))
    a = service.switch.add_port(MemoryPort("a"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
        service.switch.poll()

        service.unlisten("lan")
        vm.send(LEARNED)
        service.switch.poll()

        assert a.receive() == [LEARNED]
    service.switch.poll()
    assert [*service.switch.ports] == ["a"]


def test_who_knocked_and_was_not_let_in_yet_is_hung_up_on(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
        service.unlisten("lan")
        service.switch.poll()

        assert vm.hung_up()
    assert service.switch.ports == {}


def test_a_vm_whose_port_is_removed_is_hung_up_on_and_may_come_again(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock", "name=lan"))
    for _ in range(3):
        with closing(StreamPeer.connect(tmp_path / "lan.sock")) as vm:
            service.switch.poll()
            (name,) = service.switch.ports

            service.remove_port(name)

            assert vm.hung_up()
    assert service.config.ports == ()


def test_a_folder_keeps_its_vms_and_goes_with_the_last(service, tmp_path):
    folder = tmp_path / "lan"
    service.listen(PortConfig.parse_listener(f"vhost-user:{folder}/"))
    with closing(PluggedVm(folder / "lan-1.sock", service.switch.poll)) as vm:
        vm.boot()
        service.unlisten("lan")

        assert [*service.switch.ports] == ["lan-1"]
        assert os.listdir(folder) == ["lan-1.sock"]
    service.switch.poll()

    assert service.switch.ports == {}
    assert not folder.exists()


def test_a_port_beside_the_sockets_of_a_folder_is_not_the_folders(service, tmp_path):
    service.listen(PortConfig.parse_listener(f"vhost-user:{tmp_path}/lan/"))
    service.add_port(PortConfig.parse(f"vhost-user:{tmp_path}/lan/own.sock"))

    service.unlisten("lan")

    assert [*service.switch.ports] == ["own"]
    assert os.listdir(tmp_path / "lan") == ["own.sock"]


def test_of_listeners_with_one_name_one_is_named_by_its_address(service, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        service.listen(qemu(tmp_path / folder / "lan.sock"))
    before = unchanged(service)

    with pytest.raises(PortError, match="2 listeners are called lan") as caught:
        service.unlisten("lan")

    assert f"{tmp_path}/x/lan.sock, {tmp_path}/y/lan.sock" in caught.value.hint
    assert unchanged(service) == before
    service.unlisten("lan", address=f"{tmp_path}/x/lan.sock")
    assert service.config.listeners == (qemu(tmp_path / "y" / "lan.sock"),)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("qemu:{0}/lan.sock", PortExistsError, "listener qemu:.*lan.sock is there already"),
        ("qemu:{0}/none/x.sock", PortError, "cannot make the socket"),
        ("vhost-user:{0}/none/x/", PortError, "cannot make the folder"),
        ("fd:3", PortError, "a descriptor is handed to a process when that starts"),
    ],
)
def test_a_listener_that_cannot_be_changes_nothing(service, tmp_path, text, error, said):
    service.listen(qemu(tmp_path / "lan.sock"))
    before = unchanged(service)

    with pytest.raises(error, match=said):
        service.listen(PortConfig.parse_listener(text.format(tmp_path)))

    assert unchanged(service) == before


def test_a_listener_that_is_not_there_cannot_be_closed(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))

    with pytest.raises(PortNotFoundError, match="no listener wan") as caught:
        service.unlisten("wan")

    assert caught.value.hint == "listeners are: lan"


# ---------------------------------------------------------------------- stations, the switch


def test_static_stations_are_part_of_the_configuration(service, out):
    for name in "ab":
        service.add_port(out(name))
    service.pin(StationConfig(A, "a"), move=False)
    service.pin(StationConfig(B, "b"), move=False)

    service.pin(StationConfig(A, "b"), move=True)
    service.unpin(B, 0)

    assert service.config.stations == (StationConfig(A, "b"),)
    assert [(s.mac, s.port, s.static) for s in service.switch.stations()] == [(A, "b", True)]
    assert service.switch.fdb_counters()["static"] == 1
    service.remove_port("b")
    assert service.config.stations == ()
    assert service.switch.fdb_counters()["static"] == 0


@pytest.mark.parametrize("port", ["a", "b"])
def test_a_station_that_is_static_already_is_not_added(service, out, port):
    for name in "ab":
        service.add_port(out(name))
    service.pin(StationConfig(A, "a"), move=False)
    before = unchanged(service)

    with pytest.raises(StationExistsError, match=f"station {A.hex(':')} is static already"):
        service.pin(StationConfig(A, port), move=False)

    assert unchanged(service) == before


def test_a_learned_station_becomes_static(service):
    a = service.switch.add_port(MemoryPort("a"))
    service.switch.add_port(MemoryPort("b"))
    a.send([LEARNED])
    service.switch.poll()

    service.pin(StationConfig(A, "b"), move=False)

    assert [(s.port, s.static) for s in service.switch.stations()] == [("b", True)]
    service.unpin(A, 0)
    assert service.switch.stations() == []


def test_a_station_that_is_not_known_cannot_be_deleted(service):
    with pytest.raises(StationNotFoundError, match=f"no station {A.hex(':')}"):
        service.unpin(A, 0)


def test_a_limit_holds_for_static_stations(service, out):
    service.add_port(out("a", "fdb-limit=1"))
    service.pin(StationConfig(A, "a"), move=False)
    before = unchanged(service)

    with pytest.raises(FdbFullError):
        service.pin(StationConfig(B, "a"), move=True)

    assert unchanged(service) == before


def test_a_port_that_is_a_station_itself_keeps_it(service):
    host = MemoryPort("host")
    host.station = A
    service.switch.add_port(host)
    service.switch.add_port(MemoryPort("b"))
    before = unchanged(service)

    with pytest.raises(FdbError, match="is port host itself"):
        service.pin(StationConfig(A, "b"), move=True)
    with pytest.raises(FdbError, match="is port host itself"):
        service.unpin(A, 0)

    assert unchanged(service) == before


def test_a_port_whose_station_is_pinned_elsewhere_is_refused(service):
    service.switch.add_port(MemoryPort("b"))
    service.pin(StationConfig(A, "b"), move=False)
    before = unchanged(service)
    host = MemoryPort("host")
    host.station = A

    with pytest.raises(StationExistsError, match="is static already, at port b"):
        service.switch.add_port(host)

    host.close()
    del host  # its wire has a descriptor of its own
    assert unchanged(service) == before


def test_a_station_at_a_vms_port_is_not_configuration(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        service.switch.poll()
        (name,) = service.switch.ports
        service.pin(StationConfig(A, name), move=False)

        assert service.config.stations == ()
        assert service.switch.stations()[0].static
    service.switch.poll()
    assert service.switch.fdb_counters()["static"] == 0


@pytest.mark.parametrize(
    ("stations", "said"),
    [
        ([StationConfig(A, "x")], "is behind x, which is no port"),
        ([StationConfig(A, "a"), StationConfig(A, "a")], "is given twice"),
        ([StationConfig(BROADCAST, "a")], "unicast and not zero"),
        ([StationConfig(bytes(6), "a")], "unicast and not zero"),
    ],
)
def test_stations_are_checked_with_the_configuration(out, stations, said):
    with pytest.raises(ConfigError, match=said):
        SwitchConfig(ports=(out("a"),), stations=tuple(stations))


def test_a_switch_begins_with_its_stations(make, out):
    config = SwitchConfig(ports=(out("a"),), stations=(StationConfig(A, "a"),))

    assert [(s.mac, s.port, s.static) for s in make(config).switch.stations()] == [(A, "a", True)]


def test_the_switch_is_changed_as_a_whole_or_not(service):
    service.set_switch(ageing_s=0, forward=["lldp", "05"])
    before = unchanged(service)
    assert (service.config.ageing_s, service.config.forward) == (0, {0xE, 5})
    assert {n for n, v in service.switch.reserved.items() if v == "forward"} == {0xE, 5}

    with pytest.raises(ConfigError, match="unknown reserved address 'nix'"):
        service.set_switch(ageing_s=7, forward=["nix"])
    with pytest.raises(ConfigError):
        service.set_switch(ageing_s=-1, forward=[])

    assert unchanged(service) == before


# ---------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("text", "absolute"),
    [
        ("tap0", "tap0"),
        ("qemu:./vm.sock,mtu=9000", "qemu:/here/vm.sock,mtu=9000"),
        ("qemu:localhost:1234", "qemu:localhost:1234"),
        ("udp:127.0.0.1:1,remote=127.0.0.1:2", "udp:127.0.0.1:1,remote=127.0.0.1:2"),
        ("vhost-user:lan/", "vhost-user:/here/lan/"),
        ("vhost-user:/tmp/vm.sock,client", "vhost-user:/tmp/vm.sock,client"),
        ("dgram:a,remote=../b,name=x", "dgram:/here/a,remote=/b,name=x"),
        ("pcap:in.pcap,out=out.pcapng", "pcap:/here/in.pcap,out=/here/out.pcapng"),
        ("nix:x", "nix:x"),
        ("record:", "record:"),
    ],
)
def test_paths_are_seen_from_the_folder_of_who_asks(text, absolute):
    assert paths.absolute(text, "/here") == absolute


@pytest.mark.parametrize(
    "text", ["qemu:./vm.sock", "record:a.pcap", "pcap:/a,out=b", "dgram:/a,remote=b"]
)
def test_a_relative_path_is_told_from_an_absolute_one(text):
    with pytest.raises(ConfigError, match="is relative"):
        paths.check_absolute(PortConfig.parse(text))
    paths.check_absolute(PortConfig.parse(paths.absolute(text, "/here")))


def test_a_listeners_port_has_what_it_says_of_itself(service, tmp_path):
    service.listen(qemu(tmp_path / "lan.sock", "fdb-limit=3"))
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        service.switch.poll()
        (port,) = service.switch.ports.values()

        assert isinstance(port, QemuPort)
        assert service.switch.port_status(port.name).fdb_limit == 3
