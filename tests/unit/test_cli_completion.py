"""What a Tab key finds: objects, commands, words, ports and switches."""

import os
import shlex
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete

from support.fake_api import FakeApi
from support.served import served
from vswitch import cli
from vswitch.cli import link
from vswitch.control import address, client

# How each shell is asked what the last word of a line could be. bash and zsh call the function with
# the words as their line editors do; of zsh's completion, only what it is told is looked at.
ASKED = {
    "bash": """\
eval "$(vswitch completion bash)"
COMP_WORDS=({line})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_vswitch_completion vswitch
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "zsh": """\
compdef() {{ completer=$1 }}
compadd() {{ print -l ${{(P)@[-1]}} }}
eval "$(vswitch completion zsh)"
words=({line})
CURRENT=$#words
$completer
""",
    "fish": """\
vswitch completion fish | source
complete -C "{line}"
""",
}


def completed(*words):
    """What the last of *words* could be."""
    shell = BashComplete(cli.command, {}, "vswitch", "_VSWITCH_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def api(monkeypatch, tmp_path):
    fake = FakeApi(mirrors=[{"name": "watch", "target": "tap1", "sources": ["tap0"]}])
    monkeypatch.setattr(address, "running", lambda *_, **__: {"lab": tmp_path / "lab.sock"})
    monkeypatch.setattr(client, "_UnixConnection", lambda *_: fake)
    return fake


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("fd", ["fdb"]),
        ("-j -s lin", ["link"]),
        ("fdb ", ["show", "stats", "history", "add", "replace", "del", "flush"]),
        ("f fl", ["flush"]),
        ("link set ", ["dev", *link.SETTINGS, "master", "self", "nobackup_port"]),
        ("link set dev ", ["tap0", "tap1"]),
        ("link set dev tap1", ["tap1"]),
        ("l set dev tap0 sta", ["state"]),
        ("link set dev tap0 state b", ["blocking"]),
        ("link set dev tap0 learning ", ["on", "off"]),
        ("link set dev tap0 backup_port ", ["tap0", "tap1"]),
        ("mirror del ", ["watch"]),
        ("run --loop-detect ", ["on", "report", "off"]),
        ("run --core p", ["python"]),
        ("fdb show br ", ["lab"]),
        ("fdb show -S ", ["lab"]),
        ("-S ", ["lab"]),
        ("fdb add 02:00:00:00:00:01 dev ", ["tap0", "tap1"]),
        ("port del ", ["tap0", "tap1"]),
        ("qemu-args t", ["tap0", "tap1"]),
        ("fdb show --for", ["--format"]),
        ("fdb show --format ", ["bridge", "brctl", "ovs"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("run --transp", ["--transparent"]),
        ("frob ", []),
        ("fdb frob ", []),
    ],
)
def test_words_are_completed(api, line, found):
    *before, last = line.split(" ")
    shown = completed(*before, last)

    assert shown == found
    assert api.changes == []


def test_without_a_switch_nothing_is_said(monkeypatch, tmp_path, capfd):
    monkeypatch.setattr(address, "directory", lambda: tmp_path)

    assert completed("fdb", "show", "dev", "") == []
    assert completed("-S", "") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("shell", "word"),
    [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --no-files")],
)
def test_the_script_of_a_shell_is_printed(capsys, shell, word):
    assert cli.main(["completion", shell]) == 0

    out, err = capsys.readouterr()
    assert word in out
    assert "_VSWITCH_COMPLETE" in out
    assert err == ""


@pytest.mark.parametrize("shell", ASKED)
@pytest.mark.parametrize(
    ("words", "found"),
    [("link set --api {api} dev l", ["left", "lower"]), ("completion z", ["zsh"])],
)
def test_a_shell_completes_words_and_ports_of_a_running_switch(lab, tmp_path, shell, words, found):
    program = tmp_path / "vswitch"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vswitch "$@"\n')
    program.chmod(0o755)
    made = lab("left", "lower", "right")
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": ":".join(sys.path),
        "HOME": str(tmp_path),
    }
    line = f"vswitch {words.format(api=tmp_path / 's')}"
    with served(made.switch, tmp_path / "s"):
        done = subprocess.run(
            [shell, *(["-f"] if shell == "zsh" else []), "-c", ASKED[shell].format(line=line)],
            capture_output=True, text=True, timeout=30, check=False,
            env=os.environ | given,
        )  # fmt: skip

    assert (done.stdout.split(), done.stderr) == (found, "")
