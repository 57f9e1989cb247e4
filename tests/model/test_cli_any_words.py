"""Whatever is typed ends in a documented status, and in one sentence if it is not 0."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.fake_api import FakeApi
from vswitch import cli
from vswitch.cli import _screen
from vswitch.control import address, client
from vswitch.errors import ConfigError

OBJECTS = (
    "fdb", "link", "port", "vlan", "mdb", "show", "top", "help", "completion", "f", "l", "r",
    "qemu-args", "libvirt-xml", "docker-args",
)  # fmt: skip
WORDS = (
    "show", "add", "del", "replace", "flush", "stats", "set", "list", "s", "st", "help", "dev",
    "tap0", "tap1", "nix", "br", "lab", "brport", "vlan", "0", "7", "4095", "state", "static",
    "dynamic", "permanent", "nostatic", "master", "self", "02:00:00:00:00:01", "1:2", "learning",
    "on", "off", "forwarding", "blocking", "fdb-limit", "-1", "isolated", "cost", "qemu:vm",
    "tap2,mtu=9000", "fd:3", "bash", "fish", "", " ", "-", "--", "=",
)  # fmt: skip
OPTIONS = (
    "-j", "-s", "-p", "-d", "-js", "-json", "-stat", "-S", "lab", "other", "--api", "/nowhere",
    "--format", "ovs", "brctl", "--may-exist", "--if-exists", "--listen", "--port", "--mac", "-n",
    "1", "--sort", "rx", "--frob", "-x", "-h", "--help", "--version", "-S=", "-Slab",
)  # fmt: skip
JUNK = st.text(st.characters(exclude_characters="\0"), max_size=6)
ANY = st.one_of(st.sampled_from(WORDS), st.sampled_from(OPTIONS), JUNK)


@st.composite
def lines(draw: st.DrawFn) -> list[str]:
    """Mostly an object, a command and words; options anywhere. None of them runs a switch."""
    before = draw(st.lists(st.sampled_from(OPTIONS), max_size=2))
    first = draw(st.sampled_from(OBJECTS))
    return [*before, first, *draw(st.lists(ANY, max_size=7))]


@pytest.fixture(scope="module")
def patched():
    """No switch is asked or run, no time passes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(_screen.Keys, "wait", interrupted)  # top goes on until then
        monkeypatch.setattr("vswitch.daemon.run", not_here)
        yield monkeypatch


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def not_here(*_: object, **__: object) -> None:
    raise ConfigError("no switch is run here")


def run(argv: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(argv)
    return status, out.getvalue(), err.getvalue()


@settings(
    max_examples=examples(150), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(argv=lines(), refuses=st.sampled_from([None, "exists", "not-found", "refused"]))
def test_any_line_ends_in_a_documented_status(patched, argv, refuses):
    api = FakeApi(fdb=[{"mac": "02:00:00:00:00:01", "port": "tap0", "age_s": 3}])
    for method in ("POST", "PUT", "PATCH", "DELETE") if refuses else ():
        api.refuse(method, str(refuses), "the switch says no")
    patched.setattr(address, "running", lambda *_, **__: {"lab": "/nowhere/lab.sock"})
    patched.setattr(client, "_UnixConnection", lambda *_: api)

    status, out, err = run(argv)

    said = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert status in (0, 1, 2, 130)
    assert "Traceback" not in err
    if status == 2:
        assert api.changes == []
    if status in (1, 2):
        assert out == ""
        assert said[0].startswith("vswitch: ")
        assert len(said) == 1 or (len(said) == 2 and said[1].startswith("hint: "))
