"""A private Open vSwitch in user space, put through scenarios; needs neither root nor devices.

Its ports are those of its own tests, ``dummy``: ovs-appctl hands frames in, captures say what came
out. Open vSwitch's words for ports are told in ovs-vswitchd.conf.db(5), under ``vlan_mode``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from support.vlan_scenario import Arrival, Outcome, Pinned, Place, Scenario, Sent
from support.wait import wait_for
from vswitch.portsettings import PortSettings
from vswitch.vlans import C_TAG, VidSet

PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
PCAP_HEADER, RECORD_HEADER = 24, struct.Struct("=IIII")  # length: third and fourth word
COMMAND_S = 20


def lacking() -> str:
    """What there is not here and Open vSwitch needs; empty if there is all."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    return f"needs openvswitch-switch ({' '.join(missing)})" if missing else ""


class OpenVswitch:
    """The bridge of a private instance in *folder*; another one for each scenario."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._played = 0
        self._name = "none"

    def play(self, scenario: Scenario) -> Outcome:
        """Let it all happen; AssertionError for what it has no words for."""
        assert all(isinstance(step, Arrival) for step in scenario.steps)
        self._played += 1
        self._vsctl(*self._words(scenario))
        for station in scenario.pinned:
            self._pin(station)
        captures = [Capture(self._capture(n)) for n in range(len(scenario.ports))]
        sent = tuple(self._receive(step, captures) for step in scenario.steps)
        return Outcome(sent, dict(self._stations()))

    def _words(self, scenario: Scenario) -> Iterator[str]:
        # Under its old name it would be the old one, and know its stations.
        old, self._name = self._name, f"br{self._played}"
        yield from ("--if-exists", "del-br", old, "--", "add-br", self._name, "--")
        yield from ("set", "bridge", self._name, "datapath_type=dummy", "fail_mode=standalone")
        for number, port in enumerate(scenario.ports):
            yield from ("--", "add-port", self._name, f"p{number}", *port_words(port, scenario))
            capture = f"options:tx_pcap={self._capture(number)}"
            yield from ("--", "set", "interface", f"p{number}", "type=dummy", capture)
            yield f"ofport_request={number + 1}"

    def _capture(self, number: int) -> Path:
        return self._folder / f"{self._played}-p{number}.pcap"

    def _pin(self, station: Pinned) -> None:
        self._appctl(
            "fdb/add", self._name, f"p{station.port}", str(station.vid), station.mac.hex(":")
        )

    def _receive(self, step: Arrival, captures: list[Capture]) -> Sent:
        self._appctl("netdev-dummy/receive", f"p{step.port}", step.frame.hex())
        # Its one thread reads frames between commands. Flows that it has made of what it knew are
        # thrown away, as it would take its time to look whether they are still right.
        self._appctl("version")
        self._appctl("revalidator/purge")
        return tuple(capture.more() for capture in captures)

    def _stations(self) -> Iterator[tuple[tuple[int, bytes], Place]]:
        for line in self._appctl("fdb/show", self._name).splitlines()[1:]:
            number, vid, mac, age = line.split()
            where = Place(int(number) - 1, age == "static")
            yield (int(vid), bytes.fromhex(mac.replace(":", ""))), where

    def _vsctl(self, *words: str) -> None:
        run("ovs-vsctl", f"--db=unix:{self._folder}/db.sock", "--timeout=20", *words)

    def _appctl(self, method: str, *params: str) -> str:
        """As ovs-appctl(8) does, without a program for each frame."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(COMMAND_S)
            connection.connect(f"{self._folder}/daemon.ctl")
            request = {"method": method, "params": params, "id": 0}
            connection.sendall(json.dumps(request).encode())
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
        reply = json.loads(answer)
        assert reply["error"] is None, f"{method} {params}: {reply['error']}"
        return reply["result"]


class Capture:
    """What is behind the end of a capture that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_to = PCAP_HEADER

    def more(self) -> tuple[bytes, ...]:
        """The frames recorded since the last call."""
        records = self._path.read_bytes()[self._read_to :]
        self._read_to += len(records)
        frames = []
        while records:
            length = RECORD_HEADER.unpack_from(records)[2]
            frames.append(records[RECORD_HEADER.size :][:length])
            records = records[RECORD_HEADER.size + length :]
        return tuple(frames)


def port_words(port: PortSettings, scenario: Scenario) -> list[str]:
    """The columns of a port; AssertionError if it has no words for it."""
    assert replace(port, vlans=None, isolated=False) == PortSettings()
    words = ["protected=true"] if port.isolated else []
    vlans = port.vlans
    if vlans is None:
        return words
    own = VidSet() if vlans.pvid is None else VidSet.of([vlans.pvid])
    assert vlans.untagged in (own, VidSet())
    assert vlans.members
    if vlans.pvid is not None:
        words.append(f"tag={vlans.pvid}")
    if vlans.members == own == vlans.untagged:
        mode = "access" if scenario.tag_type == C_TAG else "dot1q-tunnel"
        return [*words, f"vlan_mode={mode}"]
    mode = "native-untagged" if vlans.untagged else "native-tagged"
    mode = mode if own else "trunk"
    assert scenario.tag_type == C_TAG or mode == "trunk"
    return [*words, f"vlan_mode={mode}", f"trunks=[{','.join(map(str, vlans.members))}]"]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr}"


@contextmanager
def open_vswitch(folder: Path) -> Iterator[OpenVswitch]:
    """A private instance, with everything of it in *folder*; it is gone at the end."""
    variables = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
    env = os.environ | {variable: str(folder) for variable in variables}
    database, quiet = f"{folder}/conf.db", "-vconsole:off"
    run("ovsdb-tool", "create", database, str(SCHEMA))
    with ExitStack() as stack:

        def start(*command: str) -> None:
            process = subprocess.Popen(command, env=env)
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)

        remote = f"unix:{folder}/db.sock"
        start("ovsdb-server", database, f"--remote=p{remote}", quiet, f"--unixctl={folder}/db.ctl")
        wait_for(lambda: (folder / "db.sock").exists(), "the database")
        vsctl = ("ovs-vsctl", f"--db={remote}", "--timeout=20", "--no-wait")
        run(*vsctl, "init")
        run(*vsctl, "set", "Open_vSwitch", ".", "other_config:vlan-limit=0")
        alone = ("--enable-dummy", "--disable-system", "--disable-system-route")
        start("ovs-vswitchd", remote, *alone, quiet, f"--unixctl={folder}/daemon.ctl")
        wait_for(lambda: (folder / "daemon.ctl").exists(), "the daemon")
        yield OpenVswitch(folder)
