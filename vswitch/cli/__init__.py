"""The command ``vswitch``: nouns and verbs as ip(8) and bridge(8) have them.

One file per noun, loaded when it is asked for. ``run`` makes a switch; everything else asks a
running one through its socket.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

import click

from vswitch.cli._group import ReaderLeft, Suggestion, Words
from vswitch.errors import ApiError, VswitchError

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

HELP = """\
A virtual Ethernet switch in user space.

It learns which station is behind which port, as a switch made of metal does; its ports are TAP
devices, for namespaces, containers and virtual machines.

\b
  vswitch --port tap0 --port tap1   run a switch with two TAPs, until Ctrl-C
  vswitch show                      its ports, counters, and what was dropped
  vswitch top                       its traffic as it flows
  vswitch fdb show                  its stations, as "bridge fdb show" does
  vswitch fdb flush dev tap0        forget the stations behind a port
  vswitch monitor                   what happens, as "bridge monitor" says it
  vswitch port add tap2             one more port
  vswitch link set dev tap2 learning off
  vswitch mirror add m from tap0 to tap2
  vswitch neigh add 192.0.2.1 lladdr 02:00:00:00:00:01
  vswitch qemu-args lan             the options that plug a VM into a port
  vswitch run --config lab.toml     the same from a file; "config", "reload"
  vswitch doctor                    what is wrong, and the command for it
  vswitch replay in.pcap@tap0 ...   captures through a switch, into files

Without a command the options are those of "vswitch run". Objects, commands and words are those of
bridge(8), and may be cut short as there (vswitch f s); -j, -s, -d, -p and -S stand before or after
them. "help" stands for --help. Data goes to standard output, everything else to standard error;
what changes something says nothing when it is done. NO_COLOR is respected.

\b
Exit status:
  0    done; of "vswitch run" also after Ctrl-C
  1    a running switch could not be asked, or said no; or the host did;
       "doctor" and "config diff": something was found
  2    the input was bad, and nothing was touched; or no port could be opened
  130  interrupted by Ctrl-C
"""


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from vswitch.build import describe

        click.echo(describe())
        ctx.exit()


@click.group(
    cls=Words,
    modules={
        "run": "vswitch.cli.run",
        "show": "vswitch.cli.show",
        "top": "vswitch.cli.top",
        "fdb": "vswitch.cli.fdb",
        "guard": "vswitch.cli.guard",
        "monitor": "vswitch.cli.monitor",
        "link": "vswitch.cli.link",
        "port": "vswitch.cli.port",
        "vlan": "vswitch.cli.vlan",
        "mdb": "vswitch.cli.mdb",
        "mirror": "vswitch.cli.mirror",
        "neigh": "vswitch.cli.neigh",
        "qemu-args": "vswitch.cli.qemu_args",
        "libvirt-xml": "vswitch.cli.libvirt_xml",
        "docker-args": "vswitch.cli.docker_args",
        "replay": "vswitch.cli.replay",
        "config": "vswitch.cli.config",
        "reload": "vswitch.cli.reload",
        "doctor": "vswitch.cli.doctor",
        "completion": "vswitch.cli.completion",
    },
    first=("link", "fdb", "mdb", "vlan", "monitor", "show"),  # bridge(8) tries them in this order
    default="run",
    bare="--help",
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Print version and build, and exit.",
)  # fmt: skip
def command() -> None: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line *argv* (without the program's name) and return the exit status."""
    _never_fail_to_say()
    try:
        status: int | None = command.main(args=argv, prog_name="vswitch", standalone_mode=False)
        if sys.stdout:  # None when it was closed from the start: vswitch ... >&-
            sys.stdout.flush()
    except click.ClickException as e:
        return _fail(*_sentence(e), BAD_INPUT)
    except ApiError as e:  # a switch judges as well what only it can: vlan, what is taken by others
        return _fail(str(e), e.hint, BAD_INPUT if e.code == "bad-input" else FAILED)
    except VswitchError as e:
        return _fail(str(e), e.hint, BAD_INPUT)
    except (BrokenPipeError, ReaderLeft):  # vswitch fdb show | head
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # or Python complains again when it exits
        return OK
    except (KeyboardInterrupt, click.Abort) as e:  # first: an Abort is a RuntimeError
        what = str(e.__cause__ or e)  # click makes an Abort of Ctrl-C
        return _fail(what, None, INTERRUPTED) if what else INTERRUPTED
    except UnicodeEncodeError as e:  # bytes of the command line that are no text
        return _fail(f"not text: {e.object!r}", None, BAD_INPUT)
    except OSError as e:  # a full disk
        what = f"{e.filename}: " if e.filename else ""
        return _fail(f"{what}{e.strerror or e}", None, FAILED)
    except (MemoryError, RuntimeError) as e:  # no memory, no thread
        return _fail(str(e) or type(e).__name__, None, FAILED)
    return status or OK


def _never_fail_to_say() -> None:
    """A name that the terminal's encoding lacks is written as \\u65e5, and no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _sentence(error: click.ClickException) -> tuple[str, str | None]:
    """The message of click in the way of this house, and a hint."""
    message = error.format_message().rstrip(".").replace("\n", " ")
    message = message[:1].lower() + message[1:]
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    path = ctx.command_path if ctx else "vswitch"
    if isinstance(error, click.NoSuchOption):
        message = f"no option {error.option_name}"
    if isinstance(error, (click.NoSuchOption, Suggestion)) and error.possibilities:
        return message, f"did you mean {' or '.join(error.possibilities)}?"
    return message, f"see {path} --help"


def _fail(message: str, hint: str | None, status: int) -> int:
    for i, line in enumerate(message.split("\n")):  # of a configuration file each mistake is one
        click.echo(f"{'' if i else 'vswitch: '}{_in_one_line(line)}", err=True)
    if hint:
        click.echo(f"hint: {_in_one_line(hint)}", err=True)
    return status


def _in_one_line(text: str) -> str:
    """*text*, in which somebody's words may try to do things to a terminal."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
