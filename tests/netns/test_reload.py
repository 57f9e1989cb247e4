"""A configuration file, SIGHUP and real TAPs: what stays is not touched."""

import json
import signal
from pathlib import Path

import pytest

from support.command import device, exists, ip, running
from support.wait import wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]


def facts(name):
    link = json.loads(ip("-j", "link", "show", name))[0]
    return link["ifindex"], link["mtu"]


@pytest.fixture
def three():
    return [device(word) for word in "abc"]


def test_sighup_changes_what_differs(three, tmp_path):
    file = Path(tmp_path, "lab.toml")
    a, b, c = three
    file.write_text(f"[switch]\nmtu = 1400\n[[port]]\nname = '{a}'\n[[port]]\nname = '{b}'\n")
    with running("--config", str(file), "--ageing", "9") as switch:
        index, mtu = facts(a)
        assert mtu == 1400

        file.write_text(f"[[port]]\nname = '{a}'\nmtu = 9000\n[[port]]\nname = '{c}'\n")
        switch.process.send_signal(signal.SIGHUP)

        wait_for(lambda: "reloaded changes=" in switch.err, "a reload")
        assert facts(a) == (index, 9000)
        assert (exists(b), exists(c)) == (False, True)
        assert "ageing = 9" in switch.ask("config", "show")

        file.write_text("[[port]]\nname = 1\n")
        switch.process.send_signal(signal.SIGHUP)

        wait_for(lambda: "not reloaded" in switch.err, "a refusal")
        assert f"{file}:2: port[1].name is text" in switch.err
        assert set(switch.ports()) == {a, c}
        assert switch.end() == 0


def test_a_device_that_cannot_be_leaves_the_others_as_they_were(three, tmp_path):
    file = Path(tmp_path, "lab.toml")
    a, b, _ = three
    file.write_text(f"[[port]]\nname = '{a}'\n")
    with running("--config", str(file)) as switch:
        before = facts(a)
        file.write_text(f"[[port]]\nname = '{b}'\n[[port]]\nkind = 'netdev'\nname = 'lo'\n")

        switch.process.send_signal(signal.SIGHUP)

        wait_for(lambda: "not reloaded" in switch.err, "a refusal")
        assert facts(a) == before
        assert not exists(b)
        assert set(switch.ports()) == {a}
