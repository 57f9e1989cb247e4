"""The README's section about limits says what is."""

import json
import re
import shlex
from pathlib import Path

from vswitch.cli import link
from vswitch.control.schema import PortChange
from vswitch.portconfig import LIVE, METERS, PortConfig

SECTION = (
    (Path(__file__).parents[2] / "README.md")
    .read_text()
    .split("## Storm control, policing, shaping", 1)[1]
    .split("\n## ", 1)[0]
)
EXAMPLE = re.search(r"```console\n(.*?)```", SECTION, re.DOTALL)[1]


def test_every_option_is_in_the_table():
    table = "\n".join(line for line in SECTION.splitlines() if line.startswith("|"))

    assert set(re.findall(r"`([a-z-]+)=", table)) == set(METERS)


def test_the_ports_of_the_example_can_be():
    ports = re.findall(r"--port (\S+)", EXAMPLE)

    assert [PortConfig.parse(text).name for text in ports] == ["tap0", "tap1"]


def test_what_the_example_changes_can_be_changed():
    changes = re.findall(r"link set (dev .*?) *(?:#.*)?\n", EXAMPLE)
    [body] = re.findall(r"-d ('.*?')", EXAMPLE)

    assert len(changes) == 2
    for change in changes:
        assert link.SET.read(tuple(change.split())).get("dev") == "tap0"
    for field, value in json.loads(shlex.split(body)[0]).items():
        assert field in PortChange.__struct_fields__
        assert LIVE[field].check(field, value) == value
