"""Captures through a whole switch: when frames enter, what leaves, and that it is repeatable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether

import vswitch
from support.captures import classic_header, classic_record, read_back, write_pcap
from support.frames import BROADCAST, frame, mac
from vswitch import cli
from vswitch.config import StationConfig, SwitchConfig
from vswitch.errors import CaptureError, ConfigError
from vswitch.playback import Source, replay
from vswitch.portconfig import PortConfig
from vswitch.wire import pcap, pcapng

A, B, C = mac(1), mac(2), mac(3)
NS = 10**9
T = 1_700_000_000 * NS + 123_456_789
HELLO, ANSWER = frame(BROADCAST, A, b"hello"), frame(A, B, b"answer")
LLDP = frame(bytes.fromhex("0180c200000e"), A)
BPDU = frame(bytes.fromhex("0180c2000000"), A)


@pytest.fixture(params=["c", "python"])
def core(request):
    return request.param


@pytest.fixture
def play(tmp_path, core):
    """``play({"a": [(time, frame)], ...}, ports=["c"], ageing_s=10)``: what left, by port."""

    def run(given, *, ports=(), **options):
        sources = [
            f"{write_pcap(tmp_path / f'{name}.pcap', timed)}@{name}"
            for name, timed in given.items()
        ]
        played = replay(
            sources, tmp_path / "out", ports=ports, config=SwitchConfig(core=core, **options)
        )
        return {path.stem: read_back(path) for path in played.files}

    return run


def test_what_leaves_has_the_time_of_what_entered(play):
    given = {"a": [(T, HELLO), (T + 2, HELLO)], "b": [(T + 1, ANSWER)]}

    assert play(given, ports=["c"]) == {
        "a": [(T + 1, ANSWER)],
        "b": [(T, HELLO), (T + 2, HELLO)],
        "c": [(T, HELLO), (T + 2, HELLO)],
    }


def test_equal_times_enter_in_the_order_of_the_sources(play):
    to_c, from_c = frame(C, A), frame(A, C)

    first = play({"a": [(T, to_c)], "c": [(T, from_c)]}, ports=["x"])

    assert first == {"a": [(T, from_c)], "c": [(T, to_c)], "x": [(T, to_c)]}


def test_the_other_order_is_another_result(play):
    to_c, from_c = frame(C, A), frame(A, C)

    second = play({"c": [(T, from_c)], "a": [(T, to_c)]}, ports=["x"])

    assert second == {"a": [(T, from_c)], "c": [(T, to_c)], "x": [(T, from_c)]}


def test_a_frame_is_decided_before_the_next_of_its_moment_is_learned(play):
    given = {"a": [(T, frame(B, A)), (T, frame(A, B))]}

    got = play(given, ports=["b"])

    assert got["b"] == [(T, frame(B, A))]  # flooded; the second is at home on a


@pytest.mark.parametrize(("later_ns", "copies"), [(10 * NS - 1, 1), (10 * NS, 2)])
def test_stations_age_by_recorded_time(play, later_ns, copies):
    given = {"a": [(T, HELLO)], "b": [(T + later_ns, frame(A, B))]}

    got = play(given, ports=["c"], ageing_s=10)

    assert sum((T + later_ns, frame(A, B)) in frames for frames in got.values()) == copies


def test_places_of_old_stations_are_free_for_new_ones(play):
    given = {"a": [(T, HELLO)], "b": [(T + 20 * NS, ANSWER), (T + 20 * NS, frame(C, B))]}

    got = play({**given, "c": [(T + 20 * NS, frame(B, C))]}, ageing_s=10, fdb_limit=1)

    assert got["b"][-1] == (T + 20 * NS, frame(B, C))
    assert len(got["a"]) == 2


def test_reserved_addresses_stay_unless_forwarded(play, tmp_path, core):
    given = {"a": [(T, LLDP), (T, BPDU)]}

    assert play(given, ports=["b"])["b"] == [(T, BPDU)]


def test_a_port_may_have_several_captures_which_are_merged(tmp_path, core):
    one = write_pcap(tmp_path / "1.pcap", [(T + 3, HELLO), (T + 1, HELLO)])
    two = write_pcap(tmp_path / "2.pcap", [(T + 2, HELLO)])

    played = replay(
        [f"{one}@a", f"{two}@a"], tmp_path / "out", ports=["b", "a"],
        config=SwitchConfig(core=core),
    )  # fmt: skip

    assert [p.name for p in played.files] == ["a.pcap", "b.pcap"]
    assert [t for t, _ in read_back(played.files[1])] == [T + 1, T + 2, T + 3]
    assert (played.frames, played.first_ns, played.last_ns) == (3, T + 1, T + 3)


def test_both_cores_write_the_same_bytes_every_time(tmp_path):
    given = [(T + i * NS // 3, frame(mac(i * 7 % 5), mac(i % 5))) for i in range(200)]
    a = write_pcap(tmp_path / "a.pcap", given)
    b = write_pcap(tmp_path / "b.pcap", [(t + 5, f) for t, f in reversed(given)])
    results = []

    for i, core in enumerate(["c", "c", "python", "c"]):
        played = replay(
            [f"{a}@a", f"{b}@b"], tmp_path / str(i), ports=["c"], form="pcapng",
            config=SwitchConfig(core=core, ageing_s=2, fdb_limit=3),
        )  # fmt: skip
        results.append([path.read_bytes() for path in played.files])

    assert len(results[0][2]) > 200 * 60
    assert results == [results[0]] * 4


@pytest.mark.parametrize(("form", "wire"), [("pcap", pcap), ("pcapng", pcapng)])
def test_the_recordings_are_our_writers(tmp_path, form, wire):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])

    played = vswitch.replay([f"{path}@a"], str(tmp_path / "out"), ports=["b"], form=form)

    assert played.files == (tmp_path / f"out/a.{form}", tmp_path / f"out/b.{form}")
    assert played.files[0].read_bytes() == wire.file_header("a")
    assert played.files[1].read_bytes() == wire.file_header("b") + wire.record(T, HELLO)


def test_an_empty_capture_is_one(play):
    assert play({"a": []}, ports=["b"]) == {"a": [], "b": []}


def test_the_longest_and_the_shortest_frames_enter(play):
    longest = HELLO.ljust(65_535 + 4, b".")
    given = {"a": [(T, longest), (T, b""), (T, HELLO[:14])]}

    assert play(given, ports=["b"])["b"] == [(T, longest), (T, HELLO[:14])]


def test_an_mtu_may_be_set(play):
    assert play({"a": [(T, HELLO.ljust(1519, b"."))]}, ports=["b"], mtu=1500)["b"] == []


def test_progress_is_told_from_the_begin_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("vswitch.playback.PROGRESS_FRAMES", 2)
    path = write_pcap(tmp_path / "in.pcap", [(T + i, HELLO) for i in range(5)])
    said = []

    replay([f"{path}@a"], tmp_path / "out", ports=["b"], progress=lambda *now: said.append(now))

    assert said == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert len(read_back(tmp_path / "out/b.pcap")) == 5


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("text", ["in.pcap", "@tap0", "", "in.pcap@", "in.pcap@a/b", "x@.."])
def test_what_is_no_source_is_refused(text):
    with pytest.raises(ConfigError):
        Source.parse(text)


def test_the_last_at_sign_counts():
    assert Source.parse("me@home.pcap@tap0") == Source(Path("me@home.pcap"), "tap0")


def test_nothing_is_touched_when_a_capture_is_none(tmp_path):
    good = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(good.read_bytes()[:-1])

    with pytest.raises(CaptureError, match=r"bad.pcap: offset 40: a record has 60 bytes"):
        replay([f"{good}@a", f"{bad}@b"], tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_capture_does_not_become_its_own_recording(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [(T, HELLO)])
    before = path.read_bytes()

    with pytest.raises(ConfigError, match=r"a\.pcap: what is replayed cannot be recorded to"):
        replay([f"{path}@a"], tmp_path, force=True)

    assert path.read_bytes() == before


def test_a_folder_with_something_in_it_is_refused_without_force(tmp_path):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.pcap").write_text("something")

    with pytest.raises(ConfigError, match="there is something in it"):
        replay([f"{path}@a"], tmp_path / "out", ports=["b"])
    assert (tmp_path / "out" / "b.pcap").read_text() == "something"

    replay([f"{path}@a"], tmp_path / "out", ports=["b"], force=True)
    assert read_back(tmp_path / "out" / "b.pcap") == [(T, HELLO)]


def test_what_is_no_folder_is_refused(tmp_path):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])

    with pytest.raises(ConfigError, match="no folder to write to: File exists"):
        replay([f"{path}@a"], path)
    with pytest.raises(ConfigError, match="no folder to write to: No such file"):
        replay([f"{path}@a"], tmp_path / "x" / "y")


def test_times_that_no_clock_counts_are_refused(tmp_path):
    late = tmp_path / "late.pcapng"
    late.write_bytes(pcapng.file_header("") + pcapng.record((1 << 32) * NS, HELLO))
    early = tmp_path / "early.pcapng"
    early.write_bytes(pcapng.file_header("") + pcapng.record(0, HELLO))

    with pytest.raises(ConfigError, match="pcap knows no time after 2106"):
        replay([f"{late}@a"], tmp_path / "out")
    with pytest.raises(ConfigError, match="are 4294967296 s apart"):
        replay([f"{late}@a", f"{early}@a"], tmp_path / "out", form="pcapng")
    replay([f"{late}@a"], tmp_path / "out", form="pcapng")


@pytest.mark.parametrize(("guard_s", "copies"), [(0, 2), (10, 1), (1, 2)])
def test_stations_are_held_by_recorded_time(play, guard_s, copies):
    stolen = frame(BROADCAST, A, b"stolen")
    given = {"a": [(T, HELLO)], "b": [(T + 3 * NS, stolen)]}

    assert len(play(given, ports=["c"], move_guard_s=guard_s)["c"]) == copies


@pytest.mark.parametrize("name", ["dhcp_guard", "ra_guard", "dhcp_snooping", "dhcp6_snooping"])
def test_servers_and_routers_are_where_it_is_trusted(tmp_path, core, name):
    what = ra() if name == "ra_guard" else dhcp(2)
    config = SwitchConfig(core=core, **{name: True})
    paths = [f"{write_pcap(tmp_path / f'{port}.pcap', [(T, what)])}@{port}" for port in ("a", "up")]

    played = replay(paths, tmp_path / "out", ports=["c", "up,trusted=on"], config=config)

    assert [port.drops["guarded"] for port in played.ports] == [1, 0, 0]
    assert len(read_back(tmp_path / "out" / "c.pcap")) == 1


def test_a_lease_is_known_before_the_next_frame(tmp_path, core):
    ping = bytes(Ether(src=A.hex(":"), dst=BROADCAST.hex(":")) / IP(src="10.0.0.5") / ICMP())
    client = write_pcap(tmp_path / "client.pcap", [(T, ping), (T + 1, dhcp(1)), (T + 3, ping)])
    server = write_pcap(tmp_path / "server.pcap", [(T + 2, dhcp(2))])
    config = SwitchConfig(core=core, dhcp_snooping=True)

    replay(
        [f"{client}@a", f"{server}@up"], tmp_path / "out", ports=["up,trusted=on"], config=config
    )

    assert [time for time, _ in read_back(tmp_path / "out" / "up.pcap")] == [T + 1, T + 3]


def ra():
    return bytes(Ether(src=B.hex(":"), dst=BROADCAST.hex(":")) / IPv6() / ICMPv6ND_RA())


def dhcp(op):
    ends = {"sport": 68, "dport": 67} if op == 1 else {"sport": 67, "dport": 68}
    boot = BOOTP(op=op, xid=7, chaddr=A, yiaddr="10.0.0.5" if op == 2 else "0.0.0.0")
    said = [("message-type", {1: "request", 2: "ack"}[op]), ("lease_time", 60), "end"]
    head = Ether(src=(A, B)[op - 1].hex(":"), dst=BROADCAST.hex(":"))
    return bytes(head / IP(src="0.0.0.0") / UDP(**ends) / boot / DHCP(options=said))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"stations": (StationConfig(A, "x"),), "ports": (PortConfig("x"),)}, "takes no ports"),
        ({"listeners": (PortConfig.parse_listener("qemu:/x.sock"),)}, "takes no listeners"),
        ({"snooping_file": "/x"}, "takes no snooping-file"),
        ({"loop_detect": "on"}, "has no loops"),
    ],
)
def test_what_a_replay_has_not_is_refused(tmp_path, given, why):
    with pytest.raises(ConfigError, match=f"a replay {why}"):
        replay(["in.pcap@a"], tmp_path / "out", config=SwitchConfig(**given))
    assert not (tmp_path / "out").exists()


def test_what_is_set_of_ports_holds(play):
    tagged = HELLO[:12] + bytes.fromhex("8100000a") + HELLO[12:]
    given = {"a": [(T, HELLO)], "b": [(T + 1, HELLO[:6] + B + HELLO[12:])]}
    ports = ["a,access=10,allow-mac=02:00:00:00:00:01", "b,access=10,locked=on", "c,trunk=10"]

    assert play(given, ports=[*ports, "d,access=10,flood=off,bcast-flood=off", "e,access=20"]) == {
        "a": [],
        "b": [(T, HELLO)],
        "c": [(T, tagged)],
        "d": [],
        "e": [],
    }


@pytest.mark.parametrize(
    ("port", "error"),
    [
        ("tap:a", "--port 'tap:a': a port's name has 1 to 64 letters"),
        ("a,access=0", "--port 'a,access=0': access: a VLAN is a number in 1..4094, not '0'"),
        ("a,queues=2", "--port 'a,queues=2': record has no option 'queues'"),
        ("a,shape=1mbit", "--port 'a,shape=1mbit': shape: the clock of a replay counts whole"),
        ("a,storm-unknown=9pps", "--port 'a,storm-unknown=9pps': storm-unknown: the clock of a"),
    ],
)
def test_what_cannot_be_set_is_refused(tmp_path, port, error):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])

    with pytest.raises(ConfigError, match=f"^{re.escape(error)}"):
        replay([f"{path}@a"], tmp_path / "out", ports=[port])

    assert not (tmp_path / "out").exists()


def test_a_port_is_said_once(tmp_path):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])

    with pytest.raises(ConfigError, match=r"^port a is given twice$"):
        replay([f"{path}@a"], tmp_path / "out", ports=["a,locked=on", "a,learning=off"])

    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(capsys):
    def run(*argv):
        status = cli.main(["replay", *map(str, argv)])
        return status, *capsys.readouterr()

    return run


def test_the_command_prints_counters_and_stations(command, tmp_path):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO), (T + 5 * NS, LLDP)])
    out = tmp_path / "out"

    status, said, err = command(f"{path}@a", "--port", "b", "--out", out)

    assert (status, err) == (0, "")
    assert said == (
        f"2 frames of 5.000 s replayed, 2 recordings in {out}\n"
        "\n"
        "port  rx frames  rx bytes  rx drops  tx frames  tx bytes  tx drops\n"
        "a             2       120         1          0         0         0\n"
        "b             0         0         0          1        60         0\n"
        "\n"
        "dropped  frames  reason\n"
        "a             1  reserved  sent to a link-local address 01-80-C2-00-00-0x (see\n"
        "                           --forward)\n"
        "\n"
        "station            port  age s\n"
        "02:00:00:00:00:01     a      0\n"
    )


def test_the_command_speaks_json(command, tmp_path):
    path = write_pcap(tmp_path / "in.pcap", [(T, HELLO)])

    _, said, _ = command(f"{path}@a", "--port", "b", "--out", tmp_path / "out", "-j")

    facts = json.loads(said)
    assert (facts["frames"], facts["first_ns"], facts["last_ns"]) == (1, T, T)
    assert [(p["name"], p["counters"]["tx_frames"]) for p in facts["ports"]] == [("a", 0), ("b", 1)]
    assert facts["stations"] == [
        {
            "mac": "02:00:00:00:00:01",
            "vid": 0,
            "port": "a",
            "static": False,
            "age_s": 0,
            "sticky": False,
            "locked": False,
        }
    ]
    assert facts["files"] == [str(tmp_path / "out" / name) for name in ("a.pcap", "b.pcap")]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 1),
        (("--forward", "lldp"), 1),
        (("--transparent",), 2),
        (("--core", "python"), 1),
    ],
)
def test_options_reach_the_switch(command, tmp_path, options, count):
    path = write_pcap(tmp_path / "in.pcap", [(T, LLDP), (T, BPDU)])

    assert command(f"{path}@a", "--port", "b", "--out", tmp_path / "out", *options)[0] == 0

    assert len(read_back(tmp_path / "out" / "b.pcap")) == count


def test_guards_reach_the_switch(command, tmp_path):
    path = write_pcap(tmp_path / "in.pcap", [(T, ra())])
    line = (f"{path}@a", "--port", "b", "--out", tmp_path / "out", "-f", "--ra-guard")

    assert command(*line)[0] == 0
    assert read_back(tmp_path / "out" / "b.pcap") == []
    assert command(*line, "--port", "a,trusted=on")[0] == 0
    assert len(read_back(tmp_path / "out" / "b.pcap")) == 1


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("in.pcap",), "'in.pcap': where its frames enter is missing\nhint: as in.pcap@tap0\n"),
        (("none.pcap@a",), "none.pcap: cannot read the capture: No such file or directory\n"),
        (("cooked.pcap@a",), "cooked.pcap: offset 20: link type 113 (Linux cooked, "),
        (("in.pcap@a", "--port", "a b"), "--port 'a b': a port's name has 1 to 64 letters, "),
        (("in.pcap@a", "--ageing", "-1"), "--ageing must be in 0..1000000, not -1\n"),
        (("in.pcap@a", "--transparent", "--forward", "stp"), "--transparent and --forward "),
        (("in.pcap@a", "--move-guard", "-1"), "--move-guard must be in 0..86400, not -1\n"),
        ((), "missing argument 'FILE@PORT...'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(command, tmp_path, monkeypatch, argv, sentence):
    monkeypatch.chdir(tmp_path)
    write_pcap(Path("in.pcap"), [(T, HELLO)])
    Path("cooked.pcap").write_bytes(classic_header(link=113) + classic_record(1, 0, HELLO))

    status, said, err = command(*argv, "--out", "out")

    assert (status, said) == (2, "")
    assert err.startswith(f"vswitch: {sentence}")
    assert not Path("out").exists()
