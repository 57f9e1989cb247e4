"""Mirrors in a configuration file, a reload, the API and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.served import served
from support.services import recordings, services
from vswitch import configfile, reconcile
from vswitch.cli import main
from vswitch.errors import ConfigError
from vswitch.mirrors import Mirror

PORTS = '[[port]]\nport = "record:/x/{0}.pcap,name={0}"\n'
FILE = (
    "".join(PORTS.format(name) for name in ("a", "b", "mon"))
    + """
[[mirror]]
name = "watch"
from = ["a", "b,in"]
vlan = [10, "20-29"]
to = "mon"
"""
)
WATCH = Mirror.parse("watch", sources="a,b,in", vlans="10,20-29", target="mon")


@pytest.fixture
def service(tmp_path):
    with services() as make:
        service = make()
        out = recordings(tmp_path)
        for name in ("a", "b", "mon"):
            service.add_port(out(name))
        yield service


def test_a_file_says_what_is_mirrored_and_is_written_as_it_was_read():
    config = configfile.loads(FILE).config()

    assert config.mirrors == (WATCH,)
    assert configfile.loads(configfile.dumps(config)).config() == config


def test_words_of_the_command_line_are_taken_as_well():
    text = FILE.replace('["a", "b,in"]', '"a,b,in"').replace('[10, "20-29"]', '"10,20-29"')

    assert configfile.loads(text).config().mirrors == (WATCH,)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('to = "mon"', "", "lab:8: mirror[1]: to is missing"),
        ('to = "mon"', 'to = "x"', "lab:8: mirror watch names x, which is no port"),
        ('to = "mon"', 'to = "a"', "lab:8: mirror[1]: mirror watch: a cannot be mirrored to"),
        ('to = "mon"', "to = 7", "lab:12: mirror[1].to is text"),
        ("vlan = [10,", "vlan = [true,", "lab:11: mirror[1].vlan is VLANs, as [10"),
        ("vlan = [10,", "vlan = [4095,", "lab:8: mirror[1]: mirror watch: vlan: a VLAN is"),
        ('"b,in"', "5", "lab:10: mirror[1].from is ports, as"),
        ("vlan =", "vlans =", "lab:11: mirror[1]: unknown option 'vlans'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old, new, sentence):
    with pytest.raises(ConfigError) as e:
        configfile.loads(FILE.replace(old, new), "lab").config()

    assert str(e.value).startswith(sentence)


def test_two_mirrors_of_one_name_are_refused():
    twice = FILE + FILE[FILE.index("[[mirror]]") :]

    with pytest.raises(ConfigError, match="mirror watch is given twice"):
        configfile.loads(twice).config()


def test_a_reload_changes_what_differs():
    old = configfile.loads(FILE).config()
    new = configfile.loads(FILE.replace('"b,in"', '"b,out"')).config()

    assert reconcile.changes(old, old) == []
    assert reconcile.changes(old, new) == [
        "mirror watch from a,b,in vlan 10,20-29 to mon: ended",
        "mirror watch from a,b,out vlan 10,20-29 to mon: begun",
    ]


def test_a_mirror_survives_the_ports_that_are_opened_anew(service, tmp_path):
    service.add_mirror(Mirror.parse("m", sources="a,b", target="mon"))
    before = service.config
    text = configfile.dumps(before).replace("a.pcap", "other.pcap")

    service.apply(configfile.loads(text).config())

    assert [m.text for m in service.switch.mirrors.all] == ["m from a,b to mon"]
    assert service.config.mirrors == before.mirrors


def test_a_failed_reload_puts_mirrors_back(service, tmp_path):
    service.add_mirror(Mirror.parse("m", sources="a,b", target="mon"))
    before = service.config
    text = configfile.dumps(before).replace("b.pcap", "nowhere/b.pcap")

    with pytest.raises(Exception, match="nowhere"):
        service.apply(configfile.loads(text).config())

    assert service.config == before
    assert [m.text for m in service.switch.mirrors.all] == ["m from a,b to mon"]


def test_ports_that_go_leave_the_configuration_of_mirrors(service):
    service.add_mirror(Mirror.parse("m", sources="a,b", target="mon"))
    service.remove_port("a")
    assert [m.text for m in service.config.mirrors] == ["m from b to mon"]
    service.remove_port("mon")

    assert service.config.mirrors == ()
    assert service.switch.mirrors.all == []


def test_the_command_line_begins_shows_and_ends_mirrors(service, tmp_path: Path, capsys):
    def vswitch(*words):
        status = main([*words, "--api", str(tmp_path / "api")])
        said = capsys.readouterr()
        return status, said.out + said.err

    with served(service, tmp_path / "api"):
        add = ("mirror", "add", "watch", "from", "a,in,b", "vlan", "10", "to", "mon")
        assert vswitch(*add) == (0, "")
        status, said = vswitch(*add)
        assert (status, said) == (1, "vswitch: mirror watch is there already\n")
        assert vswitch(*add, "--may-exist") == (0, "")
        assert vswitch("mirror", "add", "n", "vlan", "7", "to", "mon") == (0, "")
        _, said = vswitch("mirror")
        assert said == "watch from a,in,b vlan 10 to mon\nn vlan 7 to mon\n"
        _, said = vswitch("mirror", "show", "-j")
        assert '"sources":["a,in","b"],"vlans":"10"' in said.replace(" ", "")
        _, said = vswitch("show")
        assert "    mirror watch from a,in,b vlan 10 to mon\n" in said
        assert "port mon: mirror, 0 stations" in said
        assert [m.name for m in service.config.mirrors] == ["watch", "n"]
        assert vswitch("mirror", "del", "watch") == (0, "")
        assert vswitch("mirror", "del", "watch", "--if-exists") == (0, "")
        status, said = vswitch("mirror", "del", "watch")
        assert (status, said) == (1, "vswitch: no mirror watch\nhint: mirrors are: n\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["from", "a", "to", "mon"], "the mirror's name is missing"),
        (["m", "from", "a"], "the port that gets the copies (to PORT) is missing"),
        (["m", "to", "mon"], "mirror m: what it mirrors is missing"),
        (["m", "from", "a", "vlan", "0", "to", "mon"], "mirror m: vlan: a VLAN is a number"),
        (["m", "from", "a,,b", "to", "mon"], "a port's name is missing in 'a,,b'"),
    ],
)
def test_the_command_line_refuses_what_cannot_be(words, sentence, capsys):
    assert main(["mirror", "add", *words]) == 2

    assert sentence in capsys.readouterr().err
