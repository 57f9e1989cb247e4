"""What is said about configuration files is so: the examples load, the list of keys is complete."""

import re
from pathlib import Path

import click
import pytest

from vswitch import cli, configfile
from vswitch import config as switchconfig
from vswitch.cli import config as command
from vswitch.cli import run
from vswitch.cli._settings import ELSEWHERE, run_defaults, run_options
from vswitch.portconfig import KINDS, LISTENERS

README = (Path(__file__).parents[2] / "README.md").read_text()


def example(text):
    """The indented lines that begin with a table."""
    start = re.search(r"^ *\[switch\]", text, re.MULTILINE).start()
    lines = text[start:].split("\n\n  [")[0].splitlines()
    ended = (i for i, line in enumerate(lines) if line and not line.startswith(" "))
    return "\n".join(lines[: next(ended, None)])


def readme_example():
    section = README.partition("### A configuration file")[2]
    return re.search(r"```toml\n(.*?)```", section, re.DOTALL)[1]


@pytest.mark.parametrize(
    "text",
    [readme_example(), example(command.HELP), example(configfile.__doc__)],
    ids=["README", "help", "docstring"],
)
def test_an_example_is_a_configuration(text):
    contents = configfile.loads(text)

    config = contents.config()

    assert config.name == "lab"
    assert len(config.ports) >= 2
    assert config.listeners
    assert run_defaults(click.Context(run.command), contents) == {"log_format": "json"}
    assert configfile.loads(configfile.dumps(config)).config() == config


def test_every_option_of_run_can_be_said_in_a_file():
    options = [param for param in run.command.params if isinstance(param, click.Option)]
    words = {option.opts[-1].removeprefix("--") for option in options}

    assert words == {*switchconfig.OPTIONS, *run_options(run.command), *ELSEWHERE}


def test_keys_lists_every_key_of_every_table(capsys):
    assert cli.main(["config", "keys"]) == 0

    out = re.sub(r"\n {18}", " ", capsys.readouterr().out)
    listed = {line[:18].strip(): set(line[18:].split()) for line in out.splitlines()}
    for kind, its in KINDS.items():
        head = "port" if kind == "auto" else f"port {kind}"
        assert listed.pop(head) >= set(its.options)
    for kind, its in LISTENERS.items():
        assert listed.pop(f"listen {kind}") >= set(its.options)
    assert listed == {
        "switch": set(switchconfig.OPTIONS),
        "station": set(switchconfig.STATION_OPTIONS),
        "mirror": {"name", "from", "vlan", "to"},
        "neigh": {"ip", "lladdr", "vlan", "router"},
        "run": set(run_options(run.command)),
    }
