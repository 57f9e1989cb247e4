"""The commands that ask and change a running switch: their text, what they ask for, exit status."""

import json
import os
import subprocess
import sys

import click
import pytest

from support.fake_api import FakeApi, port
from vswitch import cli
from vswitch.control import address, client

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"
ITSELF = f"/v1/fdb/{OTHER.replace(':', '%3A')}"
LONG = "a-name-of-a-virtual-machine-that-is-much-longer-than-that-of-a"


@pytest.fixture
def api(monkeypatch, tmp_path):
    """The only switch that runs: a station behind tap0, heard 3 s ago, a static one behind tap1."""
    fake = FakeApi(
        fdb=[
            {"mac": MAC, "port": "tap0", "age_s": 3},
            {"mac": OTHER, "port": "tap1", "static": True},
        ]
    )
    monkeypatch.setattr(address, "running", lambda *_, **__: {"lab": tmp_path / "lab.sock"})
    monkeypatch.setattr(client, "_UnixConnection", lambda *_: fake)
    return fake


@pytest.fixture
def vswitch(capsys):
    """Run a command line; returns (status, standard output, standard error)."""

    def run(line):
        status = cli.main(line.split())
        return status, *capsys.readouterr()

    return run


# ---------------------------------------------------------------------- words and options


@pytest.mark.parametrize(
    "line",
    [
        "fdb show", "f s", "fdb", "fd sh", "fdb list", "fdb lst", "fdb l", "-S lab fdb show",
        "fdb -S lab show", "fdb show -S lab", "fdb show br lab", "f s br lab", "-d fdb show",
        "-Slab f", "--switch lab -p f s", "fdb show vlan 7 state all br lab -d",
    ],
)  # fmt: skip
def test_words_may_be_cut_short_and_options_stand_anywhere(vswitch, api, line):
    status, out, err = vswitch(line)

    assert (status, err) == (0, "")
    assert out == "" if "vlan" in line else f"{MAC} dev tap0 master lab \n" in out


@pytest.mark.parametrize(
    "line", ["-j -s fdb show", "-js f", "-sj f s", "-json -stat fdb sh", "fdb -j show -s"]
)
def test_options_of_bridge_stand_before_the_object(vswitch, api, line):
    assert json.loads(vswitch(line)[1])[0] == {
        "mac": MAC, "ifname": "tap0", "used": 3, "updated": 3, "flags": [], "master": "lab",
        "state": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("r", "'r' could be several in vswitch\nhint: did you mean run or replay or reload?\n"),
        ("lin shwo", "no command 'shwo' in vswitch link\nhint: did you mean show?\n"),
        ("link set dev a lerning on", "unknown word 'lerning'\nhint: did you mean learning?\n"),
        ("link set learning on", "the port (dev PORT) is missing"),
        ("link set dev a", "what to change is missing: learning, state, fdb-limit, "),
        ("link set dev a learning maybe", "learning is on or off, not 'maybe'"),
        ("link set dev a state up", "state is forwarding or blocked, not 'up'"),
        ("link set dev a state learning", "state learning: this switch does not speak STP yet"),
        ("link set dev a fdb-limit many", "fdb-limit: not a number: 'many'"),
        ("link set dev a isolated maybe", "isolated is on or off, not 'maybe'"),
        ("link set dev a backup_port a", "backup: port a cannot be its own backup"),
        ("link set dev a backup b nobackup_port", "backup and nobackup_port exclude one another"),
        ("link set dev a vlans access=10,trunk=20", "vlans: access and trunk exclude one another"),
        ("link set dev a access 10", 'access: VLANs are set with "vswitch vlan set", or here'),
        ("link set dev a cost 4", "cost: this switch does not speak STP yet"),
        ("link set dev a mcast_router 1", "mcast_router: this switch does not snoop multicast yet"),
        ("vlan add vid 7-9 dev a pvid", "vid 7-9: a pvid is one VLAN"),
        ("vlan add vid 0 dev a", "vid: a VLAN is a number in 1..4094, not '0'"),
        ("vlan add vid 9-7 dev a", "vid: a range goes upwards, 9-7 does not"),
        ("vlan add dev a", "vid V is missing"),
        ("vlan set dev a", "what to set is missing: access, trunk"),
        ("vlan set dev a access 10 trunk 20", "vlans: access and trunk exclude one another"),
        ("vlan set dev a none access 1", "none excludes all others"),
        ("vlan set vid 7 dev a state 3", "vid: see add"),
        ("mdb add dev a grp 239.1.1.1", "this switch does not snoop multicast yet"),
        ("fdb add dev a", "the station's address is missing"),
        ("fdb add 1:2 dev a", "MAC: not an Ethernet address: '1:2'"),
        (f"fdb add {MAC}", "the port (dev PORT) is missing"),
        (f"fdb add {MAC} dev a dynamic", "dynamic: only static entries are set by hand"),
        (f"fdb add {MAC} dev a dst 10.0.0.1", "dst: this switch has no tunnels yet"),
        (f"fdb add {MAC} dev a vlan 4095", "vlan must be in 1..4094, not 4095"),
        (f"fdb add {MAC} dev a {OTHER}", "unknown word '02:00:00:00:00:02'"),
        (f"fdb add 01:00:5e:00:00:01 dev {LONG}", "MAC: a station's address is unicast"),
        ("fdb show state stale", "state is static, permanent, dynamic or all, not 'stale'"),
        ("fdb show --format brctl -j", "brctl has no JSON"),
        ("fdb flush static nostatic", "static and nostatic are opposites"),
        ("fdb show br lab -S other", "'br' is given twice: other and lab"),
        ("-S lab --api /x fdb show", "-S and --api exclude one another"),
        ("port add fd:3", "port 'fd:3': descriptors are this process's own"),
        ("port add nix:/a", "port 'nix:/a': unknown kind 'nix'"),
        ("port del a/b", "port 'a/b': an interface name has no"),
        ("show -S ../x", "-S '../x': a switch's name has"),
        ("doctor ../x", "NAME '../x': a switch's name has"),
        ("doctor --api http://127.0.0.1:1", "doctor looks at this host"),
        ("top -d 0", "invalid value for '-d' / '--delay'"),
        ("completion tcsh", "invalid value for '{bash|zsh|fish}': 'tcsh' is not one of"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_asks_no_switch(vswitch, api, line, said):
    status, out, err = vswitch(line)

    assert (status, out) == (2, "")
    assert err.startswith(f"vswitch: {said}")
    assert err.count("\n") <= 2
    assert api.asked == []


# ---------------------------------------------------------------------- fdb


def test_fdb_as_brctl_prints_it(vswitch, api):
    assert vswitch("fdb show --format brctl")[1] == (
        "port no\tmac addr\t\tis local?\tageing timer\n"
        f"  1\t{MAC}\tno\t\t   3.00\n"
        f"  2\t{OTHER}\tno\t\t   0.00\n"
    )


def test_fdb_as_open_vswitch_prints_it(vswitch, api):
    api.ports.append(port("br0", 2, kind="local"))
    api.fdb.append({"mac": "7a:b6:4d:c1:62:e0", "port": "br0", "vid": 10, "age_s": 12})

    assert vswitch("--format ovs fdb show")[1] == (
        " port  VLAN  MAC                Age\n"
        f"    1     0  {MAC}    3\n"
        f"    2     0  {OTHER}  static\n"
        "LOCAL    10  7a:b6:4d:c1:62:e0   12\n"
    )
    assert json.loads(vswitch("-j fdb show --format ovs dev tap1")[1]) == [
        {"port": 2, "vlan": 0, "mac": OTHER, "static": True}
    ]


def test_statistics_as_open_vswitch_prints_them(vswitch, api):
    assert vswitch("fdb stats --format ovs")[1] == (
        'Statistics for bridge "lab":\n'
        "  Current/maximum MAC entries in the table: 2/8192\n"
        "  Current static MAC entries in the table : 1\n"
        "  Total number of learned MAC entries     : 17\n"
        "  Total number of expired MAC entries     : 2\n"
        "  Total number of evicted MAC entries     : 0\n"
        "  Total number of port moved MAC entries  : 1\n"
    )


def test_statistics(vswitch, api):
    assert vswitch("fdb stats")[1] == (
        "fdb of lab: 2 of 8192 stations, 1 static\n    17 learned, 1 moved, 2 expired, 4 refused\n"
    )
    assert json.loads(vswitch("-j -p fdb stats")[1])["static"] == 1


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [MAC, OTHER]), ("state static", [OTHER]), ("state dynamic", [MAC]),
        ("state permanent", []), ("dynamic", [MAC, OTHER]), ("dev tap1", [OTHER]),
        ("brport tap0", [MAC]), ("dev tap0 state static", []),
    ],
)  # fmt: skip
def test_fdb_show_filters_as_bridge_does(vswitch, api, words, found):
    assert [line.split()[0] for line in vswitch(f"fdb show {words}")[1].splitlines()] == found


@pytest.mark.parametrize(
    ("line", "change"),
    [
        (f"fdb add {MAC} dev tap0", ("POST", "/v1/fdb", {"mac": MAC, "port": "tap0", "vid": 0})),
        (
            f"fdb a dev tap0 {MAC} master static vlan 7",
            ("POST", "/v1/fdb", {"mac": MAC, "port": "tap0", "vid": 7}),
        ),
        (
            "fdb replace 02-00-00-00-00-0A dev tap1 local",
            ("PUT", "/v1/fdb", {"mac": "02:00:00:00:00:0a", "port": "tap1", "vid": 0}),
        ),
        (f"fdb delete {OTHER} dev tap1", ("DELETE", ITSELF, None)),
        ("fdb flush", ("DELETE", "/v1/fdb", None)),
        ("fdb flush dev lab", ("DELETE", "/v1/fdb", None)),
        ("fdb flush dev tap0 dynamic", ("DELETE", "/v1/fdb?port=tap0", None)),
        ("fdb flush static", ("DELETE", ITSELF, None)),
        ("fdb flush dev tap1 nodynamic", ("DELETE", ITSELF, None)),
        ("fdb flush dev tap1 nopermanent", ("DELETE", ITSELF, None)),
        ("link set dev tap0 learning off", ("PATCH", "/v1/ports/tap0", {"learning": False})),
        ("link set dev tap1 mtu 9000", ("PATCH", "/v1/ports/tap1", {"mtu": 9000})),
        ("l set dev tap0 state blocking fdb-limit 9", ("PATCH", "/v1/ports/tap0", {
            "forwarding": False, "fdb_limit": 9})),
        ("port add tap2,mtu=9000", ("POST", "/v1/ports", {"port": "tap2,mtu=9000"})),
        ("port add --listen qemu:/l.sock", ("POST", "/v1/listeners", {"port": "qemu:/l.sock"})),
        ("port del tap1", ("DELETE", "/v1/ports/tap1", None)),
        ("port del --listen lan", ("DELETE", "/v1/listeners/lan", None)),
    ],
)  # fmt: skip
def test_a_change_is_one_request_and_no_word(vswitch, api, line, change):
    assert vswitch(line) == (0, "", "")

    assert len(api.changes) == 1
    method, target, body = api.changes[0]
    assert (method, target) == change[:2]
    assert body is None if change[2] is None else change[2].items() <= body.items()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"fdb add {OTHER} dev tap1", "exists"),
        ("port add tap0", "exists"),
        ("port add --listen qemu:/l.sock", "exists"),
        (f"fdb del {MAC} dev tap0", "not-found"),
        (f"fdb del {OTHER} dev tap0", "not-found"),
        (f"fdb del {OTHER} dev nix", "not-found"),
        ("port del tap7", "not-found"),
        ("port del --listen lan", "not-found"),
    ],
)
def test_what_is_so_already_is_refused_unless_it_may_be(vswitch, api, line, code):
    for method in ("POST", "DELETE"):
        api.refuse(method, code, "no, it is so already")

    assert vswitch(line)[0] == 1
    assert vswitch(f"{line} {'--may-exist' if code == 'exists' else '--if-exists'}") == (0, "", "")


@pytest.mark.parametrize("line", [f"fdb add {OTHER} dev tap0", f"fdb add {MAC} dev tap0"])
def test_another_entry_may_not_exist(vswitch, api, line):
    api.refuse("POST", "exists", "it is behind tap1")

    assert vswitch(f"{line} --may-exist") == (1, "", "vswitch: it is behind tap1\n")


def test_another_refusal_is_one_whatever_may_be(vswitch, api):
    for method in ("POST", "DELETE"):
        api.refuse(method, "refused", "the table is full")

    for line in (f"fdb add {MAC} dev tap0 --may-exist", "port del tap0 --if-exists"):
        assert vswitch(line) == (1, "", "vswitch: the table is full\n")


# ---------------------------------------------------------------------- link, port, show


def test_links_are_written_as_bridge_does(vswitch, api):
    api.ports.append(port("vm0", 2, state="down", learning=False))
    api.ports.append(port("vm1", 3, state="blocked"))

    assert vswitch("link")[1].splitlines()[1:] == [
        "2: tap1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master lab state forwarding ",
        "3: vm0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 master lab state disabled ",
        "4: vm1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master lab state blocking ",
    ]
    assert "learning off flood on" in " ".join(vswitch("-d link show dev vm0")[1].split())


@pytest.mark.parametrize("terminal", [True, False])
def test_flags_are_wrapped_for_those_who_sit_there_only(vswitch, api, monkeypatch, terminal):
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: terminal)

    head, *flags = vswitch("-d link show dev tap0")[1].splitlines()

    assert "tap0: <" in head
    assert " ".join(" ".join(flags).split()).startswith("hairpin off guard off")
    if terminal:
        assert max(map(len, flags)) <= 80
    else:
        assert len(flags) == 1
        assert len(flags[0]) > 80


def test_links_have_the_counters_of_ip(vswitch, api):
    assert vswitch("-s link show dev tap0")[1].splitlines()[1:] == [
        "    RX:  bytes  packets  errors  dropped  missed",
        "           640       10       0        2       1",
        "    TX:  bytes  packets  errors  dropped",
        "           320        5       4        0",
    ]


def test_pretty_json_is_written_as_bridge_does(vswitch, api):
    assert vswitch("-j -p link show dev tap0")[1] == (
        "[ {\n"
        '        "ifindex": 1,\n'
        '        "ifname": "tap0",\n'
        '        "flags": [ "BROADCAST","MULTICAST","UP","LOWER_UP" ],\n'
        '        "mtu": 1500,\n'
        '        "master": "lab",\n'
        '        "state": "forwarding"\n'
        "    } ]\n"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vlan show", "port              vlan-id  \n"),
        ("vlan", "port              vlan-id  \n"),
        ("-j vlan show", "[]\n"),
        ("-j -p v s", "[ ]\n"),
        ("mdb show", ""),
        ("-j m", '[{"mdb":[],"router":{}}]\n'),
    ],
)
def test_tables_of_later_are_empty(vswitch, api, line, said):
    assert vswitch(line) == (0, said, "")


def test_ports_say_what_they_got(vswitch, api):
    assert vswitch("port show dev tap1")[1] == (
        "port tap1: forwarding, 1 station\n"
        "    created, file end, 1 queue, mtu 1500, vnet header, no offloads\n"
    )
    assert [p["name"] for p in json.loads(vswitch("-j port")[1])] == ["tap0", "tap1"]
    assert "rx frames" in vswitch("-s port show")[1]


def test_a_switch_as_brctl_and_open_vswitch_print_it(vswitch, api):
    api.ports[1:] = [port("1st", 1, kind="netdev"), port("br0", 2, kind="local")]

    assert vswitch("show --format brctl")[1] == (
        "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n"
        "lab\t\t8000.000000000000\tno\t\ttap0\n"
        "\t\t\t\t\t\t\t1st\n"
        "\t\t\t\t\t\t\tbr0\n"
    )
    assert vswitch("show --format ovs")[1].splitlines()[1:] == [
        "    Bridge lab",
        "        datapath_type: netdev",
        '        Port "1st"',
        '            Interface "1st"',
        "        Port br0",
        "            Interface br0",
        "                type: internal",
        "        Port tap0",
        "            Interface tap0",
        "                type: tap",
        '    ovs_version: "0.1.0"',
    ]


def test_long_names_and_places_fit_80_columns(vswitch, api):
    api.ports.append(port(LONG, 2, kind="qemu", end="", state="down", address=f"/run/{LONG}"))

    out = vswitch("show")[1]

    assert max(map(len, out.splitlines())) <= 80
    assert f"waiting at /run/{LONG}" in " ".join(out.split())
    assert "\na-name-~at-of-a " in out


@pytest.mark.parametrize(
    ("spelled", "made"),
    [
        ("tap2", "tap2"),
        ("qemu:./vm.sock", "qemu:HERE/vm.sock"),
        ("qemu:localhost:5000", "qemu:localhost:5000"),
        ("vhost-user:vm,queues=2", "vhost-user:HERE/vm,queues=2"),
        ("dgram:a,remote=b", "dgram:HERE/a,remote=HERE/b"),
        ("pcap:in.pcap,out=../out.pcap", "pcap:HERE/in.pcap,out=UP/out.pcap"),
        ("record:/tmp/x", "record:/tmp/x"),
        ("udp:1.2.3.4:5,remote=1.2.3.4:6", "udp:1.2.3.4:5,remote=1.2.3.4:6"),
    ],
)
def test_paths_are_those_of_this_terminal(vswitch, api, monkeypatch, tmp_path, spelled, made):
    here = tmp_path / "h"
    here.mkdir()
    monkeypatch.chdir(here)

    assert vswitch(f"port add {spelled}") == (0, "", "")

    expected = made.replace("HERE", str(here)).replace("UP", str(tmp_path))
    assert api.changes == [("POST", "/v1/ports", {"port": expected})]


def test_a_path_that_becomes_too_long_is_refused_here(vswitch, api, monkeypatch, tmp_path):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.chdir(deep)

    assert vswitch("port add vhost-user:vm")[0] == 2
    assert api.asked == []


def test_a_name_the_terminal_cannot_write_is_no_failure(api, tmp_path):
    code = (
        "import sys; from support.fake_api import FakeApi, port\n"
        "from vswitch import cli; from vswitch.control import client\n"
        "client._UnixConnection = lambda *_: FakeApi(ports=[port('t\\u65e5p', 0)])\n"
        "sys.exit(cli.main(['link', '--api', '/x']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20,
        env=os.environ | {"PYTHONIOENCODING": "latin-1", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "1: t\\u65e5p: <" in done.stdout


def test_a_full_disk_is_a_sentence(vswitch, api, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "/x")

    monkeypatch.setattr("vswitch.cli._asking.Asking.print_json", full)

    assert vswitch("-j fdb show") == (1, "", "vswitch: /x: No space left on device\n")


def test_a_port_with_all_offloads_fits_a_terminal(vswitch, api):
    offloads = ["csum", "tso4", "tso6", "ecn", "uso", "ufo"]
    api.ports = [port("tap0", 0, created=True, vnet_header=True, offloads=offloads)]

    lines = vswitch("port show")[1].splitlines()

    assert lines[-1] == "        ufo"
    assert max(map(len, lines)) <= 80


def every_command(group, path=()):
    yield path
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        member = group.get_command(ctx, name)
        nested = isinstance(member, click.Group)
        yield from every_command(member, (*path, name)) if nested else [(*path, name)]


def test_help_fits_a_terminal(vswitch):
    for path in every_command(cli.command):
        status, out, err = vswitch(" ".join([*path, "--help"]))

        assert (status, err) == (0, "")
        assert [line for line in out.splitlines() if len(line) > 80] == []
