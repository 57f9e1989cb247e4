"""contrib/systemd: what systemd itself says of the units, without running them."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from support.sandbox import allowed
from vswitch import confinement
from vswitch.linux import privilege, seccomp

UNITS = Path(__file__).parents[2] / "contrib" / "systemd"
# Tenths: 2.5 of 10. What is left is the network, root without its power, and capset(2).
EXPOSED_MAX = 25


@pytest.fixture
def units(tmp_path):
    """The units of a switch called lab; the command is one that exists everywhere."""
    service = (UNITS / "vswitch@.service").read_text()
    stub = tmp_path / "vswitch"
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    for name in ("ExecStart", "ExecReload"):
        assert f"{name}=vswitch " in service
        service = service.replace(f"{name}=vswitch ", f"{name}={stub} ")
    (tmp_path / "vswitch@lab.service").write_text(service)
    (tmp_path / "vswitch@lab.socket").write_text((UNITS / "vswitch@.socket").read_text())
    return tmp_path


def analyze(units, *args):
    """(status, output) of systemd-analyze, which finds our units before the host's."""
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *args],
        capture_output=True, text=True, timeout=60, check=False, cwd=units,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:", "SYSTEMD_COLORS": "0"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def setting(name):
    """The values of a setting of the service, in order."""
    lines = (UNITS / "vswitch@.service").read_text().splitlines()
    return [value for key, _, value in (line.partition("=") for line in lines) if key == name]


def test_systemd_has_nothing_to_say_against_the_units(units):
    assert analyze(units, "verify", "vswitch@lab.service", "vswitch@lab.socket") == (0, "")


def test_the_service_is_hardly_exposed(units):
    status, said = analyze(
        units, "security", "--offline=yes", f"--threshold={EXPOSED_MAX}", "./vswitch@lab.service"
    )

    assert status == 0, said


def test_the_service_may_do_what_taps_need_and_no_more():
    names = {f"CAP_{name}": number for name, number in vars(privilege).items() if name.isupper()}
    [kept] = setting("CapabilityBoundingSet")
    assert {names[word] for word in kept.split()} == confinement.DEVICES
    assert setting("DeviceAllow") == ["/dev/net/tun rw"]


def test_the_service_says_when_it_is_ready():
    assert setting("Type") == ["notify"]
    assert shlex.split(setting("ExecReload")[0]) == ["vswitch", "reload", "-S", "%i"]


def test_the_service_may_call_what_gives_up_privileges_and_what_a_switch_calls():
    calls = allowed(UNITS / "vswitch@.service")
    # Of chown(2) and its kin the unit says who needs a drop-in; no thread of ours has a CPU of its
    # own, only those of libraries want one, and do without.
    denied = {"chown", "fchown", "lchown", "fchownat", "sched_setaffinity"}

    assert {"capset", "capget", "prctl", "seccomp"} <= calls
    assert {*seccomp.ALLOWED, "clone", "socket"} - denied <= calls
