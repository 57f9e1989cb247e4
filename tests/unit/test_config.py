"""What the command line may say, and the sentence for what it may not."""

import pytest

from vswitch import options
from vswitch.config import SwitchConfig, parse_forward
from vswitch.errors import ConfigError
from vswitch.portconfig import PortConfig


def refusal(call, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def test_a_port_is_a_tap_unless_it_says_otherwise():
    assert PortConfig.parse("tap0") == PortConfig(name="tap0", kind="auto")
    assert PortConfig.parse("tap:tap0") == PortConfig(name="tap0", kind="tap")
    assert PortConfig.parse("netdev:eth1,force") == PortConfig("eth1", kind="netdev", force=True)
    assert PortConfig.parse("eth1,force=off") == PortConfig("eth1")


def test_a_port_has_options_after_commas():
    port = PortConfig.parse("tap0,queues=4,mtu=9000,mac=02-00-00-00-00-01,fdb-limit=7,offloads=off")

    assert port == PortConfig(
        name="tap0", queues=4, mtu=9000, mac=bytes.fromhex("020000000001"), fdb_limit=7,
        offloads=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "port '': an interface name has 1 to 15 bytes, this one has 0"),
        ("a" * 16, f"port '{'a' * 16}': an interface name has 1 to 15 bytes, this one has 16"),
        ("üüüüüüüü", "port 'üüüüüüüü': an interface name has 1 to 15 bytes, this one has 16"),
        ("a/b", "port 'a/b': an interface name has no '/', ':', '%' or white space"),
        ("..", "port '..': an interface name has no '/', ':', '%' or white space"),
        ("a b", "port 'a b': an interface name has no '/', ':', '%' or white space"),
        ("tap:a:b", "port 'tap:a:b': an interface name has no '/', ':', '%' or white space"),
        ("foo:a", "port 'foo:a': unknown kind 'foo'"),
        ("a,pace=1", "port 'a,pace=1': unknown option 'pace'"),
        ("a,mtu", "port 'a,mtu': mtu: not a number: ''"),
        ("a,mtu=-1", "port 'a,mtu=-1': mtu must be in 68..65521, not -1"),
        ("a,mtu=67", "port 'a,mtu=67': mtu must be in 68..65521, not 67"),
        ("a,mtu=65522", "port 'a,mtu=65522': mtu must be in 68..65521, not 65522"),
        ("a,queues=0", "port 'a,queues=0': queues must be in 1..16, not 0"),
        ("a,offloads=no", "port 'a,offloads=no': offloads is on or off, not 'no'"),
    ],
)  # fmt: skip
def test_what_is_not_a_port_is_refused_in_one_sentence(text, sentence):
    assert refusal(PortConfig.parse, text) == sentence


@pytest.mark.parametrize("text", ["a" * 15, "a.b-c_d", "üüüüüüü"])
def test_names_that_the_kernel_takes_are_taken(text):
    assert PortConfig.parse(text).name == text


@pytest.mark.parametrize("mtu", [68, 65521])
def test_the_ends_of_the_mtu_range_are_in_it(mtu):
    assert PortConfig.parse(f"a,mtu={mtu}").mtu == mtu


def test_a_file_end_is_nobody_s_so_there_is_nothing_to_force():
    sentence = "port 'tap:tap0,force': tap has no option 'force'"

    assert refusal(PortConfig.parse, "tap:tap0,force") == sentence


@pytest.mark.parametrize(
    ("ports", "sentence"),
    [
        (
            ["a,mac=02:00:00:00:00:01", "local:b,mac=02-00-00-00-00-01"],
            "ports a and b have the same address 02:00:00:00:00:01",
        ),
        (
            ["record:x.pcap", "pcap:in.pcap,out=./x.pcap,name=b"],
            "ports x and b both record to ./x.pcap",
        ),
        (["record:in.pcap", "pcap:./in.pcap,name=b"],
         "in.pcap: what is replayed cannot be recorded to"),
    ],
)  # fmt: skip
def test_ports_that_exclude_one_another_are_refused(ports, sentence):
    assert refusal(SwitchConfig, ports=tuple(map(PortConfig.parse, ports))) == sentence


def test_the_same_place_to_listen_twice_is_refused():
    place = PortConfig.parse_listener("qemu:/x.sock")

    sentence = "--listen qemu:/x.sock is given twice"
    assert refusal(SwitchConfig, listeners=(place, place)) == sentence


def test_the_same_port_twice_is_refused():
    ports = (PortConfig("a"), PortConfig("b"), PortConfig("a"))

    assert refusal(SwitchConfig, ports=ports) == "port a is given twice"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("ageing_s", -1, "--ageing must be in 0..1000000, not -1"),
        ("fdb_limit", 0, "--fdb-limit must be in 1..4194304, not 0"),
        ("fdb_limit", 4194305, "--fdb-limit must be in 1..4194304, not 4194305"),
        ("mtu", 70000, "--mtu must be in 68..65521, not 70000"),
        ("pollers", 0, "--pollers must be in 1..64, not 0"),
        ("busy_poll_us", -1, "--busy-poll must be in 0..1000000, not -1"),
        ("core", "rust", "--core is c or python, not 'rust'"),
        ("name", "/", "--name '/': a switch's name has 1 to 64 letters, digits, '_', '.' or '-'"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(field, value, sentence):
    assert refusal(SwitchConfig, **{field: value}) == sentence


def test_the_readable_core_has_one_poller():
    assert refusal(SwitchConfig, core="python", pollers=2) == (
        "--core python has one poller, not 2"
    )


def test_reserved_addresses_are_named_or_numbered():
    assert parse_forward("stp,lldp,0x3,0a,F") == {0x0, 0xE, 0x3, 0xA, 0xF}
    assert parse_forward("") == frozenset()
    assert refusal(parse_forward, "stp,cdp") == "--forward: unknown reserved address 'cdp'"
    assert refusal(parse_forward, "10") == "--forward: unknown reserved address '10'"


@pytest.mark.parametrize("text", ["01:00:00:00:00:00", "00:00:00:00:00:00", "02:00:00:00:00", "x"])
def test_a_station_address_is_unicast_and_whole(text):
    refusal(options.mac, "mac", text)
