"""Each check on made-up facts: it fires for its fault, and is silent on a healthy host."""

import json
from dataclasses import replace

import msgspec
import pytest

from support.fake_api import SETTINGS
from support.served import served
from vswitch import cli
from vswitch.control import address
from vswitch.control.schema import FdbEntry, PortInfo
from vswitch.doctor import CHECKS, Device, Facts, Holder, Host, SwitchFacts, diagnose, gather

API = "/run/vswitch/lab.sock"
MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
QEMU = Holder(77, "qemu-system-x86")


def port(name, **options):
    given = {
        "number": 0, "kind": "tap", "end": "file", "driver": "tap", "address": "", "remote": "",
        "ips": [], "created": False, "state": "forwarding", **SETTINGS,
        "mtu": 1500, "queues": 1, "queues_used": 1, "vnet_header": True,
        "offloads": ["csum"], "stations": 0, "counters": {"rx_frames": 1000, "tx_frames": 1000},
        "drops": {"rx_full": 0, "tx_full": 0},
    }  # fmt: skip
    return msgspec.convert(given | {"name": name} | options, PortInfo)


def netdev(name, **options):
    return port(name, **{"kind": "netdev", "end": "interface", "driver": "veth"} | options)


def facts(*ports, devices=(), holders=None, host=(), switch=()):
    """A switch called lab with *ports*; *devices* are put over those of a and b."""
    ours = Holder(42, "vswitch")
    usual = (
        Device("a", 1, MAC_A, kind="tun", owner=0),
        Device("b", 2, MAC_B, kind="tun", owner=0),
    )
    made = Host(
        devices={device.name: device for device in (*usual, *devices)},
        holders={"a": (ours,), "b": (ours,)} if holders is None else holders,
        **dict(host),
    )
    lab = SwitchFacts(
        "lab", API, pid=42, ports=ports or (port("a"), port("b")),
        files=(20, 1024),
    )  # fmt: skip
    return Facts(made, (replace(lab, **dict(switch)),))


def port_(verb, spelled):
    return f"vswitch port {verb} --api {API} -- {spelled}"


def found(given):
    """(check, severity, port, fix) of everything that is found."""
    return [(f.check, f.severity, f.port, f.fix) for f in diagnose(given).findings]


def test_a_healthy_host_has_no_findings_and_every_check_was_made():
    report = diagnose(facts())

    assert (report.findings, report.wrong, report.checks) == ((), False, len(CHECKS))


def test_a_host_without_a_switch_is_healthy():
    assert found(Facts(Host())) == []


def test_a_healthy_netdev_port_has_no_findings():
    devices = [Device("a", 1, MAC_A, kind="veth", below=9), Device("p", 9, kind="veth", below=1)]

    assert found(facts(netdev("a"), port("b"), devices=devices)) == []


SERVICE = {
    "said": "trunk=10,tag-type=802.1ad", "mode": "trunk", "pvid": None, "tagged": "10",
    "untagged": "", "accept": "all", "ingress_filter": True, "tag_type": "802.1ad",
    "translate": [],
}  # fmt: skip
VETH = [Device("b", 2, MAC_B, kind="veth", below=9), Device("p", 9, kind="veth", below=2)]


@pytest.mark.parametrize(
    "ports",
    [
        (port("a"), netdev("b", vlans=SERVICE, mtu=1504)),
        (port("a"), port("b", vlans=SERVICE)),
        (port("a"), netdev("b", vlans=SERVICE | {"tag_type": "802.1Q"})),
        (port("a"), netdev("b", vlans=SERVICE | {"tagged": "", "untagged": "10"})),
    ],
    ids=["room", "file end", "802.1Q", "no tags"],
)
def test_a_tag_with_room_is_no_finding(ports):
    assert found(facts(*ports, devices=VETH if ports[1].end == "interface" else ())) == []


FAULTS = {
    "no node": (
        facts(host={"tun": "missing"}),
        ("tun", "error", "", "modprobe tun"),
    ),
    "node refused": (
        facts(host={"tun": "refused"}),
        ("tun", "error", "", "sudo chmod 0666 /dev/net/tun"),
    ),
    "no TAP and no capability": (
        facts(host={"net_admin": False, "user": "eve", "uid": 7}),
        ("capabilities", "note", "", "sudo ip tuntap add dev tap0 mode tap user eve "
         "&& sudo ip link set dev tap0 up"),
    ),
    "no packet sockets": (
        facts(host={"net_raw": False}),
        ("capabilities", "note", "", ""),
    ),
    "a dead socket": (
        facts(host={"dead": ("/run/vswitch/old.sock",)}),
        ("leftovers", "warning", "", "rm /run/vswitch/old.sock"),
    ),
    "a TAP of nobody": (
        facts(devices=[Device("c", 3, kind="tun", persistent=True, carrier=False)]),
        ("leftovers", "note", "", "ip link del dev c"),
    ),
    "hardly a descriptor left": (
        facts(switch={"files": (1000, 1024)}),
        ("limits", "warning", "", "prlimit --pid 42 --nofile=65536:65536"),
    ),
    "hardly an asynchronous operation left": (
        facts(host={"aio": (65000, 65536)}),
        ("limits", "warning", "", "sysctl -w fs.aio-max-nr=1048576"),
    ),
    "no answer": (
        facts(switch={"silent": "did not answer", "ports": ()}),
        ("answers", "error", "", ""),
    ),
    "two hold the file end": (
        facts(holders={"a": (Holder(42, "vswitch"), QEMU)}),
        ("holders", "error", "a", "kill 77"),
    ),
    "nobody holds the file end": (
        facts(netdev("a", driver="tap"), port("b"), holders={},
              devices=[Device("a", 1, MAC_A, kind="tun", carrier=False)]),
        ("holders", "warning", "a",
         f"{port_('del', 'a')} && {port_('add', 'tap:a')}"),
    ),
    "down": (
        facts(devices=[Device("a", 1, MAC_A, kind="tun", up=False)]),
        ("carrier", "warning", "a", "ip link set dev a up"),
    ),
    "the other end is down": (
        facts(netdev("a"), port("b"), devices=[
            Device("a", 1, MAC_A, kind="veth", below=9, carrier=False),
            Device("p", 9, kind="veth", below=1, up=False)]),
        ("carrier", "warning", "a", "ip link set dev p up"),
    ),
    "a cable is missing": (
        facts(netdev("a", driver="e1000e"), port("b"),
              devices=[Device("a", 1, MAC_A, carrier=False)]),
        ("carrier", "warning", "a", ""),
    ),
    "gone": (
        facts(port("c", state="gone"), port("a")),
        ("carrier", "error", "c", port_("del", "c")),
    ),
    "an address on a device": (
        facts(netdev("a"), port("b"),
              devices=[Device("a", 1, MAC_A, addresses=("10.0.0.1/24",))]),
        ("host-address", "warning", "a", "ip addr flush dev a"),
    ),
    "in a bridge": (
        facts(netdev("a"), port("b"), devices=[
            Device("a", 1, MAC_A, master="br"), Device("br", 9, kind="bridge")]),
        ("bridged", "error", "a", "ip link set dev a nomaster"),
    ),
    "a firewall behind a port": (
        facts(host={"bridge_hooks": ("bridge-nf-call-iptables",)}, devices=[
            Device("a", 1, MAC_A, kind="tun", master="br"), Device("br", 9, kind="bridge")]),
        ("br_netfilter", "warning", "a", "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
    ),
    "a firewall behind a veth": (
        facts(netdev("a"), port("b"), host={"bridge_hooks": ("bridge-nf-call-iptables",)}, devices=[
            Device("a", 1, MAC_A, kind="veth", below=9),
            Device("p", 9, kind="veth", below=1, master="br"), Device("br", 8, kind="bridge")]),
        ("br_netfilter", "warning", "a", "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
    ),
    "wireless": (
        facts(netdev("a"), port("b"), devices=[Device("a", 1, MAC_A, wireless=True)]),
        ("wireless", "warning", "a", port_("del", "a")),
    ),
    "not read in time": (
        facts(port("a", drops={"rx_full": 500}), port("b")),
        ("drops", "warning", "a", ""),
    ),
    "a few not read in time": (
        facts(port("a", drops={"rx_full": 1}), port("b")),
        ("drops", "note", "a", ""),
    ),
    "not sent": (
        facts(port("a", drops={"tx_full": 500}), port("b")),
        ("drops", "warning", "a", ""),
    ),
    "not kept": (
        facts(devices=[Device("a", 1, MAC_A, kind="tun", tx_dropped=500)]),
        ("drops", "warning", "a", "ip link set dev a txqueuelen 10000"),
    ),
    "not kept, perhaps before": (
        facts(devices=[Device("a", 1, MAC_A, kind="tun", tx_dropped=500, txqueuelen=10000)]),
        ("drops", "note", "a", ""),
    ),
    "a shorter MTU": (
        facts(port("a"), port("b"), port("vm", kind="qemu", end="", mtu=1400)),
        ("mtu", "warning", "vm", f"vswitch link set --api {API} -- dev vm mtu 1500"),
    ),
    "a longer MTU": (
        facts(port("a"), port("b", mtu=9000)),
        ("mtu", "warning", "b", "ip link set dev b mtu 1500"),
    ),
    "no room for a service tag": (
        facts(port("a"), netdev("b", vlans=SERVICE), devices=VETH),
        ("mtu", "warning", "b", "ip link set dev b mtu 1504"),
    ),
    "a backup that is none": (
        facts(port("a", backup="c"), port("b", backup="a")),
        ("backup", "warning", "a", f"vswitch link set --api {API} -- dev a nobackup_port"),
    ),
    "offloads at one end": (
        facts(port("a"), port("b", offloads=[])),
        ("offloads", "note", "b", f"{port_('del', 'b')} && {port_('add', 'b')}"),
    ),
    "two devices with one address": (
        facts(devices=[Device("b", 2, MAC_A, kind="tun")]),
        ("duplicates", "error", "b", "ip link set dev b address 02:3e:23:e8:16:00"),
    ),
    "our address elsewhere": (
        facts(switch={"stations": (FdbEntry(MAC_A, "b"),)}),
        ("duplicates", "error", "b", "ip link set dev a address 02:ca:97:81:12:ca"),
    ),
    "an IP address twice": (
        facts(port("a", kind="local"), port("b"), devices=[
            Device("a", 1, MAC_A, kind="tun", addresses=("10.0.0.1/24",)),
            Device("eth0", 9, addresses=("10.0.0.1/8",))]),
        ("duplicates", "error", "a", "ip addr del 10.0.0.1/8 dev eth0"),
    ),
    "two ports in a bridge": (
        facts(devices=[
            Device("a", 1, MAC_A, kind="tun", master="br"),
            Device("b", 2, MAC_B, kind="tun", master="br"), Device("br", 9, kind="bridge")]),
        ("loop", "error", "b", "ip link set dev b nomaster"),
    ),
    "both ends of a veth": (
        facts(netdev("a"), netdev("b"), devices=[
            Device("a", 1, MAC_A, kind="veth", below=2),
            Device("b", 2, MAC_B, kind="veth", below=1)]),
        ("loop", "error", "b", port_("del", "b")),
    ),
    "macvlans of one device": (
        facts(netdev("a"), netdev("b"), devices=[
            Device("a", 1, MAC_A, kind="macvlan", below=9),
            Device("b", 2, MAC_B, kind="macvlan", below=9), Device("eth0", 9)]),
        ("loop", "error", "b", port_("del", "b")),
    ),
    "a macvlan and its parent": (
        facts(netdev("a"), netdev("b"), devices=[
            Device("a", 1, MAC_A), Device("b", 2, MAC_B, kind="macvlan", below=1)]),
        ("loop", "error", "b", port_("del", "b")),
    ),
    "stations that move": (
        facts(switch={"moved": 5000, "uptime_s": 60}),
        ("loop", "warning", "", ""),
    ),
    "holders not to be seen": (
        facts(host={"sees_all": False}),
        ("holders", "note", "", "sudo vswitch doctor --api /run/vswitch/lab.sock"),
    ),
    "files not to be seen": (
        facts(switch={"files": None}),
        ("limits", "note", "", "sudo vswitch doctor --api /run/vswitch/lab.sock"),
    ),
    "another namespace": (
        facts(switch={"here": False}),
        ("devices", "note", "", "nsenter --net=/proc/42/ns/net "
         "vswitch doctor --api /run/vswitch/lab.sock"),
    ),
    "a device that was moved": (
        facts(port("a"), port("c")),
        ("devices", "note", "", ""),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_nothing_else(fault):
    given, finding = FAULTS[fault]

    assert found(given) == [finding]


def test_every_check_has_a_fault_that_it_alone_finds():
    silent = {
        check.__name__
        for check in CHECKS
        if not any(list(check(given)) for given, _ in FAULTS.values())
    }

    assert silent == set()


HARMLESS = {
    "his own TAP": facts(host={"net_admin": False, "net_raw": False}),
    "a TAP that is kept for a user": facts(
        devices=[Device("c", 3, kind="tun", persistent=True, carrier=False, owner=1000)]
    ),
    "a TAP of another pid namespace": facts(devices=[Device("c", 3, kind="tun", persistent=True)]),
    "a bridge with STP": facts(
        devices=[
            Device("a", 1, MAC_A, kind="tun", master="br"),
            Device("b", 2, MAC_B, kind="tun", master="br"),
            Device("br", 9, kind="bridge", stp=True),
        ]
    ),
    "a firewall, and no bridge behind a port": facts(
        host={"bridge_hooks": ("bridge-nf-call-iptables",)}
    ),
    "sockets, which never have offloads": facts(
        port("a"), port("vm", kind="qemu", end="", driver="", offloads=[])
    ),
    "an address on a TAP": facts(
        devices=[Device("a", 1, MAC_A, kind="tun", addresses=("10.0.0.1/24",))]
    ),
    "an IP address twice, and not ours": facts(
        devices=[
            Device("x", 8, addresses=("10.0.0.1/24",)),
            Device("y", 9, addresses=("10.0.0.1/24",)),
        ]
    ),
    "machines that migrate": facts(switch={"moved": 90, "uptime_s": 10}),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_no_fault_is_not_found(case):
    assert found(HARMLESS[case]) == []


def test_the_worst_comes_first_and_decides():
    given = facts(port("a", drops={"rx_full": 1}), port("b", mtu=9000), host={"tun": "missing"})

    report = diagnose(given)

    assert [f.severity for f in report.findings] == ["error", "warning", "note"]
    assert report.wrong


def test_a_loop_comes_before_what_it_looks_like():
    bridge = Device("br0", 9, kind="bridge")
    ends = [
        Device("a", 1, mac="02:00:00:00:00:0a", master="br0"),
        Device("b", 2, mac="02:00:00:00:00:0b", master="br0"),
    ]
    heard = FdbEntry("02:00:00:00:00:0a", "b", age_s=1)
    given = facts(port("a"), port("b"), devices=(*ends, bridge), switch={"stations": (heard,)})

    assert [check for check, *_ in found(given)] == ["loop", "duplicates"]


def test_an_ordinary_user_is_given_a_command_with_sudo():
    given = facts(port("a"), port("b", mtu=9000), host={"uid": 7})

    assert found(given) == [("mtu", "warning", "b", "sudo ip link set dev b mtu 1500")]


def test_notes_alone_are_nothing_wrong():
    assert not diagnose(facts(host={"net_raw": False})).wrong


# ---------------------------------------------------------------------- the command


@pytest.fixture
def doctor(capsys, monkeypatch):
    """Run ``vswitch doctor`` over made-up facts; (status, standard output, standard error)."""

    def run(given, *argv):
        monkeypatch.setattr("vswitch.doctor.gather", lambda *_, **__: given)
        status = cli.main(["doctor", *argv])
        return status, *capsys.readouterr()

    return run


def test_the_command_says_how_much_it_checked(doctor):
    assert doctor(facts()) == (0, f"nothing found: {len(CHECKS)} checks\n", "")
    assert doctor(facts(), "-j") == (0, "[]\n", "")


def test_the_command_prints_a_line_to_paste_below_each_finding(doctor):
    assert doctor(facts(port("a"), port("b", mtu=9000))) == (
        1,
        "warning: b has MTU 9000, other ports have 1500: what it lets in is too long for others\n"
        "    ip link set dev b mtu 1500\n",
        "",
    )


def test_the_command_says_who_holds_a_tap(doctor):
    given = facts(netdev("a", driver="tap"), port("b"), holders={"a": (QEMU,)})

    status, out, _ = doctor(given)

    assert (status, out.splitlines()[1:]) == (0, ["a is held by qemu-system-x86 (pid 77)"])


def test_findings_as_json_have_all_keys(doctor):
    status, out, _ = doctor(facts(host={"net_raw": False}), "-j")

    assert status == 0
    assert [sorted(f) for f in json.loads(out)] == [
        ["check", "fix", "port", "severity", "switch", "text"]
    ]


@pytest.mark.parametrize("argv", [("a", "-S", "b"), ("a", "--api", "/x"), ("a/b",), ("--frob",)])
def test_bad_input_is_status_2(doctor, argv):
    status, out, err = doctor(facts(), *argv)

    assert (status, out) == (2, "")
    assert err.startswith("vswitch: ")


def test_a_switch_that_was_named_and_does_not_run_is_status_1(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(address, "directory", lambda: tmp_path)

    assert cli.main(["doctor", "nobody"]) == 1
    assert "no switch answers at" in capsys.readouterr().err


def test_a_switch_that_root_gave_to_a_user_is_found_by_its_name(lab, monkeypatch, tmp_path):
    monkeypatch.setattr(address, "directory", lambda: tmp_path)
    monkeypatch.setattr(address, "ROOT_DIR", tmp_path)
    with served(lab("a", "b").switch, tmp_path / "lab.sock") as made:
        (tmp_path / "alice").mkdir()
        path = made.rename(tmp_path / "alice" / "lab.sock")
        [switch] = gather("lab").switches

    assert (switch.name, switch.api, switch.silent) == ("lab", str(path), "")


def test_a_running_switch_is_asked_without_root(lab, monkeypatch, tmp_path):
    monkeypatch.setattr(address, "directory", lambda: tmp_path)
    with served(lab("a", "b").switch, tmp_path / "lab.sock"):
        [switch] = gather().switches

    assert (switch.name, [p.name for p in switch.ports]) == ("lab", ["a", "b"])
    assert (switch.here, switch.silent) == (True, "")
    assert switch.files[0] < switch.files[1]
