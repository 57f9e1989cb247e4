"""The loop detector in the configuration, over the API, in events and metrics."""

from __future__ import annotations

import pytest

from support.served import served
from support.services import services
from vswitch import FakeClock, MemoryPort, PcapPort, Switch, configfile, reconcile
from vswitch.cli import main
from vswitch.cli.monitor import line
from vswitch.config import SwitchConfig
from vswitch.control import client
from vswitch.control.schema import EventInfo, SwitchChange
from vswitch.errors import ApiError, ConfigError
from vswitch.metrics import exposition
from vswitch.portconfig import PortConfig


def looped_switch(mode="on"):
    """Two memory ports, of which the first hears itself."""
    switch = Switch("lab", clock=FakeClock(1000))
    switch.loops.configure(mode, 10, chance=lambda: 0.0)
    a = switch.add_port(MemoryPort("a"))
    switch.add_port(MemoryPort("b"))
    switch.poll()
    a.send(a.receive())
    switch.poll()
    return switch


def test_a_file_says_how_loops_are_met():
    text = '[switch]\nloop-detect = "report"\nloop-hold = 30\n'
    config = configfile.loads(text).config()

    assert (config.loop_detect, config.loop_hold_s) == ("report", 30)
    assert configfile.loads(configfile.dumps(config)).config() == config
    port = '[[port]]\nname = "tap0"\n'
    assert reconcile.changes(
        configfile.loads(port).config(), configfile.loads(text + port).config()
    ) == ["switch: loop-detect off -> report, loop-hold 10 -> 30"]


def test_a_change_from_nothing_says_none():
    port = '[[port]]\nname = "tap0"\n'
    was, will = (configfile.loads(text).config() for text in (port, port + 'shape = "1mbit"\n'))

    assert reconcile.changes(was, will) == ["port tap0: shape none -> 1mbit"]


def test_a_file_of_leases_that_comes_later_is_refused_in_words():
    port = '[[port]]\nname = "tap0"\n'
    texts = (port, '[switch]\nsnooping-file = "/run/leases"\n' + port)
    was, will = (configfile.loads(text).config() for text in texts)

    with pytest.raises(ConfigError, match=r"snooping-file \(is none, not /run/leases\)"):
        reconcile.changes(was, will)


@pytest.mark.parametrize(
    ("mode", "lines"),
    [
        ("off", []),
        ("on", ["    loops: a port is held for 10 s at first"]),
        ("report", ["    loops: only reported"]),
    ],
)
def test_show_says_how_loops_are_met(mode, lines, tmp_path, capsys):
    with services() as make, served(make(), tmp_path / "s") as path:
        with client.connect(path=path) as ask:
            ask.change_switch(SwitchChange(loop_detect=mode))
        assert main(["show", "--api", str(path)]) == 0

    found = [line for line in capsys.readouterr().out.splitlines() if "loops:" in line]
    assert found == lines


def test_a_port_may_be_left_out():
    assert PortConfig.parse("tap0").loop_detect
    assert not PortConfig.parse("tap0,loop-detect=off").loop_detect


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("loop_detect", "yes", "--loop-detect is on, report or off, not 'yes'"),
        ("loop_hold_s", 0, r"--loop-hold must be in 1\.\.3600, not 0"),
    ],
)
def test_what_cannot_be_is_refused(option, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        SwitchConfig(**{option: value})


@pytest.mark.parametrize(("mode", "warnings"), [("off", 1), ("report", 0)])
def test_a_hold_without_the_detector_is_warned_of(caplog, mode, warnings):
    with services() as make:
        make(SwitchConfig("lab", loop_detect=mode, loop_hold_s=30))

    found = [r for r in caplog.messages if r.startswith("loop-hold does nothing without")]
    assert len(found) == warnings


def test_a_mode_that_there_is_not_is_refused():
    with Switch("lab", clock=FakeClock(1000)) as switch:
        for mode, hold_s in (("yes", 10), ("on", 0)):
            with pytest.raises(ValueError, match="modes are off, report, on"):
                switch.loops.configure(mode, hold_s)


def test_the_command_line_begins_it_and_the_api_changes_it(tmp_path):
    with services() as make:
        service = make()
        with served(service, tmp_path / "api"), client.connect(path=tmp_path / "api") as ask:
            assert ask.switch().loop_detect == "off"

            told = ask.change_switch(SwitchChange(loop_detect="on", loop_hold_s=20))

            assert (told.loop_detect, told.loop_hold_s) == ("on", 20)
            assert service.switch.loops.mode == "on"
            assert service.config.loop_hold_s == 20
            with pytest.raises(
                ApiError, match=r"^loop_detect must be on, report or off, not 'maybe'$"
            ):
                ask.change_switch(SwitchChange(loop_detect="maybe"))


def test_the_command_line_refuses_what_cannot_be(capsys):
    assert main(["run", "--port", "tap0", "--loop-detect", "perhaps"]) == 2
    assert "--loop-detect is on, report or off" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["on", "report"])
def test_metrics_tell_which_ports_are_looped(mode):
    with looped_switch(mode) as switch:
        text = exposition(switch)[0].decode()

    assert 'vswitch_port_looped{port="a",switch="lab"} 1.0' in text
    assert 'vswitch_port_looped{port="b",switch="lab"} 0.0' in text


def test_monitor_says_it_in_a_line():
    with looped_switch() as switch:
        [event] = [e for e in switch.observer.events() if e.kind == "loop_found"]

    told = EventInfo(event.kind, 0.0, port=event.port, old_port=event.old_port, reason=event.reason)
    assert line(told, "lab") == "a master lab loop with a held "


def test_a_log_line_names_both_ports(caplog):
    with looped_switch():
        pass

    assert "loop found port=a other=a vlan=0 quiet_s=2 stations_flushed=0" in caplog.messages


def test_a_recording_gets_no_probes(tmp_path):
    with looped_switch() as switch:
        switch.add_port(PcapPort("rec", None, out=tmp_path / "out.pcap"))
        switch.clock.advance(1)
        switch.poll()

        assert switch.port_status("rec").counters["tx_frames"] == 0
        assert switch.port_status("b").counters["tx_frames"] == 2
