"""The command line in this process: exact text, exit status, which stream."""

import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import closing

import pytest

from support.plugged import PluggedVm
from support.served import served
from vswitch import QemuListener, VhostUserFolder, VhostUserPort, cli
from vswitch.cli._bridge import fdb_keys, fdb_line
from vswitch.control import address
from vswitch.control.schema import FdbEntry
from vswitch.wire.vhost_user import Feature

A, B = (bytes([2, 0, 0, 0, 0, i]) for i in (1, 2))


@pytest.fixture
def vswitch(capsys):
    """Run a command line; returns (status, standard output, standard error)."""

    def run(*argv):
        status = cli.main(argv)
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No switch runs."""
    monkeypatch.setattr(address, "directory", lambda: tmp_path)


@pytest.fixture
def running(lab, monkeypatch, tmp_path):
    """A switch called lab runs: a station behind a, 5 s old, a static one behind b, one drop."""
    monkeypatch.setattr(address, "directory", lambda: tmp_path)
    made = lab("a", "b")
    made.send("a", B + A + b"\x08\x00" + bytes(46), bytes(6) + bytes(6) + b"\x08\x00")
    made.switch.pin(B, "b")
    made.clock.advance(5)
    with served(made.switch, tmp_path / "lab.sock"):
        yield made


def in_words(text):
    """*text* wherever its lines end: long paths fill more than one."""
    return " ".join(text.split())


# ---------------------------------------------------------------------- asking


def test_show_is_a_tree_and_a_table(vswitch, running):
    status, out, err = vswitch("show")

    assert (status, err) == (0, "")
    assert out == (
        f"switch lab: core c, 1 poller, pid {os.getpid()}, up 5 s\n"
        "    fdb: 2 of 65536 stations, ageing 300 s\n"
        "        1 learned, 0 moved, 0 expired, 0 refused\n"
        "    reserved addresses forwarded: stp\n"
        "    port a: forwarding, 1 station\n"
        "        memory, 1 queue, mtu 1500, vnet header, csum tso4 tso6 ecn uso ufo\n"
        "    port b: forwarding, 1 station\n"
        "        memory, 1 queue, mtu 1500, vnet header, csum tso4 tso6 ecn uso ufo\n"
        "\n"
        "port  rx frames  rx bytes  rx drops  tx frames  tx bytes  tx drops\n"
        "a             2        74         1          0         0         0\n"
        "b             0         0         0          1        60         0\n"
        "\n"
        "dropped  frames  reason\n"
        "a             1  bad_source  the source address is a group address or zero\n"
    )


def test_show_says_where_vms_connect(vswitch, running, tmp_path):
    running.switch.listen(QemuListener(tmp_path / "lan", mtu=9000))

    assert f" listener lan: 0 ports qemu:{tmp_path}/lan, mtu 9000 " in in_words(vswitch("show")[1])
    assert json.loads(vswitch("show", "-j")[1])["listeners"][0]["name"] == "lan"


def test_show_says_where_a_guest_is_waited_for_and_what_it_negotiated(vswitch, running, tmp_path):
    running.switch.add_port(VhostUserPort("vm", tmp_path / "vm", queues=2))
    assert (
        f" port vm: down, waiting at {tmp_path}/vm, 0 stations "
        "vhost-user, 2 queues, mtu 1500, vnet header, no offloads "
    ) in in_words(vswitch("show")[1])

    features = Feature.GUEST_CSUM | Feature.GUEST_TSO4
    with closing(PluggedVm(tmp_path / "vm", running.switch.poll, features=features)) as vm:
        vm.boot()

        assert (
            "    port vm: forwarding, 0 stations\n"
            "        vhost-user, 1 of 2 queues, mtu 1500, vnet header, csum tso4\n"
        ) in vswitch("show")[1]
        assert json.loads(vswitch("show", "-j")[1])["ports"][2]["queues_used"] == 1


def test_show_says_how_many_machines_are_in_a_folder(vswitch, running, tmp_path):
    running.switch.listen(VhostUserFolder(tmp_path / "lan", mtu=9000))
    for ports in ("0 ports", "1 port"):
        said = in_words(vswitch("show")[1])
        assert f" listener lan: {ports} vhost-user:{tmp_path}/lan/, mtu 9000 " in said
        if ports == "0 ports":
            vm = PluggedVm(tmp_path / "lan" / "lan-1.sock", running.switch.poll).boot()
    vm.close()


def test_show_fits_80_columns(vswitch, running):
    assert max(map(len, vswitch("show")[1].splitlines())) <= 80


@pytest.mark.parametrize("line", [("show", "-j"), ("-j", "show")])
def test_show_as_json_is_what_the_api_says(vswitch, running, line):
    shown = json.loads(vswitch(*line)[1])

    assert shown["switch"]["name"] == "lab"
    assert [port["name"] for port in shown["ports"]] == ["a", "b"]
    assert shown["ports"][0]["drops"]["bad_source"] == 1


@pytest.mark.parametrize("line", ["fdb show", "fdb", "fdb show -S lab", "fdb show br lab"])
def test_fdb_show_has_the_lines_of_bridge(vswitch, running, line):
    assert vswitch(*line.split()) == (
        0,
        "02:00:00:00:00:01 dev a master lab \n02:00:00:00:00:02 dev b master lab static\n",
        "",
    )


@pytest.mark.parametrize(
    "line", ["fdb show -s --port a", "-s fdb show --port a", "fdb -s --port a"]
)
def test_fdb_show_with_statistics_says_the_age(vswitch, running, line):
    assert vswitch(*line.split())[1] == "02:00:00:00:00:01 dev a used 5/5 master lab \n"


@pytest.mark.parametrize("line", ["-j -s fdb show", "-js fdb show", "fdb show -js", "fdb -sj"])
def test_fdb_show_as_json_has_the_keys_of_bridge(vswitch, running, line):
    assert vswitch(*line.split())[1] == (
        '[{"mac":"02:00:00:00:00:01","ifname":"a","used":5,"updated":5,'
        '"flags":[],"master":"lab","state":""},'
        '{"mac":"02:00:00:00:00:02","ifname":"b","used":0,"updated":0,'
        '"flags":[],"master":"lab","state":"static"}]\n'
    )


def test_a_vlan_has_its_place_in_the_line():
    entry = FdbEntry(mac="02:00:00:00:00:01", port="a", vid=7, age_s=3)

    assert fdb_line(entry, "lab", statistics=True) == (
        "02:00:00:00:00:01 dev a vlan 7 used 3/3 master lab "
    )
    assert fdb_keys(entry, "lab", statistics=False)["vlan"] == 7


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fdb flush", "1 station forgotten\n"),
        ("fdb flush dev a", "1 station forgotten\n"),
        ("fdb flush --port b", "0 stations forgotten\n"),
        ("fdb flush --mac 02:00:00:00:00:01", "1 station forgotten\n"),
        ("fdb flush dev b --mac 02:00:00:00:00:01", "0 stations forgotten\n"),
    ],
)
def test_fdb_flush_says_how_many(vswitch, running, line, said):
    assert vswitch("-s", *line.split()) == (0, said, "")


def test_a_switch_that_says_no_is_quoted_with_its_hint(vswitch, running):
    assert vswitch("fdb", "show", "dev", "nix") == (
        1, "", "vswitch: no port nix\nhint: ports are: a, b\n",
    )  # fmt: skip


def test_a_wrong_name_is_told_the_right_one(vswitch, running, tmp_path):
    assert vswitch("show", "-S", "other") == (
        1, "", f"vswitch: no switch answers at {tmp_path}/other.sock\nhint: running are: lab\n",
    )  # fmt: skip


def test_no_switch_is_status_1(vswitch, nobody):
    assert vswitch("show") == (
        1,
        "",
        "vswitch: no switch is running\n"
        "hint: start one: vswitch --port tap0 --port tap1 "
        "(or give --api PATH, if it has its own)\n",
    )


# ---------------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("shw", "no command 'shw' in vswitch\nhint: did you mean show?\n"),
        ("fdb shwo", "no command 'shwo' in vswitch fdb\nhint: did you mean show?\n"),
        (
            "fdb frob",
            "no command 'frob' in vswitch fdb: there is show, stats, history, add, replace, "
            "del, flush"
            "\nhint: see vswitch fdb --help\n",
        ),
        ("fdb st x", "got unexpected extra argument (x)\nhint: see vswitch fdb stats --help\n"),
        ("--prot a", "no option --prot\nhint: did you mean --port?\n"),
        ("show --frob", "no option --frob\nhint: see vswitch show --help\n"),
        ("show x", "got unexpected extra argument (x)\nhint: see vswitch show --help\n"),
        (
            "run --lock",
            "--lock: a switch without ports could never get one\n"
            "hint: give it ports: --port tap0 --port tap1; or leave --lock away\n",
        ),
        ("--port", "option '--port' requires an argument\nhint: see vswitch --help\n"),
        (
            "--ageing soon --port a",
            "invalid value for '--ageing': 'soon' is not a valid integer\n"
            "hint: see vswitch run --help\n",
        ),
        (
            "--port a --port a",
            "port a is given twice\nhint: each port has its own name\n",
        ),
        (
            "--port a --transparent --forward stp",
            "--transparent and --forward exclude one another\nhint: see vswitch run --help\n",
        ),
        ("fdb show dev", "'dev' needs a value\nhint: see vswitch fdb show --help\n"),
        (
            "fdb show dev a dev b",
            "'dev' is given twice: a and b\nhint: see vswitch fdb show --help\n",
        ),
        (
            "fdb show tap0",
            "unknown word 'tap0': there is dev, br, vlan, state, dynamic\n"
            "hint: see vswitch fdb show --help\n",
        ),
        (
            "fdb flush --mac 1:2",
            "--mac: not an Ethernet address: '1:2'\nhint: as 02:00:00:00:00:01\n",
        ),
    ],
)
def test_bad_usage_is_one_sentence_a_hint_and_status_2(vswitch, nobody, line, said):
    assert vswitch(*line.split()) == (2, "", f"vswitch: {said}")


def test_a_missing_core_is_explained(vswitch, nobody, monkeypatch):
    monkeypatch.delitem(sys.modules, "vswitch.daemon", raising=False)
    monkeypatch.delattr("vswitch.daemon", raising=False)
    monkeypatch.setitem(sys.modules, "vswitch._fastpath", None)

    status, out, err = vswitch("--port", "a")

    assert (status, out) == (2, "")
    assert err == (
        "vswitch: vswitch._fastpath is not built, and a switch cannot run without it\n"
        "hint: in the source tree: python setup.py build_ext --inplace\n"
    )


def test_an_interrupt_is_no_failure_and_says_nothing(vswitch, monkeypatch):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("vswitch.captures.load", interrupted)

    status, out, err = vswitch("replay", "in.pcap@a", "--out", "nowhere")

    assert (status, out, err.strip()) == (130, "", "")


# ---------------------------------------------------------------------- help


@pytest.mark.parametrize(
    "line",
    [
        "",
        "--help",
        "-h",
        "run --help",
        "show -h",
        "fdb -h",
        "fdb show -h",
        "fdb flush -h",
        "qemu-args -h",
        "libvirt-xml -h",
        "docker-args -h",
        "replay -h",
        "help",
        "help fdb",
        "fdb help",
        "fdb add -h",
        "fdb del -h",
        "fdb replace -h",
        "fdb stats -h",
        "help link show",
        "link set -h",
        "port -h",
        "port add -h",
        "port del -h",
        "port show -h",
        "vlan -h",
        "vlan show -h",
        "mdb -h",
        "mdb show -h",
        "top -h",
        "completion -h",
    ],
)
def test_help_is_on_standard_output_and_fits_80_columns(vswitch, line):
    status, out, err = vswitch(*line.split())

    assert (status, err) == (0, "")
    assert out.startswith("Usage: vswitch")
    assert max(map(len, out.splitlines())) <= 80


def test_version_names_the_build(vswitch):
    status, out, _ = vswitch("--version")

    assert status == 0
    assert out.startswith("vswitch 0.1.0 (core c: ")
    assert re.search(r"\(core c: (release|debug|asan) build; ", out)
    assert f"CPython {sys.version.split()[0]}" in out


def test_help_needs_neither_the_core_nor_heavy_libraries():
    heavy = {
        "aiohttp",
        "asyncio",
        "msgspec",
        "numpy",
        "pyroute2",
        "rich",
        "vswitch._fastpath",
    }
    code = (
        "import sys, vswitch.cli; vswitch.cli.main(['--help']); "
        f"sys.stderr.write(' '.join({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)

    assert done.stderr == ""


def test_a_reader_who_leaves_is_no_error(running, tmp_path):
    # Enough stations to fill the pipe; the reader takes one line.
    for i in range(3000):
        running.switch.pin(bytes([2, 1, 0, 0, i >> 8, i & 255]), "a")
    words = [sys.executable, "-m", "vswitch", "fdb", "show", "--api", str(tmp_path / "lab.sock")]
    line = f"{shlex.join(words)}; echo $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({line}) | head -n 1"], capture_output=True, text=True, timeout=20
    )

    assert done.stdout.count("\n") == 1
    assert done.stderr == "0\n"
