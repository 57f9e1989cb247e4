"""Ports of every kind that needs no root come and go while frames flow between two others."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from support.captures import write_pcap
from support.flow import Flow
from support.frames import BROADCAST, frame, mac
from support.plugged import PluggedVm
from support.stream_peer import StreamListener, prefixed
from support.wait import wait_for
from vswitch import MemoryPort, Switch
from vswitch.config import StationConfig, SwitchConfig
from vswitch.control import client
from vswitch.errors import ApiError, PortNotFoundError
from vswitch.journal import Journal
from vswitch.portconfig import AUTO, KINDS, PortConfig
from vswitch.service import Service

ROUNDS = 200  # of each kind
WARM_UP = 40
BYTES_A_ROUND = 2048  # half a page, which is what a leak would cost at least
STATION = mac(9)
SAYS = frame(BROADCAST, mac(7))


def _qemu(folder: Path, peers: ExitStack) -> str:
    listener = socket.socket(socket.AF_UNIX)
    peers.callback(listener.close)
    listener.bind(f"{folder}/vm.sock")
    listener.listen(ROUNDS + WARM_UP)
    return f"qemu:{folder}/vm.sock,name=p"


def _vhost_user(folder: Path, peers: ExitStack) -> str:
    return f"vhost-user:{folder}/vm.sock,name=p"


def _dgram(folder: Path, peers: ExitStack) -> str:
    vm = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    peers.callback(vm.close)
    vm.bind(f"{folder}/vm.sock")
    return f"dgram:{folder}/switch.sock,remote={folder}/vm.sock,name=p"


def _udp(folder: Path, peers: ExitStack) -> str:
    vm = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for s in (vm, ours):
        s.bind(("127.0.0.1", 0))
    peers.callback(vm.close)
    here, there = ours.getsockname(), vm.getsockname()
    ours.close()
    return f"udp:127.0.0.1:{here[1]},remote=127.0.0.1:{there[1]},name=p"


def _pcap(folder: Path, peers: ExitStack) -> str:
    write_pcap(folder / "in.pcap", [(i * 1_000_000, SAYS) for i in range(100)])
    return f"pcap:{folder}/in.pcap,loop=0,out={folder}/out.pcap,name=p"


def _record(folder: Path, peers: ExitStack) -> str:
    return f"record:{folder}/out.pcap,name=p"


PLUGS: Mapping[str, Callable[[Path, ExitStack], str]] = {
    "qemu": _qemu,
    "vhost-user": _vhost_user,
    "dgram": _dgram,
    "udp": _udp,
    "pcap": _pcap,
    "record": _record,
}
DEVICES = (AUTO, "tap", "netdev", "local")  # tests/netns/test_hot_plug_devices.py
HANDED = ("fd",)  # a descriptor is one process's, and closed with its port
OUTPUT = ("out.pcap",)  # stays, and is what one wanted


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service.made(SwitchConfig("lab", pollers=2))
    with service.switch:
        yield service


def resources() -> tuple[int, int]:
    """How many descriptors and threads this process has."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def objects() -> int:
    """How many objects of ours there are."""
    gc.collect()
    return sum("vswitch." in repr(type(o)) for o in gc.get_objects())


def mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def plug(service: Service, port: PortConfig, times: int = 1) -> None:
    for _ in range(times):
        service.add_port(port)
        service.remove_port(port.name)


def test_every_kind_is_plugged():
    assert {*PLUGS, *DEVICES, *HANDED} == set(KINDS)


@pytest.mark.parametrize("kind", PLUGS)
def test_a_port_that_comes_and_goes_costs_the_others_no_frame(service, tmp_path, kind):
    flow = Flow(service.switch)
    with ExitStack() as peers:
        port = PortConfig.parse(PLUGS[kind](tmp_path, peers))
        files = sorted(os.listdir(tmp_path))
        plug(service, port)  # once before: the first guest's poller opens what it calls with
        before = resources()
        with flow.running():
            for _ in range(20):
                service.add_port(port)
                service.pin(StationConfig(STATION, "p"), move=False)
                status = service.switch.port_status("p")
                assert (status.number, status.stations >= 1) == (2, True)
                service.remove_port("p")
            assert "p" not in {station.port for station in service.switch.stations()}
            assert STATION not in {station.mac for station in service.switch.stations()}

        wait_for(lambda: resources() == before, "the same descriptors and threads")
        assert [f for f in sorted(os.listdir(tmp_path)) if f not in OUTPUT] == files
    assert service.config == SwitchConfig("lab", pollers=2)


def test_a_thousand_times_leave_no_byte(service, tmp_path):
    # What is remembered of them has a limit, which is not to be what is counted here.
    service.switch.observer.journal = Journal(0.0, stations_max=8, others_max=8)
    for plugged in PLUGS.values():
        with ExitStack() as peers:
            port = PortConfig.parse(plugged(tmp_path, peers))
            plug(service, port, WARM_UP)
            objects_before, before, bytes_before = objects(), resources(), mapped_bytes()

            plug(service, port, ROUNDS)

            # Objects last: to count them takes some memory, too. Of the last few ports the control
            # thread may not have heard yet.
            assert mapped_bytes() - bytes_before < ROUNDS * BYTES_A_ROUND
            assert resources() == before
            assert objects() - objects_before < ROUNDS // 4
        (tmp_path / "vm.sock").unlink(missing_ok=True)


def test_the_next_owner_of_a_number_has_no_counter_of_the_last(service, tmp_path):
    flow = Flow(service.switch)
    with flow.running():
        service.add_port(PortConfig.parse(f"record:{tmp_path}/a.pcap"))
        wait_for(lambda: service.switch.port_status("a").counters["tx_frames"] > 100, "frames")
        service.remove_port("a")
        service.add_port(PortConfig.parse(f"record:{tmp_path}/b.pcap,state=blocked"))

        status = service.switch.port_status("b")
        assert status.number == 2
        assert not any([*status.counters.values(), *status.drops.values()])


# ---------------------------------------------------------------------- while others are at it


class Repeated:
    """A thread that does something again and again until the block ends; its errors are ours."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what, self._stop = what, threading.Event()
        self._error: BaseException | None = None
        self.times = 0
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._what()
                self.times += 1
        except BaseException as e:  # noqa: BLE001 - raised where the test is
            self._error = e

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._error:
            raise self._error


def test_a_port_is_removed_while_its_peer_does_not_stop_talking(service, tmp_path):
    flow = Flow(service.switch)
    path = tmp_path / "lan.sock"
    with closing(StreamListener(path)) as listener:
        port = PortConfig.parse(f"qemu:{path},name=p")
        talk = prefixed(*[SAYS] * 200)
        with flow.running():
            for _ in range(30):
                service.add_port(port)
                with closing(listener.accept()) as vm:
                    vm.socket.setblocking(True)
                    vm.socket.settimeout(5)
                    with suppress(BrokenPipeError, ConnectionResetError):
                        vm.socket.sendall(talk)
                        vm.socket.sendall(talk[:11])  # in the middle of a frame
                    service.remove_port("p")
    assert "p" not in {station.port for station in service.switch.stations()}


def test_a_port_is_removed_while_its_guest_talks(service, tmp_path):
    flow = Flow(service.switch)
    path = tmp_path / "vm.sock"
    port = PortConfig.parse(f"vhost-user:{path},name=p")
    plug(service, port)
    before = resources()
    with flow.running():
        for i in range(20):
            service.add_port(port)
            with closing(PluggedVm(path)) as vm:
                if i % 2:
                    vm.boot()
                    vm.send(SAYS)
                else:
                    vm.front.write(b"\x01\x00\x00")  # in the middle of a message
                service.remove_port("p")
                assert not path.exists()
                wait_for(vm.front.hung_up, "the switch hangs up")
    wait_for(lambda: resources() == before, "the same descriptors and threads")


def test_a_listener_comes_and_goes_while_vms_knock(service, tmp_path):
    flow = Flow(service.switch)
    place = PortConfig.parse_listener(f"qemu:{tmp_path}/lan.sock,name=lan")
    before = resources()

    def knock() -> None:
        with socket.socket(socket.AF_UNIX) as vm, suppress(OSError):  # nobody is there just now
            vm.connect(f"{tmp_path}/lan.sock")
            vm.sendall(prefixed(SAYS))

    def kick() -> None:
        for name in service.switch.ports:
            if not name.startswith("flow"):
                with suppress(PortNotFoundError):  # it has left by itself
                    service.remove_port(name)

    with flow.running(), Repeated(knock) as knocking, Repeated(kick):
        for _ in range(100):
            service.listen(place)
            service.unlisten("lan")
        service.listen(place)
        more = knocking.times + 20
        wait_for(lambda: knocking.times > more, "some more of them")
        service.unlisten("lan")

    wait_for(lambda: len(service.switch.ports) == 2, "the last VM is gone")
    wait_for(lambda: resources() == before, "the same descriptors and threads")
    assert service.config.listeners == ()
    assert os.listdir(tmp_path) == []


def test_two_clients_of_one_port_never_break_it(service, tmp_path):
    port = PortConfig.parse(f"vhost-user:{tmp_path}/vm.sock,name=p")
    flow = Flow(service.switch)

    def other() -> None:
        with suppress(PortNotFoundError):
            service.set_port("p", learning=False, fdb_limit=3)
            service.pin(StationConfig(STATION, "p"), move=True)

    with flow.running(), Repeated(other), Repeated(service.switch.port_statuses):
        for _ in range(100):
            service.add_port(port)
            service.remove_port("p")
    assert (service.config.ports, service.config.stations) == ((), ())


def test_a_switch_is_closed_while_ports_are_removed(tmp_path):
    for _ in range(8):
        service = Service.made(SwitchConfig("lab"))
        names = [f"p{i}" for i in range(20)]
        with service.switch:
            for name in names:
                service.add_port(PortConfig.parse(f"record:{tmp_path}/{name}.pcap"))
            closer = threading.Thread(target=service.switch.close)
            closer.start()
            for name in names:
                with suppress(PortNotFoundError):
                    service.remove_port(name)
            closer.join(30)
        assert service.switch.ports == {}


# ---------------------------------------------------------------------- the end of a daemon

# A name's lookup that never ends, as with a name server that does not answer.
_WITHOUT_NAMES = """
import sys, threading
import vswitch.cli
from vswitch.linux import inet
def hang(*_):
    print("looking up", flush=True)
    threading.Event().wait()
inet.resolve = hang
sys.exit(vswitch.cli.main(sys.argv[1:]))
"""


def test_a_signal_ends_a_switch_that_looks_up_a_name(tmp_path):
    api, log = tmp_path / "api.sock", tmp_path / "out"
    words = ["run", "--listen", f"qemu:{tmp_path}/lan.sock", "--api", str(api)]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", _WITHOUT_NAMES, *words], stdout=out, stderr=out, text=True
        )
    try:
        wait_for(lambda: "forwarding" in log.read_text(), "a line that says forwarding")
        with client.connect(path=api) as asking:
            wait_for(lambda: asking.ports() == [], "the API answers")
            adding = threading.Thread(target=_add_in_vain, args=(api,))
            adding.start()
            wait_for(lambda: "looking up" in log.read_text(), "the lookup has begun")
            assert asking.switch().ports == 0

            process.send_signal(signal.SIGINT)

            assert process.wait(10) == 0
        adding.join(30)
    finally:
        process.kill()
        process.wait(10)
    assert "Traceback" not in log.read_text()
    assert os.listdir(tmp_path) == ["out"]


def _add_in_vain(api: Path) -> None:
    with client.connect(path=api) as asking, suppress(ApiError):
        asking.add_port("qemu:nobody.example:1")


def test_a_closed_switch_takes_no_listener(tmp_path):
    switch = Switch()
    service = Service(switch, switch.config)
    switch.close()

    with pytest.raises(Exception, match="switch vswitch is closed"):
        service.listen(PortConfig.parse_listener(f"qemu:{tmp_path}/lan.sock"))

    assert os.listdir(tmp_path) == []
    assert service.config.listeners == ()


def test_a_port_that_has_just_been_opened_is_in_nobody_s_way(monkeypatch):
    config = SwitchConfig()
    with Switch(config.name) as switch:
        service = Service(switch, config, opener=lambda port: MemoryPort(port.name))
        opened = service._open

        def another_meanwhile(port):
            opened(port)
            if port.name == "one":
                service.add_port(PortConfig.parse("two"))

        monkeypatch.setattr(service, "_open", another_meanwhile)

        service.add_port(PortConfig.parse("one"))

        assert [port.name for port in service.config.ports] == ["one", "two"]
