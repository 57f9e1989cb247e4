"""README.md on who may enter: its commands, and the script that lets in who is in a file."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from support.frames import BROADCAST, frame
from support.lab import Lab
from support.served import served
from support.wait import wait_for
from vswitch import cli

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.split("\n## Who may enter\n", 1)[1].split("\n## ", 1)[0]
EXAMPLE = re.search(r"```console\n(.*?)```", SECTION, re.DOTALL)[1]
SCRIPT = re.search(r"```sh\n(.*?)```", SECTION, re.DOTALL)[1]
STATION = bytes.fromhex("525400123456")
STRANGER = bytes.fromhex("525400123457")


def test_every_line_does_what_it_says(tmp_path, capsys):
    lab = Lab("tap0", "tap1")
    with served(lab.switch, tmp_path / "s") as path:
        for line in re.split(r"^\$ vswitch ", EXAMPLE, flags=re.MULTILINE)[1:]:
            command, _, printed = line.partition("\n")
            if command.startswith("fdb show"):
                assert lab.send("tap0", frame(BROADCAST, STATION)) == {}

            status = cli.main([*shlex.split(command, comments=True), "--api", str(path)])

            assert (status, *capsys.readouterr()) == (0, printed, ""), command
            if command.startswith("fdb replace"):
                assert set(lab.send("tap0", frame(BROADCAST, STATION))) == {"tap1"}
    lab.close()


def test_the_script_lets_in_who_is_in_the_file(tmp_path):
    lab = Lab("tap0", "tap1")
    lab.switch.set_port("tap0", locked=True, mab=True)
    (tmp_path / "allowed").write_text("52:54:00:12:34:55\n52:54:00:12:34:56\n")
    command = tmp_path / "vswitch"
    with served(lab.switch, tmp_path / "s") as path:
        ours = shlex.join((sys.executable, "-m", "vswitch"))
        command.write_text(f'#!/bin/sh\nexec {ours} "$@" --api {shlex.quote(str(path))}\n')
        command.chmod(0o755)
        env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        script = subprocess.Popen(
            ["sh", "-c", SCRIPT], cwd=tmp_path, env=env, start_new_session=True
        )
        try:
            wait_for(lambda: lab.switch.observer._subscriptions, "the script watches")
            assert lab.send("tap0", frame(BROADCAST, STRANGER), frame(BROADCAST, STATION)) == {}
            wait_for(lambda: any(s.static for s in lab.switch.stations()), "it lets one in")
        finally:
            os.killpg(script.pid, signal.SIGTERM)
            script.wait()

    assert set(lab.send("tap0", frame(BROADCAST, STATION))) == {"tap1"}
    assert lab.send("tap0", frame(BROADCAST, STRANGER)) == {}
    lab.close()
