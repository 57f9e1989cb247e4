"""Neighbours in a configuration file, a reload, the API, on the command line and in metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.served import served
from support.services import recordings, services
from vswitch import configfile, metrics, reconcile
from vswitch.cli import main
from vswitch.errors import ConfigError, NeighbourNotFoundError
from vswitch.neighbours import Claims, Known, Neighbour, check_neighbours

PORT = '[[port]]\nport = "record:/x/a.pcap,name=a"\nneigh-suppress = true\n'
FILE = (
    PORT
    + """
[[neigh]]
ip = "192.0.2.1"
lladdr = "02:00:00:00:00:01"

[[neigh]]
ip = "2001:db8::1"
lladdr = "02-00-00-00-00-01"
vlan = 10
router = true
"""
)
FOUR = Neighbour.parse("192.0.2.1", "02:00:00:00:00:01")
SIX = Neighbour.parse("2001:db8:0::1", "02:00:00:00:00:01", vlan="10", router=True)


@pytest.fixture
def service(tmp_path):
    with services() as make:
        service = make()
        service.add_port(recordings(tmp_path)("a"))
        yield service


# ---------------------------------------------------------------------- facts


@pytest.mark.parametrize(
    ("ip", "mac", "vlan", "sentence"),
    [
        ("192.0.2", "02:00:00:00:00:01", "", "neighbour: not an IP address: '192.0.2'"),
        ("192.0.2.1/24", "02:00:00:00:00:01", "", "neighbour: not an IP address"),
        ("fe80::1%eth0", "02:00:00:00:00:01", "", "neighbour: not an IP address"),
        ("fe80::1\0", "02:00:00:00:00:01", "", "neighbour: not an IP address"),
        ("0.0.0.0", "02:00:00:00:00:01", "", "neighbour 0.0.0.0: no station has such an address"),
        ("::", "02:00:00:00:00:01", "", "neighbour ::: no station has such an address"),
        ("127.0.0.1", "02:00:00:00:00:01", "", "neighbour 127.0.0.1: no station has"),
        ("255.255.255.255", "02:00:00:00:00:01", "", "neighbour 255.255.255.255: no station has"),
        ("ff02::1", "02:00:00:00:00:01", "", "neighbour ff02::1: no station has such an address"),
        ("192.0.2.1", "03:00:00:00:00:01", "", "neighbour 192.0.2.1: lladdr: a station's address"),
        ("192.0.2.1", "02:00", "", "neighbour 192.0.2.1: lladdr: not an Ethernet address"),
        ("192.0.2.1", "02:00:00:00:00:01", "4095", "neighbour 192.0.2.1: vlan must be in 0..4094"),
    ],
)
def test_what_is_no_neighbour_is_refused(ip, mac, vlan, sentence):
    with pytest.raises(ConfigError) as e:
        Neighbour.parse(ip, mac, vlan=vlan)

    assert str(e.value).startswith(sentence)


def test_a_neighbour_is_said_as_it_is_read():
    assert FOUR.text == "192.0.2.1 lladdr 02:00:00:00:00:01"
    assert SIX.text == "2001:db8::1 lladdr 02:00:00:00:00:01 vlan 10 router"


def test_who_is_believed_most_is_believed_whoever_comes_first():
    claims = Claims()
    others = Neighbour(FOUR.ip, bytes([2, 0, 0, 0, 0, 9]))

    for source, origin, of in (("b", "guard", FOUR), ("c", "guard", others), ("a", "dhcp", others)):
        claims.put(source, Known(of, origin))
    assert claims.of(FOUR.key) == Known(others, "dhcp")
    claims.drop("a", FOUR.key)
    assert claims.of(FOUR.key) == Known(FOUR, "guard")  # who said it first
    claims.drop("b", FOUR.key)
    claims.drop("c", FOUR.key)
    assert (len(claims), claims.sources(), claims.of(FOUR.key)) == (0, set(), None)


def test_addresses_are_listed_in_their_order():
    claims = Claims()
    texts = ["192.0.2.9", "2001:db8::1", "10.0.0.1"]
    for i, text in enumerate(texts):
        claims.put(str(i), Known(Neighbour.parse(text, "02:00:00:00:00:01")))
    claims.put("3", Known(SIX))

    found = [(k.neighbour.vid, k.neighbour.address) for k in claims.all()]
    assert found == [
        (0, "10.0.0.1"), (0, "192.0.2.9"), (0, "2001:db8::1"), (10, "2001:db8::1"),
    ]  # fmt: skip


def test_there_is_a_limit_to_what_a_file_may_say():
    many = [Neighbour((1 << 24 | n).to_bytes(4), FOUR.mac) for n in range(16_385)]

    check_neighbours(many[1:])
    with pytest.raises(ConfigError, match="a switch knows at most 16384 neighbours, not 16385"):
        check_neighbours(many)


# ---------------------------------------------------------------------- a file


def test_a_file_says_who_is_known_and_is_written_as_it_was_read():
    config = configfile.loads(FILE).config()

    assert config.neighbours == (FOUR, SIX)
    assert config.ports[0].neigh_suppress
    assert configfile.loads(configfile.dumps(config)).config() == config


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('ip = "192.0.2.1"', "", "lab:5: neigh[1]: ip is missing"),
        ('ip = "192.0.2.1"', "ip = 7", "lab:6: neigh[1].ip is text"),
        ('ip = "192.0.2.1"', 'ip = "x"', "lab:5: neigh[1]: neighbour: not an IP address: 'x'"),
        ("vlan = 10", 'vlan = "10"', "lab:12: neigh[2].vlan is a number"),
        ("vlan = 10", "vlan = true", "lab:12: neigh[2].vlan is a number"),
        ("vlan = 10", "vlan = 5000", "lab:9: neigh[2]: neighbour 2001:db8::1: vlan must be in"),
        (
            "vlan = 10",
            "vlan = -1",
            "lab:9: neigh[2]: neighbour 2001:db8::1: vlan must be in 0..4094, not -1",
        ),
        ("router = true", 'router = "yes"', "lab:13: neigh[2].router is true or false"),
        ("router", "routes", "lab:13: neigh[2]: unknown option 'routes'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old, new, sentence):
    with pytest.raises(ConfigError) as e:
        configfile.loads(FILE.replace(old, new), "lab").config()

    assert str(e.value).startswith(sentence)


def test_an_address_is_given_once():
    twice = FILE + FILE[FILE.index("[[neigh]]") :]

    with pytest.raises(ConfigError, match=r":\d+: neighbour 192\.0\.2\.1 is given twice") as e:
        configfile.loads(twice, "lab").config()

    line = int(str(e.value).split(":")[1])
    assert (
        twice.splitlines()[line - 1 :].count("[[neigh]]") == 2
    )  # the place is that of the third: 192.0.2.1 again


# ---------------------------------------------------------------------- a reload


def test_a_reload_changes_what_differs():
    old = configfile.loads(FILE).config()
    new = configfile.loads(FILE.replace("-01", "-02").replace("192.0.2.1", "192.0.2.7")).config()

    assert reconcile.changes(old, old) == []
    assert reconcile.changes(old, new) == [
        "neighbour 192.0.2.1 lladdr 02:00:00:00:00:01: forgotten",
        "neighbour 192.0.2.7 lladdr 02:00:00:00:00:01: known",
        "neighbour 2001:db8::1 lladdr 02:00:00:00:00:02 vlan 10 router: known",
    ]


def known(service):
    return [k.neighbour for k in service.switch.neighbours.all]


def test_a_reload_leaves_what_the_file_says(service):
    service.add_neighbour(FOUR)
    text = configfile.dumps(service.config) + FILE[FILE.rindex("[[neigh]]") :]

    service.apply(configfile.loads(text.replace("192.0.2.1", "192.0.2.2")).config())

    assert [n.address for n in known(service)] == ["192.0.2.2", "2001:db8::1"]
    assert tuple(known(service)) == service.config.neighbours


def test_a_failed_reload_puts_neighbours_back(service, tmp_path, monkeypatch):
    for one in (FOUR, SIX):
        service.add_neighbour(one)
    before = service.config
    text = configfile.dumps(before).replace("00:01", "00:05", 1).replace("2001:db8::1", "fd00::1")
    new = configfile.loads(text.replace("[switch]", "[switch]\nageing = 7")).config()

    def refuse(**change):
        if change["ageing_s"] == 7:
            raise ConfigError("not now")

    monkeypatch.setattr(service, "set_switch", refuse)
    with pytest.raises(ConfigError, match="not now"):
        service.apply(new)

    assert service.config == before
    assert known(service) == [FOUR, SIX]


def test_what_is_said_is_in_the_configuration_and_what_is_flushed_is_not(service):
    for one in (FOUR, SIX):
        service.add_neighbour(one)
    service.add_neighbour(Neighbour(FOUR.ip, SIX.mac, router=True), replace=True)
    assert [n.text for n in service.config.neighbours] == [SIX.text, f"{FOUR.text} router"]

    assert service.flush_neighbours(10) == 1
    assert len(service.config.neighbours) == 1
    service.remove_neighbour(FOUR.ip, 0)
    assert service.config.neighbours == ()
    with pytest.raises(NeighbourNotFoundError):
        service.remove_neighbour(FOUR.ip, 0)


def test_a_switch_begins_with_the_neighbours_of_its_file(tmp_path):
    config = configfile.loads(FILE[FILE.index("[[neigh]]") :]).config()
    with services() as make:
        assert known(make(config)) == [FOUR, SIX]


# ---------------------------------------------------------------------- the command line


@pytest.fixture
def vswitch(service, tmp_path: Path, capsys):
    def run(line):
        status = main([*line.split(), "--api", str(tmp_path / "api")])
        said = capsys.readouterr()
        return status, said.out + said.err

    with served(service, tmp_path / "api"):
        yield run


def test_the_command_line_speaks_as_ip_neigh_does(service, vswitch):
    name = service.config.name
    add = "neigh add 192.0.2.1 lladdr 02:00:00:00:00:01"
    assert vswitch(add) == (0, "")
    assert vswitch(add) == (
        1, "vswitch: neighbour 192.0.2.1 is there already\nhint: replace it\n",
    )  # fmt: skip
    assert vswitch(f"{add} --may-exist") == (0, "")
    other = add.replace(":01", ":02")
    assert vswitch(f"{other} --may-exist")[0] == 1
    assert vswitch(other.replace(" add ", " replace ")) == (0, "")
    assert vswitch("n add 2001:db8:0::1 lladdr 02:00:00:00:00:01 vlan 10 router nud permanent") == (
        0,
        "",
    )
    service.switch.set_port(
        "a", allow_mac=("02:00:00:00:00:03",), allow_ip=("192.0.2.1", "192.0.2.3")
    )

    lines = [
        f"192.0.2.1 dev {name} lladdr 02:00:00:00:00:02 PERMANENT \n",
        f"192.0.2.3 dev {name} lladdr 02:00:00:00:00:03 extern_learn NOARP proto guard \n",
        f"2001:db8::1 dev {name} vlan 10 lladdr 02:00:00:00:00:01 router PERMANENT \n",
    ]
    assert vswitch("neigh") == (0, "".join(lines))
    assert vswitch("neigh show vlan 10") == (0, lines[2])
    assert vswitch("neigh show to 2001:DB8:0:0::1") == (0, lines[2])
    assert vswitch("neigh show 192.0.2.3") == (0, lines[1])
    assert vswitch("-s neigh show 192.0.2.9") == (
        0, "3 of 16384 known, 0 refused, 0 questions answered, 0 frames kept back\n",
    )  # fmt: skip


def test_neighbours_go_as_they_came(service, vswitch):
    for one in (FOUR, SIX, Neighbour(FOUR.ip, FOUR.mac, 7)):
        service.add_neighbour(one)
    service.switch.set_port("a", allow_mac=("02:00:00:00:00:03",), allow_ip=("192.0.2.3",))

    assert vswitch("neigh del 192.0.2.1") == (0, "")
    assert vswitch("neigh del 192.0.2.1 --if-exists") == (0, "")
    assert vswitch("neigh del 192.0.2.1") == (
        1, "vswitch: no neighbour 192.0.2.1 was added by hand\n",
    )  # fmt: skip
    assert vswitch("neigh del 192.0.2.3") == (
        1, "vswitch: no neighbour 192.0.2.3 was added by hand\nhint: it is known from guard\n",
    )  # fmt: skip
    assert vswitch("-s neigh flush vlan 7") == (0, "1 neighbour forgotten\n")
    assert vswitch("neigh flush") == (0, "")
    assert [n.address for n in known(service)] == ["192.0.2.3"]


def test_json_has_the_keys_of_ip_neigh(service, vswitch):
    service.add_neighbour(SIX)
    service.switch.set_port("a", allow_mac=("02:00:00:00:00:03",), allow_ip=("192.0.2.3",))

    _, said = vswitch("-j neigh")
    assert json.loads(said) == [
        {
            "dst": "192.0.2.3", "dev": service.config.name, "lladdr": "02:00:00:00:00:03",
            "extern_learn": None, "state": ["NOARP"], "protocol": "guard",
        },
        {
            "dst": "2001:db8::1", "dev": service.config.name, "vlan": 10,
            "lladdr": "02:00:00:00:00:01", "router": None, "state": ["PERMANENT"],
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("neigh add 192.0.2.1", "the station (lladdr MAC) is missing"),
        ("neigh add lladdr 02:00:00:00:00:01", "the address is missing"),
        ("neigh add 224.0.0.1 lladdr 02:00:00:00:00:01", "neighbour 224.0.0.1: no station has"),
        ("neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 nud stale", "nud stale: neighbours set by"),
        ("neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 extern_learn", "extern_learn: what is"),
        ("neigh del 192.0.2", "neighbour: not an IP address: '192.0.2'"),
        ("neigh show 192.0.2", "neighbour: not an IP address: '192.0.2'"),
        ("neigh show vlan 5000", "vlan must be in 1..4094, not 5000"),
        ("link set dev a neigh_suppress maybe", "neigh-suppress is on or off, not 'maybe'"),
    ],
)
def test_what_cannot_be_is_said(vswitch, line, sentence):
    status, said = vswitch(line)

    assert (status, said.startswith(f"vswitch: {sentence}")) == (2, True), said


def test_the_flag_is_set_and_shown_as_bridge_does(service, vswitch):
    assert vswitch("link set dev a neigh_suppress on") == (0, "")

    assert service.config.ports[0].neigh_suppress
    assert "neigh_suppress on" in vswitch("-d link show dev a")[1]
    assert json.loads(vswitch("-j -d link show dev a")[1])[0]["neigh_suppress"] is True
    assert "neigh-suppress on" in vswitch("show")[1]


def test_show_has_a_line_about_neighbours_if_there_are_some(service, vswitch):
    assert "neighbours" not in vswitch("show")[1]

    service.add_neighbour(FOUR)
    assert "    neighbours: 1 of 16384 known, 0 refused, 0 questions" in vswitch("show")[1]


def test_metrics_count_what_was_spared(service):
    service.add_neighbour(FOUR)

    text = metrics.exposition(service.switch)[0].decode()
    name = service.config.name
    for line in ("vswitch_neighbours", *(f"vswitch_neighbours_{what}_total" for what in (
        "answered", "suppressed", "refused",
    ))):  # fmt: skip
        expected = "1.0" if line == "vswitch_neighbours" else "0.0"
        assert f'{line}{{switch="{name}"}} {expected}\n' in text
