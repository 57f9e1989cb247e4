"""A running switch takes over a configuration: its ports, its stations, its frames."""

import gc
import os
import socket
import threading
from contextlib import closing

import pytest

from support.configured import dgram, from_file
from support.wait import PATIENCE_S, wait_for
from vswitch import MemoryPort, configfile
from vswitch.configsource import Given
from vswitch.errors import ConfigError, PortError
from vswitch.portconfig import PortConfig
from vswitch.service import Service

FRAME = bytes.fromhex("020000000002 020000000001 88b5") + bytes(46)


@pytest.fixture
def service(tmp_path):
    """A running switch with port one, from tmp_path/lab.toml."""
    file = tmp_path / "lab.toml"
    file.write_text(dgram(tmp_path, "one"))
    made = from_file(file)
    yield made
    made.switch.close()


def test_a_reload_opens_and_closes_ports(service, tmp_path):
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "two"))

    changes = service.reload()

    assert changes == ["port two: opened", "port one: closed"]
    assert list(service.switch.ports) == ["two"]
    assert not (tmp_path / "one").exists()
    assert service.config == service.source.read()


def test_a_station_is_pinned_again_when_its_port_is_opened_again(service, tmp_path):
    station = '[[station]]\nmac = "02:00:00:00:00:07"\nport = "one"\n'
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "one") + station)
    service.reload()
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "one", 'mode = "0600"') + station)

    changes = service.reload()

    assert changes[-1] == "station 02:00:00:00:00:07: behind one"
    assert [(s.port, s.static) for s in service.switch.stations()] == [("one", True)]


def test_what_can_be_set_is_set_without_closing_the_port(service, tmp_path):
    before = service.switch.ports["one"]
    extra = 'mtu = 9000\nstate = "blocked"\nlearning = false\nfdb-limit = 3'
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "one", extra))

    service.reload()

    status = service.switch.port_status("one")
    assert service.switch.ports["one"] is before
    assert (status.mtu, status.state, status.learning, status.fdb_limit) == (
        9000, "blocked", False, 3,
    )  # fmt: skip


def test_listeners_come_and_go(service, tmp_path):
    one = dgram(tmp_path, "one")
    where = [tmp_path / "a.sock", tmp_path / "b.sock"]
    listen = [f'[[listen]]\nkind = "qemu"\naddress = "{path}"\n' for path in where]
    (tmp_path / "lab.toml").write_text(one + listen[0])
    service.reload()
    (tmp_path / "lab.toml").write_text(one + listen[1])

    service.reload()

    assert [path.exists() for path in where] == [False, True]
    assert [place.address for place in service.switch.listener_status()] == [str(where[1])]


def test_a_port_that_cannot_be_opened_leaves_all_others_as_they_were(service, tmp_path):
    (tmp_path / "taken").mkdir()
    before, config = service.switch.ports["one"], service.config
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "two") + dgram(tmp_path, "taken"))

    with pytest.raises(PortError, match="taken"):
        service.reload()

    assert service.switch.ports == {"one": before}
    assert service.config == config
    assert not (tmp_path / "two").exists()


def test_a_mistake_in_the_file_touches_nothing(service, tmp_path):
    before = service.switch.ports["one"]
    (tmp_path / "lab.toml").write_text(dgram(tmp_path, "two", "mtu = 1"))

    with pytest.raises(ConfigError, match=r"lab\.toml:7: port\[1\]\.mtu must be in"):
        service.reload()

    assert service.switch.ports == {"one": before}


def test_each_change_is_one_log_line(service, tmp_path, caplog):
    caplog.set_level("INFO")
    place = f'[[listen]]\nkind = "qemu"\naddress = "{tmp_path}/lan.sock"\n'
    (tmp_path / "lab.toml").write_text("[switch]\nageing = 7\n" + dgram(tmp_path, "two") + place)

    changes = service.reload()

    assert len(changes) == len(caplog.messages) == 4
    assert caplog.messages[-1] == "changed what='switch: ageing 300 -> 7'"


def test_what_was_changed_by_hand_is_undone(service, tmp_path):
    service.add_port(PortConfig.parse(f"dgram:{tmp_path}/x,remote=/y"))

    assert service.reload() == ["port x: closed"]


def test_the_command_line_wins_after_a_reload_too(tmp_path):
    file = tmp_path / "lab.toml"
    file.write_text("[switch]\nageing = 5\n" + dgram(tmp_path, "one"))
    port = PortConfig.parse(f"dgram:{tmp_path}/x,remote=/y")
    service = from_file(file, Given({"ageing_s": 7}, (port,)))
    try:
        file.write_text("[switch]\nageing = 6\n" + dgram(tmp_path, "one"))

        assert service.reload() == []
        assert (service.config.ageing_s, list(service.switch.ports)) == (7, ["one", "x"])
    finally:
        service.switch.close()


@pytest.mark.parametrize("said", ["stats = 1", 'user = "1"', "lock = true", 'seccomp = "on"'])
def test_how_it_is_run_cannot_change(service, tmp_path, said):
    file, key = tmp_path / "lab.toml", said.partition(" ")[0]
    file.write_text(f"[run]\n{said}\n" + dgram(tmp_path, "two"))

    with pytest.raises(ConfigError) as caught:
        service.reload()

    assert str(caught.value) == f"{file}:2: run.{key} cannot be changed while the switch runs"
    assert caught.value.hint == "end the switch and start it again for that"
    assert list(service.switch.ports) == ["one"]


def test_a_switch_without_a_file_says_so(tmp_path):
    service = Service.made(configfile.loads(dgram(tmp_path, "one")).config())
    try:
        with pytest.raises(ConfigError, match="has no configuration file"):
            service.reload()
    finally:
        service.switch.close()


def test_a_hundred_reloads_leave_nothing_behind(service, tmp_path):
    texts = [dgram(tmp_path, "one"), dgram(tmp_path, "two"), dgram(tmp_path, "one", "mtu = 9000")]
    gc.collect()  # other tests' switches
    before = len(os.listdir("/proc/self/fd")), set(threading.enumerate())

    for i in range(99):
        (tmp_path / "lab.toml").write_text(texts[i % 3])
        service.reload()
    (tmp_path / "lab.toml").write_text(texts[0])
    service.reload()

    # Threads of others may have ended meanwhile; the control thread may look at a socket just now.
    wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before[0], "the same descriptors")
    assert set(threading.enumerate()) <= before[1]


def test_a_port_that_stays_loses_no_frame(service, tmp_path):
    inside = service.switch.add_port(MemoryPort("inside"))
    texts = [dgram(tmp_path, "one", f"fdb-limit = {i}") + dgram(tmp_path, f"n{i}") for i in (7, 8)]
    received = 0
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as peer:
        peer.settimeout(PATIENCE_S)
        peer.bind(str(tmp_path / "one-peer"))
        peer.connect(str(tmp_path / "one"))  # to this socket: to one opened anew it would fail

        for i in range(100):
            (tmp_path / "lab.toml").write_text(texts[i % 2])
            sending = threading.Thread(target=lambda: [peer.send(FRAME) for _ in range(40)])
            sending.start()
            assert service.reload()
            sending.join()
            received += len(inside.receive())
        received += wait_for(
            lambda: service.switch.port_status("inside").counters["tx_frames"] == 4000
            and len(inside.receive()) + 1,
            "every frame",
        ) - 1  # fmt: skip

    assert received == 4000
