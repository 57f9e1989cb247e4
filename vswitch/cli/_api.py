"""The options about the place of the API: where a switch is asked, and who may."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vswitch.control.remote import Remote

Command = TypeVar("Command", bound=Callable[..., Any])
_URL, _TOKEN_FILE = "vswitch.api.url", "vswitch.api.token_file"  # in a context's meta


def asked_by_options(command: Callable[..., None]) -> Callable[..., None]:
    """For ``vswitch run``: who else may ask, as argument *asked_by*."""

    @click.option(
        "--api-group",
        metavar="GROUP",
        help="Members of this group may ask, too; others than you and root may not.",
    )
    @click.option(
        "--api-listen",
        metavar="HOST:PORT",
        help="Answer there as well, whoever says the token; not encrypted.",
    )
    @click.option(
        "--api-token-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The token: a line of 16 characters or more, in a file of mode 0600.",
    )
    @wraps(command)
    def with_asked_by(
        *args: Any,
        api_group: str | None,
        api_listen: str | None,
        api_token_file: Path | None,
        **kwargs: Any,
    ) -> None:
        from vswitch.control.doors import Wanted

        wanted = Wanted(group=api_group, listen=api_listen, token_file=api_token_file)
        command(*args, asked_by=wanted, **kwargs)

    return with_asked_by


def place_options(command: Command) -> Command:
    """For who asks: ``--api PATH`` as argument *api*, and ``--api http://HOST:PORT``.

    The latter is no path: `remote` tells it.
    """
    command = click.option(
        "--api-token-file",
        type=click.Path(path_type=Path),
        envvar="VSWITCH_API_TOKEN_FILE",
        expose_value=False,
        callback=_keep_token_file,
        metavar="FILE",
        help="The token to say there  [default: $VSWITCH_API_TOKEN_FILE]",
    )(command)
    return click.option(
        "--api",
        type=click.Path(),
        callback=_path_of_place,
        metavar="PATH|URL",
        help="The switch at this socket, or at http://HOST:PORT.",
    )(command)


def remote(ctx: click.Context) -> Remote | None:
    """The place on TCP that was given, if one was."""
    url = ctx.meta.get(_URL)
    if url is None:
        return None
    from vswitch.control.remote import Remote

    return Remote.at(url, ctx.meta.get(_TOKEN_FILE))


def _keep_token_file(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    ctx.meta[_TOKEN_FILE] = value


def _path_of_place(ctx: click.Context, _: click.Parameter, value: str | None) -> Path | None:
    if value is None or "://" not in value:
        return None if value is None else Path(value)
    if not value.startswith("http://"):
        raise click.UsageError(f"--api is a path or http://HOST:PORT, not {value!r}")
    ctx.meta[_URL] = value
    return None
