"""Leases outlive the switch: a real server and client, and a process that is started again."""

from __future__ import annotations

import os
import pwd
import signal
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.command import NOBODY, device, ip, running, vswitch
from support.dhcp import SERVER, get_address
from support.wait import wait_for

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]

USER = pwd.getpwuid(NOBODY).pw_name


@pytest.fixture
def net(netns):
    """A server and a client, in namespaces, and the names of the devices they are behind."""
    sides, names = [netns("server"), netns("client")], [device("u"), device("c")]
    for side, name in zip(sides, names, strict=True):
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", side.name)
        side.ip("link", "set", "eth0", "up")
        ip("link", "set", name, "up")
    yield sides, names
    for name in names:
        ip("link", "del", name)


@pytest.fixture
def state():
    """A folder that a switch without privileges can reach."""
    with TemporaryDirectory(prefix="vsw") as name:
        os.chmod(name, 0o755)
        folder = Path(name) / "state"
        folder.mkdir(0o755)
        yield folder


def options(names, file):
    uplink, client = names
    return (
        *("--port", f"{uplink},trusted=on", "--port", client),
        *("--dhcp-snooping", "--snooping-file", str(file), "--name", "lab"),
    )


def pings(client):
    said = client.run("ping", "-c2", "-i0.2", "-W1", SERVER, check=False)
    return " 0 received" not in said and "received" in said


@pytest.mark.parametrize("given", [[], ["--user", USER, "--seccomp", "on"]])
def test_a_client_goes_on_talking_after_a_restart(net, state, tmp_path, given):
    sides, names = net
    file = state / "lab.leases"
    os.chown(state, NOBODY if given else 0, -1)
    with running(*options(names, file), *given) as switch:
        get_address(*sides, tmp_path, ["busybox", "udhcpc"])
        wait_for(file.exists, "the lease is written")
        switch.end(signal.SIGKILL)
    found = file.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == (NOBODY if given else 0)

    with running(*options(names, file), *given, "--lock") as switch:
        assert pings(sides[1])
        assert len(switch.ask("guard", "show").splitlines()) == 2
        assert switch.end() == 0

    file.unlink()
    with running(*options(names, file), *given):
        assert not pings(sides[1])


def test_a_service_keeps_leases_with_its_state(net, state, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    sides, (uplink, client) = net
    given = ("--port", f"{uplink},trusted=on", "--port", client, "--dhcp-snooping", "--name", "lab")

    with running(*given) as switch:
        get_address(*sides, tmp_path, ["busybox", "udhcpc"])
        assert switch.end() == 0

    assert f" {client}\nend 1\n" in (state / "lab.leases").read_text()


def test_what_is_something_else_is_refused_before_anything_is_touched(net, state):
    file = state / "precious.toml"
    file.write_text("[[port]]\n")

    def refused(*given, file=file):
        status, out, err = vswitch("run", *options(net[1], file), *given)
        assert (status, out) == (2, "")
        return err

    assert f"vswitch: {file}: this is no file of leases\n" in refused()
    assert file.read_text() == "[[port]]\n"
    assert f"there is no folder {state}/no\n" in refused(file=state / "no" / "lab.leases")
    said = refused("--user", USER, file=state / "new")
    assert f"{state}: user {USER} cannot make files there\n" in said
