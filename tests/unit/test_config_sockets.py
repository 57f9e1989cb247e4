"""Ports and listeners over sockets and files, as the command line spells them."""

import math

import pytest

from vswitch.config import SwitchConfig
from vswitch.errors import ConfigError
from vswitch.portconfig import PortConfig


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("qemu:/tmp/vm.sock", {"name": "vm", "address": "/tmp/vm.sock"}),
        ("qemu:./passt_1.socket,name=net", {"name": "net", "address": "./passt_1.socket"}),
        ("qemu:/tmp/vm,retry=off", {"name": "vm", "address": "/tmp/vm", "retry": False}),
        ("qemu:192.0.2.1:1234", {"name": "tcp1234", "address": "192.0.2.1:1234"}),
        ("qemu:[::1]:1234,name=vm0", {"name": "vm0", "address": "[::1]:1234"}),
        (
            "dgram:/tmp/here,remote=/tmp/there,mode=600",
            {"name": "here", "address": "/tmp/here", "remote": "/tmp/there", "mode": 0o600},
        ),
        (
            "udp:127.0.0.1:5000,remote=[::1]:5001,mtu=9000",
            {"name": "udp5000", "address": "127.0.0.1:5000", "remote": "[::1]:5001", "mtu": 9000},
        ),
        ("vhost-user:/tmp/vm1.sock", {"name": "vm1", "address": "/tmp/vm1.sock"}),
        ("vhost-user:vm1,server", {"name": "vm1", "address": "vm1"}),
        ("vhost-user:vm1,server=off", {"name": "vm1", "address": "vm1", "client": True}),
        (
            "vhost-user:/tmp/vm1,client,queues=16,offloads=off,mtu=9000,name=web,fdb-limit=2",
            {
                "name": "web",
                "address": "/tmp/vm1",
                "client": True,
                "queues": 16,
                "offloads": False,
                "mtu": 9000,
                "fdb_limit": 2,
            },
        ),
        ("vhost-user:/tmp/vm1,mode=666", {"name": "vm1", "address": "/tmp/vm1", "mode": 0o666}),
        ("pcap:/tmp/in.pcap", {"name": "in", "address": "/tmp/in.pcap"}),
        (
            "pcap:a.pcapng,speed=2.5,loop=3,out=b.pcap",
            {"name": "a", "address": "a.pcapng", "speed": 2.5, "loop": 3, "out": "b.pcap"},
        ),
        ("pcap:x.cap,speed=max", {"name": "x.cap", "address": "x.cap", "speed": math.inf}),
        ("record:/dev/fd/3,name=tap9", {"name": "tap9", "address": "/dev/fd/3"}),
    ],
)
def test_a_port_without_a_device_has_an_address_and_a_name(text, facts):
    port = PortConfig.parse(text)

    assert port == PortConfig(kind=text.partition(":")[0], **facts)


def test_a_listener_names_its_ports_and_who_may_connect():
    place = PortConfig.parse_listener("qemu:/run/lan.sock,mode=0666,owner=root,group=0,fdb-limit=5")

    assert (place.name, place.address, place.mode) == ("lan", "/run/lan.sock", 0o666)
    assert (place.owner, place.group, place.fdb_limit) == (0, 0, 5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "vhost-user:/x,server,client",
            "port 'vhost-user:/x,server,client': server and client exclude one another",
        ),
        (
            "vhost-user:/x,client,client",
            "port 'vhost-user:/x,client,client': option 'client' is given twice",
        ),
        (
            "vhost-user:/x,client,mode=600",
            "port 'vhost-user:/x,client,mode=600': mode, owner and group are of a file "
            "that the front-end makes",
        ),
        (
            "vhost-user:/x,queues=17",
            "port 'vhost-user:/x,queues=17': queues must be in 1..16, not 17",
        ),
        (
            "vhost-user:",
            "port 'vhost-user:': bytes in the path of a socket must be in 1..107, not 0",
        ),
        (
            "vhost-user:/x/",
            "port 'vhost-user:/x/': such a folder is for many virtual machines, and a port for one",
        ),
        ("qemu:/x,queues=2", "port 'qemu:/x,queues=2': qemu has no option 'queues'"),
        ("qemu:/x,offloads=on", "port 'qemu:/x,offloads=on': qemu has no option 'offloads'"),
        ("qemu:/x,mode=600", "port 'qemu:/x,mode=600': qemu has no option 'mode'"),
        ("qemu:/x,pace=1", "port 'qemu:/x,pace=1': unknown option 'pace'"),
        ("qemu:/x,speed=1", "port 'qemu:/x,speed=1': qemu has no option 'speed'"),
        ("pcap:", "port 'pcap:': which file is missing"),
        ("record:", "port 'record:': which file is missing"),
        ("record:/x,loop=2", "port 'record:/x,loop=2': record has no option 'loop'"),
        ("pcap:/x,out=", "port 'pcap:/x,out=': out is empty"),
        ("pcap:/x,speed=0", "port 'pcap:/x,speed=0': speed: not a speed: '0'"),
        ("pcap:/x,speed=-1", "port 'pcap:/x,speed=-1': speed: not a speed: '-1'"),
        ("pcap:/x,speed=1e9", "port 'pcap:/x,speed=1e9': speed: not a speed: '1e9'"),
        ("pcap:/x,loop=x", "port 'pcap:/x,loop=x': loop: not a number: 'x'"),
        ("tap0,remote=/x", "port 'tap0,remote=/x': a device has no option 'remote'"),
        ("tap0,name=x", "port 'tap0,name=x': a device has no option 'name'"),
        ("dgram:/x", "port 'dgram:/x': whom to send to is missing"),
        ("udp:1.2.3.4:5", "port 'udp:1.2.3.4:5': whom to send to is missing"),
        ("udp:1.2.3.4,remote=a:1", "port 'udp:1.2.3.4,remote=a:1': not HOST:PORT: '1.2.3.4'"),
        ("udp:a:1,remote=b", "port 'udp:a:1,remote=b': remote: not HOST:PORT: 'b'"),
        ("udp:a:0,remote=b:1", "port 'udp:a:0,remote=b:1': not HOST:PORT: 'a:0'"),
        ("dgram:/x,remote=", "port 'dgram:/x,remote=': remote is empty"),
        (
            "dgram:/x,remote=/y,mode=9",
            "port 'dgram:/x,remote=/y,mode=9': mode: not the permissions of a file: '9'",
        ),
        ("dgram:/x,remote=/x", "port 'dgram:/x,remote=/x': remote is the port itself"),
        ("udp:a:1,remote=a:1", "port 'udp:a:1,remote=a:1': remote is the port itself"),
        (
            "dgram:/x,remote=/y,owner=4294967295",  # as -1, which chown(2) takes for "as it is"
            "port 'dgram:/x,remote=/y,owner=4294967295': owner must be in 0..4294967294, "
            "not 4294967295",
        ),
        (
            "dgram:/x,remote=/y,group=99999999999999",
            "port 'dgram:/x,remote=/y,group=99999999999999': group must be in 0..4294967294, "
            "not 99999999999999",
        ),
        (
            "dgram:/x,remote=/y,owner=no such",
            "port 'dgram:/x,remote=/y,owner=no such': owner: no such user: 'no such'",
        ),
        (
            "qemu:/a b",
            "port 'qemu:/a b': a port's name has 1 to 64 letters, digits, '_', '.' or '-', "
            "which 'a b' has not",
        ),
        ("qemu:", "port 'qemu:': not HOST:PORT: ''"),
        ("qemu:vm.sock", "port 'qemu:vm.sock': not HOST:PORT: 'vm.sock'"),
        ("qemu:/x,retry=3", "port 'qemu:/x,retry=3': retry is on or off, not '3'"),
        (
            f"qemu:/{'x' * 107}",
            f"port 'qemu:/{'x' * 107}': bytes in the path of a socket must be in 1..107, not 108",
        ),
    ],
)
def test_what_is_no_socket_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(ConfigError) as caught:
        PortConfig.parse(text)

    assert str(caught.value) == sentence


def test_a_listener_over_tcp_names_its_ports_after_its_own():
    place = PortConfig.parse_listener("qemu:127.0.0.1:1234")

    assert (place.name, place.address) == ("tcp1234", "127.0.0.1:1234")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tap0", "--listen 'tap0': not a place to listen"),
        ("dgram:/x", "--listen 'dgram:/x': not a place to listen"),
        ("qemu:lan.sock", "--listen 'qemu:lan.sock': not HOST:PORT: 'lan.sock'"),
        (
            "qemu:[::1]:5,mode=660",
            "--listen 'qemu:[::1]:5,mode=660': mode, owner and group are a file's, "
            "and TCP has none",
        ),
        ("qemu:/x,retry=on", "--listen 'qemu:/x,retry=on': qemu has no option 'retry'"),
        ("qemu:/x,remote=/y", "--listen 'qemu:/x,remote=/y': qemu has no option 'remote'"),
    ],
)
def test_what_is_no_place_to_listen_is_refused(text, sentence):
    with pytest.raises(ConfigError) as caught:
        PortConfig.parse_listener(text)

    assert str(caught.value) == sentence


def test_a_folder_names_the_ports_of_its_sockets():
    place = PortConfig.parse_listener("vhost-user:/tmp/lan/,queues=4,offloads=off,mode=600")

    assert (place.name, place.address, place.queues) == ("lan", "/tmp/lan/", 4)
    assert (place.offloads, place.mode) == (False, 0o600)


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        (
            "vhost-user:/tmp/lan",
            "--listen 'vhost-user:/tmp/lan': such a socket is for one virtual machine",
            "--port vhost-user:/tmp/lan, or --listen vhost-user:/tmp/lan/",
        ),
        (
            "vhost-user:/tmp/lan/,client",
            "--listen 'vhost-user:/tmp/lan/,client': vhost-user has",
            "",
        ),
        ("tap:x", "--listen 'tap:x': not a place to listen", "vhost-user:FOLDER/"),
    ],
)
def test_what_is_no_folder_is_told_a_way_out(text, sentence, hint):
    with pytest.raises(ConfigError) as e:
        PortConfig.parse_listener(text)

    assert str(e.value).startswith(sentence)
    assert hint in e.value.hint


@pytest.mark.parametrize("where", ["ports", "listeners"])
def test_the_core_in_python_has_no_vhost_user(where):
    place = PortConfig("vm", "vhost-user", address="/tmp/vm")

    with pytest.raises(ConfigError, match="--core python has no vhost-user"):
        SwitchConfig(core="python", **{where: (place,)})


@pytest.mark.parametrize(
    "text",
    ["udp:127.0.0.1:5000,name=a", "dgram:/a,name=a", "qemu:,name=a", "vhost-user:/a/,name=a"],
)
def test_a_name_excuses_no_address(text):
    with pytest.raises(ConfigError):
        PortConfig.parse(text)


def test_what_is_not_utf8_is_refused():
    with pytest.raises(ConfigError, match="not UTF-8"):
        PortConfig.parse("tap\udcff")
    with pytest.raises(ConfigError, match="out: not UTF-8"):
        PortConfig.parse("pcap:a.pcap,out=\udcff")
