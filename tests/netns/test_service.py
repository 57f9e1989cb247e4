"""The switch as a service, with real devices: its watchdog, and the limits it runs in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.command import ROOT, device, devices, ip, ports, running, shout
from support.manager import fake_manager
from support.sandbox import confined
from support.tap import open_tap
from support.wait import wait_for

pytestmark = pytest.mark.netns

SERVICE = ROOT / "contrib" / "systemd" / "vswitch@.service"


@pytest.fixture
def quiet_tap():
    """A TAP into which the kernel says nothing by itself: (name, descriptor)."""
    name = device("q")
    fd = open_tap(name)
    Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
    ip("link", "set", name, "up")
    os.set_inheritable(fd, True)
    yield name, fd
    os.close(fd)


def test_the_watchdog_of_a_stuck_poller_is_not_fed(tmp_path, quiet_tap):
    name, fd = quiet_tap
    with fake_manager(tmp_path) as manager:
        before = manager.before(WATCHDOG_USEC=100_000)
        with running("--port", f"fd:{fd}", before=before, fds=[fd]) as switch:
            manager.until("WATCHDOG")
            os.set_blocking(fd, True)  # the switch has the same open file: its next read waits
            shout(name, frames=1)

            stuck = "poller-0 made no round within 1 s"
            assert manager.until("STATUS")[-1] == {"STATUS": stuck}
            assert manager.next() == {"STATUS": stuck}  # and not WATCHDOG=1
            assert switch.err.count(f"the watchdog is not fed: {stuck}") == 1

            os.set_blocking(fd, False)
            shout(name, frames=1)  # ends the read
            manager.until("WATCHDOG")
            assert switch.end() == 0


@pytest.mark.parametrize("core", ["c", "python"])
def test_a_switch_works_within_the_limits_of_its_service(core):
    names = [device("a"), device("b")]
    offloads = "" if core == "c" else ",offloads=off"
    given = [f"{name}{offloads}" for name in names]
    with running(*ports(*given), "--core", core, before=confined(SERVICE)) as switch:
        limits = Path(f"/proc/{switch.process.pid}/status").read_text().split("\n")
        assert {"Seccomp:\t2", "NoNewPrivs:\t1", "CapBnd:\t0000000000003800"} <= set(limits)
        assert "CapInh:\t0000000000000000" in limits  # given up by the switch, and nothing was kept
        for name in names:
            ip("link", "set", name, "up")
        wait_for(
            lambda: all(p["state"] == "forwarding" for p in switch.ports().values()),
            "both ports forwarding",
        )
        shout(names[0])

        wait_for(
            lambda: switch.ports()[names[1]]["counters"]["tx_frames"] >= 3, "frames at the other"
        )
        assert switch.end() == 0
        assert switch.err == ""
    assert devices() == set()
