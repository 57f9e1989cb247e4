"""What a configuration file and the command line of ``vswitch run`` have to do with one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vswitch.errors import ConfigError

if TYPE_CHECKING:
    from vswitch.configfile import Contents

# What a file has other words for: [[port]], [[listen]], forward; or cannot say of itself.
ELSEWHERE = {"port", "local", "listen", "transparent", "config"}


def configured(ctx: click.Context, _: click.Parameter, path: Path | None) -> Contents | None:
    """Read the file of --config; its table [run] becomes the defaults of *ctx*."""
    if path is None:
        return None
    from vswitch import configfile

    contents = configfile.load(path)
    ctx.default_map = run_defaults(ctx, contents)
    return contents


def run_defaults(ctx: click.Context, contents: Contents) -> dict[str, Any]:
    """The table [run] by names of parameters of the command of *ctx*.

    Raises:
        ConfigError: it has something that is no such option, or not a value of it.
    """
    known = run_options(ctx.command)
    found = {}
    for key, value in contents.run.items():
        place = contents.run_places[key]
        option = known.get(key)
        if option is None:
            hint = f"options are: {', '.join(known)}"
            raise ConfigError(f"{place}: run has no option {key!r}", hint=hint)
        assert option.name
        found[option.name] = _value(ctx, option, f"{place}: run.{key}", value)
    return found


def run_options(command: click.Command) -> Mapping[str, click.Option]:
    """The options of *command* that are said in [run], by their keys: all that no table is for."""
    from vswitch.config import OPTIONS

    options = [param for param in command.params if isinstance(param, click.Option)]
    keys = {option.opts[-1].removeprefix("--"): option for option in options}
    return {key: option for key, option in keys.items() if key not in {*OPTIONS, *ELSEWHERE}}


def _value(ctx: click.Context, option: click.Option, what: str, value: object) -> object:
    """*value* as click takes it from the command line."""
    if isinstance(value, (dict, list)) or isinstance(value, bool) is not option.is_flag:
        wanted = "true or false" if option.is_flag else "text or a number"
        raise ConfigError(f"{what} is {wanted}")
    given = value if option.is_flag else str(value)
    try:
        option.type.convert(given, option, ctx)
    except click.BadParameter as e:
        raise ConfigError(f"{what}: {e.message.rstrip('.')}") from e
    except ConfigError as e:
        said = str(e).removeprefix(f"{option.opts[-1]}: ")
        raise ConfigError(f"{what}: {said}", hint=e.hint) from e
    return given


def given(ctx: click.Context) -> set[str]:
    """The fields of `SwitchConfig` that the command line itself gives."""
    from vswitch.config import OPTIONS

    words = {
        **{key.replace("-", "_"): option.field for key, option in OPTIONS.items()},
        "transparent": "forward",
    }
    return {
        field
        for word, field in words.items()
        if ctx.get_parameter_source(word) is ParameterSource.COMMANDLINE
    }
