"""Counters of VLANs for Prometheus, and what is set of a port in ``vswitch show``."""

import re

import pytest

from support.frames import BROADCAST, frame, mac
from support.served import served
from vswitch import cli, vlanwords
from vswitch.metrics import exposition
from vswitch.vlanmetrics import PAIRS_MAX

A = mac(1)


def series(switch, prefix):
    text = exposition(switch)[0].decode()
    return dict(re.findall(rf"^({prefix}\S*) (\S+)$", text, re.MULTILINE))


def have(net, **vlans):
    for port, said in vlans.items():
        net.switch.set_port(port, vlans=vlanwords.parse("vlans", said))


def test_a_switch_without_vlans_has_no_series_of_them(lab):
    net = lab("a", "b")

    assert series(net.switch, "vswitch_vlan") == {}
    assert set(re.findall(r'vlan_mode="(\w+)"', exposition(net.switch)[0].decode())) == {"unaware"}


def test_what_a_port_counts_in_each_vlan_is_a_series(lab):
    net = lab("a", "b", "c", "d")
    have(net, a="access=10", b="trunk=10,20", c="untagged=20,tagged=10")
    net.send("a", frame(BROADCAST, A))

    assert series(net.switch, "vswitch_vlan_receive_packets_total") == {
        f'vswitch_vlan_receive_packets_total{{port="{port}",switch="lab",vlan="{vid}"}}': count
        for port, vid, count in (
            ("a", 10, "1.0"), ("b", 10, "0.0"), ("b", 20, "0.0"), ("c", 10, "0.0"),
            ("c", 20, "0.0"),
        )
    }  # fmt: skip
    assert (
        series(net.switch, "vswitch_vlan_transmit_bytes_total")[
            'vswitch_vlan_transmit_bytes_total{port="b",switch="lab",vlan="10"}'
        ]
        == "64.0"
    )
    modes = re.findall(
        r'port="(\w)",switch="lab",vlan_mode="(\w+)"', exposition(net.switch)[0].decode()
    )
    assert modes == [("a", "access"), ("b", "trunk"), ("c", "hybrid"), ("d", "plain")]


@pytest.mark.parametrize(("n", "left_out"), [(PAIRS_MAX - 1, "0.0"), (PAIRS_MAX, "1.0")])
def test_too_many_are_left_out_and_that_is_said(lab, n, left_out):
    net = lab("a", "b")
    have(net, a=f"trunk=1-{n}", b="access=10")

    found = series(net.switch, "vswitch_vlan_receive_packets_total")

    assert len(found) == (n + 1 if left_out == "0.0" else 1)
    assert series(net.switch, "vswitch_vlan_ports") == {
        'vswitch_vlan_ports_left_out{switch="lab"}': left_out
    }


def test_what_is_set_of_a_port_is_in_the_tree(lab, tmp_path, capsys):
    net = lab("a", "b")
    have(net, a="trunk=10,20,native=1")
    net.switch.set_port("a", isolated=True, mcast_flood=False, fdb_limit=7, backup="b")
    with served(net.switch, tmp_path / "s") as path:
        assert cli.main(["show", "--api", str(path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    [at] = [i for i, line in enumerate(lines) if line.startswith("    port a: ")]
    assert [line.strip() for line in lines[at + 2 : at + 5]] == [
        "vlans trunk=10,20, native=1, fdb-limit 7, isolated on, mcast-flood off,",
        "backup b",
        "port b: forwarding, 0 stations",
    ]


def test_show_fits_a_terminal_whatever_is_set_of_vlans(lab, tmp_path, capsys):
    said = "trunk=10,20-29,native=1,native-mode=tagged,tag-type=802.1ad,translate=100:10"
    made = lab("a")
    have(made, a=said)
    with served(made.switch, tmp_path / "s") as path:
        cli.main(["show", "--api", str(path)])
    out = capsys.readouterr().out

    assert max(map(len, out.splitlines())) <= 80
    assert said in "".join(out.split())
