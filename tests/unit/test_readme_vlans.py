"""The example of README.md's section about VLANs: every line, and what it prints."""

import re
import shlex
from pathlib import Path

from support.frames import BROADCAST, frame, mac
from support.served import served
from vswitch import FakeClock, MemoryPort, cli
from vswitch.config import SwitchConfig
from vswitch.portconfig import VLAN_OPTIONS, PortConfig
from vswitch.service import Service

SECTION = (
    (Path(__file__).parents[2] / "README.md")
    .read_text()
    .split("\n## VLANs\n", 1)[1]
    .split("\n## ", 1)[0]
)
EXAMPLE, PROVIDER = re.findall(r"```console\n(.*?)```", SECTION, re.DOTALL)


# Those of bridge(8), and what is to be done at a limit.
FLAGS = (
    *("isolated", "hairpin", "flood", "mcast-flood", "bcast-flood", "locked", "mab"),
    *("backup", "limit-drop"),
)


def tagged(data: bytes, tag: str) -> bytes:
    return data[:12] + bytes.fromhex(tag) + data[12:]


def steps():
    """(words of a command, what it prints), in their order; the first one starts the switch."""
    for line in re.split(r"^[#$] vswitch ", EXAMPLE, flags=re.MULTILINE)[1:]:
        command, _, printed = line.partition("\n")
        yield shlex.split(command, comments=True), printed


def test_every_line_does_what_it_says(tmp_path, capsys):
    (start, _), *others = steps()
    ports = [PortConfig.parse(text) for text in start[start.index("--port") + 1 :: 2]]
    name = start[start.index("--name") + 1]
    service = Service.made(SwitchConfig(name, ports=tuple(ports)), clock=FakeClock(1000))
    service._opener = lambda config: MemoryPort(config.name)
    with service.switch, served(service, tmp_path / "s") as path:
        service.open()
        for words, printed in others:
            assert words[:2] == ["-S", name]
            status = cli.main([*words[2:], "--api", str(path)])

            out, err = capsys.readouterr()
            assert (status, out, err) == (0, printed, ""), words


def test_a_provider_carries_what_its_customers_tag(lab):
    net = lab("tap0", "tap1", "eth1")
    for text in re.findall(r"--port (\S+)", PROVIDER):
        port = PortConfig.parse(text)
        net.switch.set_port(port.name, vlans=port.vlans)
    theirs = tagged(frame(BROADCAST, mac(1)), "81000005")

    assert net.send("tap0", theirs) == {"eth1": [tagged(theirs, "88a80064")]}
    assert net.send("eth1", tagged(theirs, "88a800c8")) == {"tap1": [theirs]}


def test_every_option_is_in_the_table():
    said = set(re.findall(r"`([a-z-]+)=", SECTION))

    # Those of one row are told apart by commas.
    said |= set(re.findall(r"[`,]([a-z-]+)=", SECTION))
    assert {*FLAGS, *VLAN_OPTIONS} <= said
