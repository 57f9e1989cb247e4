"""Configuration files: what they say, what is wrong with them and where, how several are one."""

import pytest

from vswitch import config as switchconfig
from vswitch import configfile
from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.portconfig import KINDS, LISTENERS, OPTIONS, PortConfig
from vswitch.tomltext import FORMS, Document, form


def config(text):
    return configfile.loads(text).config()


def refusal(text):
    with pytest.raises(ConfigError) as caught:
        configfile.loads(text, "lab.toml").config()
    return str(caught.value)


def test_a_port_is_said_in_parts_or_as_on_the_command_line():
    parts = '[[port]]\nkind = "tap"\nname = "a"\nmtu = 9000\nqueues = 4\n'
    whole = '[[port]]\nport = "tap:a,queues=4,mtu=9000"\n'
    mixed = '[[port]]\nport = "tap:a,queues=4"\nmtu = "9000"\n'

    assert config(parts) == config(whole) == config(mixed)
    assert config(parts).ports == (PortConfig("a", "tap", queues=4, mtu=9000),)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "netdev:a,force",
        "local:a,ip=10.0.0.1/24,ip=fd00::1/64",
        "qemu:/a/b,name=vm,retry=off",
        "vhost-user:/a/b,client",
        "dgram:/a/b,remote=/a/c,mode=0600,owner=0",
        "pcap:a.pcap,speed=2.5,loop=0",
        "pcap:a.pcap,speed=max",
        "fd:3:4",
    ],
)
def test_a_port_of_the_command_line_is_written_and_read(text):
    made = SwitchConfig(ports=(PortConfig.parse(text),))

    assert config(configfile.dumps(made)) == made


def test_what_is_as_by_default_is_not_written():
    assert configfile.dumps(SwitchConfig()) == '[switch]\nname = "vswitch"\n'


def test_a_file_says_where_vms_connect():
    said = config('[[listen]]\nkind = "qemu"\naddress = "/a/lan.sock"\nmode = "0660"\n')

    assert said.listeners == (PortConfig.parse_listener("qemu:/a/lan.sock,mode=0660"),)


def test_a_comma_in_a_path_is_part_of_it():
    said = config('[[port]]\nkind = "record"\naddress = "/a,b.pcap"\nname = "r"\n')

    assert said.ports[0].address == "/a,b.pcap"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[switch]\nageing = -1", "lab.toml:2: switch.ageing must be in 0..1000000, not -1"),
        ("[switch]\nmove-guard = -1", "lab.toml:2: switch.move-guard must be in 0..86400, not -1"),
        ("[switch]\nmtu = 40", "lab.toml:2: switch.mtu must be in 68..65521, not 40"),
        ("[switch]\nmtu = true", "lab.toml:2: switch.mtu is a number, not true"),
        ("[switch]\nname = 1", "lab.toml:2: switch.name is text, not 1"),
        ("[switch]\n\nport = 1", "lab.toml:3: switch has no option 'port'"),
        ("[switch]\nforward = [5]", "lab.toml:2: switch.forward is a list of names, not of 5"),
        (
            'switch.forward = [\n"stp",\n"x"\n]',
            "lab.toml:1: switch.forward: unknown reserved address 'x'",
        ),
        ("[[port]]\nname='a'\n#\nmtu=40", "lab.toml:4: port[1].mtu must be in 68..65521, not 40"),
        ("[[port]]\nname='a'\n[[port]]\nname='b'\nx=1", "lab.toml:5: port[2]: unknown option 'x'"),
        ("[[port]]\nname='a'\nremote='b'", "lab.toml:3: port[1]: a device has no option 'remote'"),
        ("[[port]]\nname='a'\nmtu=[1]", "lab.toml:3: port[1].mtu is a number, not a list"),
        ("[[port]]\nname='a'\nmtu={x=1}", "lab.toml:3: port[1].mtu is a number, not a table"),
        ("[[port]]\nname='a'\nmtu=2020-01-01", "lab.toml:3: port[1].mtu is a number, not a time"),
        ("[[port]]\nname=1", "lab.toml:2: port[1].name is text"),
        ("\n[[port]]\nmtu=1500", "lab.toml:2: port[1]: name is missing"),
        ("[[port]]\nkind='qemu'", "lab.toml:1: port[1]: address is missing"),
        ("[[port]]\nkind='x'\nname='a'", "lab.toml:1: port[1]: unknown kind 'x'"),
        (
            "[[port]]\nport='tap:a,mtu=1500'\nmtu=9000",
            "lab.toml:3: port[1]: option 'mtu' is given twice",
        ),
        (
            "[[port]]\nport='a'\nkind='tap'",
            "lab.toml:3: port[1]: port and kind exclude one another",
        ),
        ("[[listen]]\nkind='tap'\naddress='/a'", "lab.toml:1: listen[1]: not a place to listen"),
        (
            "[[listen]]\nkind='qemu'\naddress='/a/b'\nmode=0o660",
            'lab.toml:4: listen[1].mode is text, as "0660", not 432',
        ),
        ("[[port]]\nname='a'\n[[port]]\nname='a'", "lab.toml:3: port a is given twice"),
        (
            "[[port]]\nname='a'\nmac='02:00:00:00:00:01'\n[[port]]\nname='b'\n\n"
            "[[port]]\nname='c'\nmac='02:00:00:00:00:01'",
            "lab.toml:7: ports a and c have the same address 02:00:00:00:00:01",
        ),
        (
            "[[port]]\nname='a'\n[[station]]\nmac='02:00:00:00:00:01'\nport='b'",
            "lab.toml:3: station 02:00:00:00:00:01 is behind b, which is no port",
        ),
        (
            "[[listen]]\nkind='qemu'\naddress='/a'\n[[listen]]\nkind='qemu'\naddress='/a'",
            "lab.toml:4: --listen qemu:/a is given twice",
        ),
        ("[port]\nname='a'", "lab.toml:1: port is a table for each: [[port]]"),
        ("[[switch]]", "lab.toml:1: switch is a table: [switch]"),
        ("[prot]", "lab.toml:1: unknown table 'prot'"),
        ("a = 1\na = 2", "lab.toml:2: cannot overwrite a value"),
        ("[switch]\nname", "lab.toml:2: expected '=' after a key in a key/value pair"),
        ("[switch]\r\nname='a'\r\nmtu=1\r\n", "lab.toml:3: switch.mtu must be in 68..65521, not 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_file_line_and_key(text, sentence):
    assert refusal(text) == sentence


def test_every_mistake_is_said_at_once():
    text = "[switch]\nmtu=1\nx=1\n[[port]]\nname='a'\nqueues=0\nmtu=1\n[[port]]\nname='b'\nmac='c'"

    lines = refusal(text).splitlines()

    assert [line.split(":")[1] for line in lines] == ["2", "3", "6", "7", "10"]
    assert "(options are: name, ageing" in lines[1]


def test_a_mistake_in_the_thousandth_port_is_found_in_its_line():
    text = "".join(f"[[port]]\nname = 't{i}'\n\n" for i in range(1000)) + "mtu = 1\n"

    assert refusal(text).startswith("lab.toml:3001: port[1000].mtu")


def test_a_value_of_many_lines_stands_where_it_begins():
    document = Document("a", 'x = 1\n\ny = [\n1,\n2,\n]\nz = """\ny = 3\n"""\n')

    assert [document.place(key) for key in "xyz"] == ["a:1", "a:3", "a:7"]


def test_a_folder_is_one_configuration_in_order_of_name(tmp_path):
    (tmp_path / "20-b.toml").write_text("[[port]]\nname = 'b'\n")
    (tmp_path / "10-a.toml").write_text("[switch]\nname = 'lab'\n[[port]]\nname = 'a'\n")
    (tmp_path / "notes.txt").write_text("not TOML")
    (tmp_path / ".hidden.toml").write_text("not TOML")

    said = configfile.load(tmp_path).config()

    assert (said.name, [port.name for port in said.ports]) == ("lab", ["a", "b"])


def test_what_is_said_once_is_not_said_in_two_files(tmp_path):
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text("[switch]\nmtu = 9000\n")

    with pytest.raises(ConfigError) as caught:
        configfile.load(tmp_path)

    assert str(caught.value) == (
        f"{tmp_path}/b.toml:2: switch.mtu is given in {tmp_path}/a.toml:2, too"
    )


def test_a_folder_without_files_and_a_file_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no \*\.toml is in that folder"):
        configfile.load(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        configfile.load(tmp_path / "a.toml")


def test_bytes_that_are_no_text_are_refused_with_their_line(tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(b"[switch]\nname = '\xff'\n")

    with pytest.raises(ConfigError, match=r"a\.toml:2: not UTF-8"):
        configfile.load(path)


def test_the_command_line_wins():
    file = configfile.loads("[switch]\nmtu=9000\nageing=5\n[[port]]\nname='a'\n[[port]]\nname='b'")

    both = file.with_({"mtu": 1500}, [PortConfig.parse("tap:b"), PortConfig.parse("c")]).config()

    assert (both.mtu, both.ageing_s) == (1500, 5)
    assert [(p.name, p.kind) for p in both.ports] == [("a", "auto"), ("b", "tap"), ("c", "auto")]


def test_every_option_has_a_form_in_a_file():
    options = [*OPTIONS.values(), *switchconfig.OPTIONS.values()]

    assert {form(option).name for option in options} == {form.name for form in FORMS.values()}


def test_every_option_of_a_kind_is_known():
    kinds = [*KINDS.values(), *LISTENERS.values()]

    assert {key for kind in kinds for key in kind.options} == set(OPTIONS)
