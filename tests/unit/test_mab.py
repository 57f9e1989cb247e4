"""MAC authentication bypass: who knocks at a locked port is noted, and let in by command."""

from __future__ import annotations

import json
import threading

import pytest

from support.frames import BROADCAST, frame, mac
from support.served import served
from support.wait import wait_for
from vswitch import cli, configfile
from vswitch.control import client
from vswitch.errors import ApiError, ConfigError
from vswitch.guarding import SwitchGuards
from vswitch.metrics import exposition
from vswitch.portconfig import PortConfig
from vswitch.vlanwords import parse

A, B, C = mac(1), mac(2), mac(3)
LLDP = bytes.fromhex("0180c200000e")
KNOWN_AT = {"locked": True, "mab": True}
WRONG = "mab is for a port that is locked and learns"


@pytest.fixture(params=["c", "python"])
def core_of_labs(request):
    return request.param


@pytest.fixture
def net(lab):
    """Ports a, which is locked and notes who knocks, b and c."""
    made = lab("a", "b", "c", ageing_s=100)
    made.switch.set_port("a", **KNOWN_AT)
    return made


def known(net):
    """(port, what is so of it, age) of each station."""
    return {
        s.mac: (s.port, [w for w in ("static", "sticky", "locked") if getattr(s, w)], s.age_s)
        for s in net.switch.stations()
    }


def events(net):
    return [
        (e.kind, e.old_port, e.port, e.was_locked, e.locked)
        for e in net.switch.observer.events()
        if e.mac
    ]


def test_who_knocks_is_noted_and_not_let_in(net):
    assert net.send("a", frame(BROADCAST, A)) == {}

    assert known(net) == {A: ("a", ["locked"], 0)}
    assert net.drops("a") == {"guarded": 1}
    assert events(net) == [("learned", None, "a", False, True)]
    assert net.switch.fdb_counters()["locked"] == 1
    assert net.switch.fdb["flags"].tolist() == [4]


def test_who_is_let_in_by_command_enters(net):
    net.send("a", frame(BROADCAST, A))
    net.switch.pin(A, "a")

    assert set(net.send("a", frame(BROADCAST, A))) == {"b", "c"}
    assert known(net) == {A: ("a", ["static"], 0)}
    assert events(net)[1:] == [("pinned", "a", "a", True, False)]
    assert net.switch.fdb_counters()["locked"] == 0


def test_who_is_let_in_until_it_is_silent_has_to_knock_again(net):
    net.send("a", frame(BROADCAST, A))
    net.switch.stick(A, "a")
    net.clock.advance(60)
    assert set(net.send("a", frame(BROADCAST, A))) == {"b", "c"}  # and is heard, so it stays
    net.clock.advance(60)
    assert set(net.send("a", frame(BROADCAST, A))) == {"b", "c"}

    net.clock.advance(100)
    assert net.send("a", frame(BROADCAST, A)) == {}
    assert known(net) == {A: ("a", ["locked"], 0)}


def test_who_goes_on_knocking_stays_noted_and_ages_like_others(net):
    net.send("a", frame(BROADCAST, A))
    net.clock.advance(60)
    net.send("a", frame(BROADCAST, A))
    net.clock.advance(99)
    assert known(net) == {A: ("a", ["locked"], 99)}
    net.clock.advance(1)
    net.switch.poll()

    assert known(net) == {}
    assert [e[0] for e in events(net)] == ["learned", "expired"]
    assert events(net)[1] == ("expired", "a", None, True, False)


def test_what_is_for_who_knocks_is_sent_there(net):
    net.send("a", frame(BROADCAST, A))

    assert set(net.send("b", frame(A, B))) == {"a"}


def test_who_is_known_elsewhere_is_neither_moved_nor_noted(net):
    net.send("b", frame(BROADCAST, A))

    assert net.send("a", frame(BROADCAST, A)) == {}
    assert known(net) == {A: ("b", [], 0)}
    assert set(net.send("c", frame(A, C))) == {"b"}


def test_who_knocked_is_learned_where_it_may_speak(net):
    net.switch.set_port("c", **KNOWN_AT)
    net.send("a", frame(BROADCAST, A))
    assert net.send("c", frame(BROADCAST, A)) == {}  # another locked port
    assert known(net) == {A: ("a", ["locked"], 0)}

    assert set(net.send("b", frame(BROADCAST, A))) == {"a", "c"}
    assert known(net) == {A: ("b", [], 0)}
    assert events(net)[-1] == ("moved", "a", "b", True, False)
    assert net.send("a", frame(BROADCAST, A)) == {}  # and not back
    assert known(net) == {A: ("b", [], 0)}


def test_the_move_guard_does_not_hold_who_only_knocked(lab):
    net = lab("a", "b", "c")
    net.switch.set_guards(SwitchGuards(move_guard_s=50))
    net.switch.set_port("a", **KNOWN_AT)
    net.send("a", frame(BROADCAST, A))

    assert set(net.send("b", frame(BROADCAST, A))) == {"a", "c"}
    assert known(net) == {A: ("b", [], 0)}


def test_a_frame_for_an_address_that_is_kept_here_notes_nobody(net):
    net.send("a", frame(LLDP, A))
    assert known(net) == {}

    net.switch.set_reserved(["lldp"], "forward")
    net.send("a", frame(LLDP, A))
    assert known(net) == {A: ("a", ["locked"], 0)}


def test_a_locked_port_without_mab_notes_nobody(net):
    net.switch.set_port("a", mab=False)

    assert net.send("a", frame(BROADCAST, A)) == {}
    assert known(net) == {}


def test_without_mab_those_who_knocked_there_are_forgotten(net):
    net.switch.set_port("c", **KNOWN_AT)
    net.send("b", frame(BROADCAST, B))
    net.switch.pin(mac(9), "a")
    net.send("a", frame(BROADCAST, A))
    net.send("c", frame(BROADCAST, C))

    net.switch.set_port("a", mab=False)

    assert set(known(net)) == {B, C, mac(9)}
    assert events(net)[-1] == ("flushed", "a", None, True, False)
    net.switch.set_port("c", mab=False, locked=False)  # both at once
    assert set(known(net)) == {B, mac(9)}


def test_a_limit_counts_who_knocks(net):
    net.switch.set_port("a", fdb_limit=2)
    net.send("a", *(frame(BROADCAST, mac(n)) for n in range(10, 20)))

    assert set(known(net)) == {mac(10), mac(11)}
    assert net.status("a").stations == 2
    assert net.switch.fdb_counters()["refused"] == 8


def test_knocking_is_per_vlan(net):
    for port in "abc":
        net.switch.set_port(port, vlans=parse(port, "trunk=10,20"))
    tagged = frame(BROADCAST, A)[:12] + b"\x81\0\0\x0a" + frame(BROADCAST, A)[12:]

    net.send("a", tagged)
    [station] = net.switch.stations()
    assert (station.vid, station.locked) == (10, True)
    net.switch.pin(A, "a", vid=10)
    assert set(net.send("a", tagged)) == {"b", "c"}
    assert net.send("a", tagged[:15] + b"\x14" + tagged[16:]) == {}


def test_the_past_tells_who_was_locked(net):
    net.send("a", frame(BROADCAST, A))
    then = net.clock.precise_s()
    net.clock.advance(5)
    net.switch.pin(A, "a")

    [was] = net.switch.observer.stations_at(then)
    [now] = net.switch.observer.stations_at(net.clock.precise_s())
    assert (was.locked, was.static) == (True, False)
    assert (now.locked, now.static) == (False, True)


def test_the_past_tells_who_was_sticky(net):
    net.switch.stick(A, "a")
    then = net.clock.precise_s()
    net.clock.advance(5)
    net.switch.pin(A, "a")

    [was] = net.switch.observer.stations_at(then)
    [now] = net.switch.observer.stations_at(net.clock.precise_s())
    assert (was.sticky, was.locked, was.static) == (True, False, False)
    assert (now.sticky, now.static) == (False, True)


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    "settings", [{"mab": True}, {"mab": True, "locked": True, "learning": False}]
)
def test_mab_is_refused_without_a_lock_and_without_learning(lab, settings):
    net = lab("a", "b")

    with pytest.raises(ConfigError, match=f"^port a: {WRONG}$") as e:
        net.switch.set_port("a", **settings)

    assert (e.value.key, e.value.hint) == ("mab", "locked=on and learning=on with it, or mab=off")
    assert net.status("a").settings == net.status("b").settings


@pytest.mark.parametrize("settings", [{"locked": False}, {"learning": False}])
def test_while_mab_is_on_the_lock_and_learning_stay(net, settings):
    with pytest.raises(ConfigError, match=WRONG):
        net.switch.set_port("a", **settings)

    assert net.send("a", frame(BROADCAST, A)) == {}
    assert known(net) == {A: ("a", ["locked"], 0)}


def test_a_new_port_is_refused_with_mab_alone():
    with pytest.raises(ConfigError, match=f"port 'tap0,mab=on': {WRONG}"):
        PortConfig.parse("tap0,mab=on")
    with pytest.raises(ConfigError, match=WRONG):
        PortConfig.parse_listener("qemu:/tmp/lan.sock,mab=on,locked=on,learning=off")
    assert PortConfig.parse("tap0,mab=on,locked=on").mab


def test_a_file_is_told_the_line():
    with pytest.raises(ConfigError) as e:
        configfile.loads('[[port]]\nname = "tap0"\nmab = true\n', "lab.toml").config()

    assert "lab.toml:3" in str(e.value)
    assert WRONG in str(e.value)


# ---------------------------------------------------------------------- how it is said


@pytest.fixture
def vswitch(net, tmp_path, capsys):
    with served(net.switch, tmp_path / "lab.sock") as path:

        def run(line):
            status = cli.main([*line.split(), "--api", str(path)])
            return status, *capsys.readouterr()

        run.socket = path
        yield run


def test_bridge_s_words_show_who_knocks_and_let_him_in(net, vswitch):
    net.send("a", frame(BROADCAST, A))

    assert vswitch("fdb show")[1] == f"{A.hex(':')} dev a locked master lab \n"
    assert vswitch("-s fdb show dev a")[1] == f"{A.hex(':')} used 0/0 locked master lab \n"
    [entry] = json.loads(vswitch("-j fdb show")[1])
    assert (entry["flags"], entry["state"]) == (["locked"], "")
    assert ", 0 static, 1 locked\n" in vswitch("fdb stats")[1]
    assert vswitch(f"fdb replace {A.hex(':')} dev a master static") == (0, "", "")
    assert vswitch("fdb show")[1] == f"{A.hex(':')} dev a master lab static\n"
    assert set(net.send("a", frame(BROADCAST, A))) == {"b", "c"}


def test_the_command_line_refuses_as_the_kernel_does(vswitch):
    refusal = "hint: locked=on and learning=on with it, or mab=off\n"
    for line in ("dev b mab on", "dev a locked off", "dev a learning off"):
        status, _, said = vswitch(f"link set {line}")
        assert status == 2
        assert said == f"vswitch: port {line[4]}: {WRONG}\n{refusal}"
    assert vswitch("link set dev a mab off locked off")[0] == 0
    assert vswitch("link set dev b locked on learning on mab on")[0] == 0


def test_the_api_tells_events_entries_and_numbers(net, vswitch):
    with client.connect(path=vswitch.socket) as ask:
        net.send("a", frame(BROADCAST, A))
        [entry] = ask.fdb()
        [event] = ask.events(mac=A.hex(":")).events
        assert (entry.locked, event.kind, event.locked) == (True, "learned", True)
        assert ask.switch().fdb.locked == 1
        assert ask.port("a").mab
        with pytest.raises(ApiError, match=WRONG):
            ask.change_port("b", mab=True)
        [then] = ask.fdb(at=net.clock.wall_s())
        assert then.locked
    told = exposition(net.switch)[0].decode()
    assert 'vswitch_fdb_entries{switch="lab",type="locked"} 1.0' in told
    assert 'vswitch_fdb_entries{switch="lab",type="dynamic"} 0.0' in told


def test_monitor_says_who_knocks_and_who_is_let_in(net, vswitch, capsys):
    net.send("a", frame(BROADCAST, A))
    net.switch.pin(A, "a")
    net.send("a", frame(BROADCAST, B))
    net.switch.flush("a")

    said = [line.split(" ", 1)[1] for line in vswitch(f"fdb history {B.hex(':')}")[1].splitlines()]
    assert said == [
        f"learned        {B.hex(':')} dev a locked master lab ",
        f"flushed        Deleted {B.hex(':')} dev a locked master lab ",
    ]
    from vswitch.cli.monitor import as_bridge

    with client.connect(path=vswitch.socket) as ask:
        learned, pinned = ask.events(mac=A.hex(":")).events
    assert as_bridge(learned, "lab")["flags"] == ["locked"]
    assert as_bridge(pinned, "lab")["flags"] == []
    assert as_bridge(pinned, "lab")["was_locked"]


def test_monitor_says_who_is_sticky(net, vswitch):
    net.switch.stick(A, "a")
    net.switch.unpin(A)

    said = [line.split(" ", 1)[1] for line in vswitch(f"fdb history {A.hex(':')}")[1].splitlines()]
    assert said == [
        f"pinned         {A.hex(':')} dev a sticky master lab ",
        f"deleted        Deleted {A.hex(':')} dev a sticky master lab ",
    ]
    from vswitch.cli.monitor import as_bridge

    with client.connect(path=vswitch.socket) as ask:
        pinned, deleted = ask.events(mac=A.hex(":")).events
    assert as_bridge(pinned, "lab")["flags"] == as_bridge(deleted, "lab")["flags"] == ["sticky"]
    assert (deleted.sticky, deleted.was_sticky) == (False, True)


def test_an_authenticator_waits_for_who_knocks(net, vswitch):
    """What README.md does with a shell: each station that knocks, and is known, is let in."""
    allowed = {A.hex(":")}

    def authenticate():
        with client.connect(path=vswitch.socket) as ask, client.connect(path=vswitch.socket) as do:
            for event in ask.watch(kinds="learned"):
                if event.locked and event.mac in allowed:
                    do.replace_station(event.mac, event.port, vid=event.vid)
                    return

    authenticator = threading.Thread(target=authenticate)
    authenticator.start()
    wait_for(lambda: net.switch.observer._subscriptions, "somebody watches")
    net.send("a", frame(BROADCAST, B), frame(BROADCAST, A))
    authenticator.join(timeout=10)

    assert not authenticator.is_alive()
    assert set(net.send("a", frame(BROADCAST, A))) == {"b", "c"}
    assert net.send("a", frame(BROADCAST, B)) == {}
