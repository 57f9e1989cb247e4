"""The commands that change a switch, and a switch that changes."""

import pytest

from support.served import served
from vswitch import cli

MAC, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.fixture
def vswitch(lab, tmp_path, capsys):
    """Run a command line on a switch with ports a and b: (status, output, error)."""
    made = lab("a", "b")
    with served(made.switch, tmp_path / "lab.sock"):

        def run(line):
            status = cli.main([*line.split(), "--api", str(tmp_path / "lab.sock")])
            return status, *capsys.readouterr()

        run.lab = made
        yield run


def test_limits_are_set_as_tc_spells_them_and_taken_away(vswitch):
    said = "link set dev b police 10Mbit police-burst 64kb storm-broadcast 1000pps shape 1gbit"
    assert vswitch(said) == (0, "", "")

    status = vswitch.lab.status("b")
    assert (status.police, status.police_burst, status.storm_broadcast, status.shape) == (
        "10mbit", 65_536, "1kpps", "1gbit",
    )  # fmt: skip
    assert vswitch("link set dev b police off shape off") == (0, "", "")
    assert (vswitch.lab.status("b").police, vswitch.lab.status("b").shape) == ("", "")


def test_a_rate_that_is_none_is_a_sentence(vswitch):
    status, _, error = vswitch("link set dev b police 10mbps")

    assert status == 2
    assert "police: '10mbps' are bytes to tc(8), and bits to others" in error


def test_a_station_is_added_moved_and_forgotten(vswitch):
    said = [
        vswitch(line)
        for line in (
            f"fdb add {MAC} dev a master static",
            f"fdb add {MAC} dev a --may-exist",
            f"fdb replace {MAC} dev b",
            f"fdb add {OTHER} dev a",
        )
    ]

    assert said == [(0, "", "")] * 4
    assert vswitch("fdb show")[1] == (
        f"{MAC} dev b master lab static\n{OTHER} dev a master lab static\n"
    )
    assert vswitch(f"fdb add {MAC} dev a --may-exist")[0] == 1
    assert vswitch(f"fdb del {MAC} dev a")[0] == 1
    assert vswitch(f"fdb del {MAC} dev b") == (0, "", "")
    assert vswitch(f"fdb del {MAC} dev b --if-exists") == (0, "", "")
    assert vswitch("fdb flush static -s") == (0, "1 station forgotten\n", "")
    assert vswitch("fdb show") == (0, "", "")


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (f"fdb add {MAC} dev a vlan 7", 2, "vid: no port has VLANs yet, so there is no VLAN 7"),
        (f"fdb replace {MAC} dev a vlan 7", 2, "vid: no port has VLANs yet"),
        ("reload", 2, "this switch has no configuration file"),
        (f"fdb add {MAC} dev nix", 1, "no port nix"),
    ],
)
def test_what_the_switch_finds_wrong_with_the_input_is_status_2(vswitch, line, status, said):
    answered, out, err = vswitch(line)

    assert (answered, out) == (status, "")
    assert err.startswith(f"vswitch: {said}")


def test_what_a_port_may_do_is_set_and_shown(vswitch):
    assert vswitch("link set dev b learning off state blocking fdb-limit 7") == (0, "", "")

    status = vswitch.lab.status("b")
    assert (status.learning, status.forwarding, status.fdb_limit) == (False, False, 7)
    assert "state blocking" in vswitch("-d link show dev b")[1]
    assert "learning off" in vswitch("-d link show dev b")[1]


@pytest.mark.parametrize(
    ("said", "forwarding"),
    [("0", False), ("4", False), ("3", True), ("BLOCKING", False), ("Forwarding", True)],
)
def test_a_state_is_said_as_to_bridge(vswitch, said, forwarding):
    vswitch.lab.switch.set_port("b", forwarding=not forwarding)

    assert vswitch(f"link set dev b state {said}") == (0, "", "")

    assert vswitch.lab.status("b").forwarding is forwarding


def test_a_port_comes_and_goes(vswitch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert vswitch("port add vhost-user:vm.sock") == (0, "", "")
    assert (tmp_path / "vm.sock").is_socket()
    assert vswitch("port add vhost-user:vm.sock")[0] == 1
    assert vswitch("port add vhost-user:vm.sock --may-exist") == (0, "", "")
    assert vswitch("port add --listen qemu:./lan.sock") == (0, "", "")
    assert vswitch("port del --listen lan") == (0, "", "")
    assert vswitch("port del vm") == (0, "", "")
    assert vswitch("port del vm")[0] == 1
    assert vswitch("port del vm --if-exists") == (0, "", "")
    assert [p.name for p in tmp_path.iterdir()] == ["lab.sock"]
