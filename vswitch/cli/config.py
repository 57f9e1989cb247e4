"""``vswitch config``: configuration files, checked, compared, made of a running switch."""

from __future__ import annotations

import difflib
import os
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vswitch.cli._common import ask, print_json, switch_options
from vswitch.cli._group import Words
from vswitch.errors import ApiError, ConfigError

if TYPE_CHECKING:
    from vswitch.control.schema import ConfigInfo

HELP = """\
A switch's configuration as a file, for "vswitch run --config FILE".

\b
  [switch]                      # --name, --ageing, --fdb-limit, --mtu,
  name = "lab"                  # --pollers, --busy-poll, --core, --forward
  forward = ["stp", "lldp"]
  [[port]]                      # once for each --port
  name = "tap0"
  queues = 4
  [[port]]
  port = "qemu:/run/vm.sock"    # or as the command line has it
  [[port]]
  kind = "local"
  name = "br0"
  ip = ["10.0.0.1/24", "fd00::1/64"]
  [[listen]]                    # once for each --listen
  kind = "qemu"
  address = "/run/lan.sock"
  mode = "0660"
  [run]                         # all else: --api, --user, --lock, --seccomp,
  log-format = "json"           # --stats, --verbose, ...

Keys are the options of "vswitch run" and of its ports, listed by "vswitch config keys"; of a port
that is no device, "address" is what stands behind "kind:". Paths are relative to where the switch
is started. A folder's *.toml are one configuration, in order of name: ports of all, every other key
in one of them. What the command line says as well wins: a port of that name replaces the file's.
"""

KEYS_HELP = """\
List the tables of a file and their keys, those of ports and listeners by kind.

\b
  vswitch config keys
  vswitch config keys | grep ^port
"""

CHECK_HELP = """\
Check a configuration without running it; every mistake is a line with file, line and key.

Nothing is printed if there is none. Exit status: 0, or 2.
"""

SHOW_HELP = """\
Print the configuration a running switch has now, as a file would say it.

That is its file and command line, with all that was changed since; what is as by default is left
out. Ports of VMs that come and go are no part of it.
"""

DIFF_HELP = """\
Print what a reload would change if the switch's file were FILE; without FILE, as its file is now.

As lines of diff(1), or, with -j, as a list. Exit status, also as diff(1): 0, nothing; 1, something;
2, trouble, such as a change that needs the switch to be started anew.
"""

SAVE_HELP = """\
Write what "vswitch config show" prints to FILE, or to the file the switch was started with.

The file is whole at any time, and keeps its permissions; comments in it are lost. A file that the
switch has not read, or that was changed since, is replaced with --force only.
"""


@click.group("config", cls=Words, default="show", bare="show", help=HELP,
             short_help="Check, show, compare and save configurations.")  # fmt: skip
def command() -> None: ...


@command.command(help=KEYS_HELP, short_help="List what a file can say.")
def keys() -> None:
    for table, its_keys in _tables():
        click.echo(
            textwrap.fill(
                " ".join(its_keys),
                80,
                initial_indent=f"{table:<18}",
                break_on_hyphens=False,
                subsequent_indent=" " * 18,
            )
        )


def _tables() -> Iterator[tuple[str, Iterable[str]]]:
    """The tables of a file, those of ports and listeners by kind, with their keys."""
    from vswitch import config, configfile, portconfig
    from vswitch.cli import run
    from vswitch.cli._settings import run_options

    yield "switch", config.OPTIONS
    for kind, its in portconfig.KINDS.items():
        head = "port" if kind == portconfig.AUTO else f"port {kind}"
        yield head, ["address" if "name" in its.options else "name", *its.options]
    for kind, its in portconfig.LISTENERS.items():
        yield f"listen {kind}", ["address", *its.options]
    yield "station", config.STATION_OPTIONS
    yield from configfile.OTHER_TABLES.items()
    yield "run", run_options(run.command)


@command.command(help=CHECK_HELP, short_help="Find the mistakes in a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, file: Path) -> None:
    from vswitch.cli import run
    from vswitch.cli._settings import run_defaults
    from vswitch.configfile import load

    try:
        contents = load(file)
        run_defaults(click.Context(run.command), contents)
        contents.config()
    except ConfigError as e:
        click.echo(f"{e} ({e.hint})" if e.hint else str(e), err=True)
        ctx.exit(2)


@command.command(help=SHOW_HELP, short_help="Print what the switch has now.")
@click.option("-j", "--json", "as_json", is_flag=True, help="The same tables as JSON.")
@switch_options
def show(as_json: bool, switch: str | None, api: Path | None) -> None:
    with ask(switch, api) as client:
        config = client.config()
    if as_json:
        print_json(config.tables)
    else:
        click.echo(config.toml, nl=False)


@command.command(help=DIFF_HELP, short_help="Say what a reload would change.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("-j", "--json", "as_json", is_flag=True, help="The changes as a list.")
@switch_options
@click.pass_context
def diff(
    ctx: click.Context, file: Path | None, as_json: bool, switch: str | None, api: Path | None
) -> None:
    try:
        with ask(switch, api) as client:
            found = client.check_config(None if file is None else _canonical(file))
    except ApiError as e:  # whose status would be 1
        raise ConfigError(str(e), hint=e.hint) from e
    if as_json:
        print_json(found.changes)
    else:
        lines = difflib.unified_diff(
            found.before.splitlines(keepends=True), found.after.splitlines(keepends=True),
            "running", str(file or "file"),
        )  # fmt: skip
        click.echo("".join(lines), nl=False)
    ctx.exit(1 if found.changes else 0)


def _canonical(file: Path) -> str:
    """What a file, or a folder, says, as one text; its mistakes are found here, with lines."""
    from vswitch.configfile import dumps, load

    contents = load(file)
    return dumps(contents.config(), contents.run)


@command.command(help=SAVE_HELP, short_help="Write what the switch has now to its file.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--force", is_flag=True, help="Replace a file that the switch has not read.")
@switch_options
def save(file: Path | None, force: bool, switch: str | None, api: Path | None) -> None:
    with ask(switch, api) as client:
        config = client.config()
        path = file or _own_file(config)
        if not force:
            _check_known(path, config)
        write(path, config.toml)
        if _is_own(path, config):
            client.check_config()  # so it knows the file, and the next save needs no --force


def _own_file(config: ConfigInfo) -> Path:
    if config.file is None:
        raise ConfigError("this switch was started without a file", hint="name one to write to")
    return Path(config.file)


def _is_own(path: Path, config: ConfigInfo) -> bool:
    """Whether it is the file of the switch, which may be gone."""
    own = Path(config.file) if config.file else None
    return own is not None and own.exists() and path.samefile(own)


def _check_known(path: Path, config: ConfigInfo) -> None:
    """Raise ConfigError when something there would be lost that the switch does not know of."""
    from vswitch.configsource import digest

    if not path.exists():
        return
    if not _is_own(path, config):
        why = "the switch has not read it"
    elif digest(path) != config.digest:
        why = "it was changed since the switch read it"
    else:
        return
    raise ConfigError(f"{path} is not replaced: {why}", hint="replace it all the same: --force")


def write(path: Path, content: str) -> None:
    """Replace a file's content at once: whoever reads it sees the old or the new.

    Raises:
        OSError: it cannot be written, and is as it was.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", hint=f"name a file: {path / 'saved.toml'}")
    path = path.resolve()  # a link goes on being one
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    try:
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as e:  # about a file that nobody asked for
        raise OSError(e.errno, e.strerror, str(path)) from e
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # or the new name could be lost with the power
    finally:
        os.close(folder)
