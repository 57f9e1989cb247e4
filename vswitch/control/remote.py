"""Where a switch is asked over TCP: http://HOST:PORT, and the token it wants to hear."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from pathlib import Path

from vswitch import options
from vswitch.control.access import read_token
from vswitch.errors import ConfigError
from vswitch.linux import inet

SCHEME = "http://"


@dataclass(frozen=True, slots=True)
class Remote:
    """A switch's place on TCP."""

    host: str
    port: int
    token: str = field(repr=False)

    @classmethod
    def at(cls, url: str, token_file: Path | None) -> Remote:
        """What ``--api`` and ``--api-token-file`` say.

        Raises:
            ConfigError: they cannot be.
        """
        host, port = options.host_port("--api", url.removeprefix(SCHEME).removesuffix("/"))
        if token_file is None:
            raise ConfigError(
                f"{url} wants to hear a token",
                hint="--api-token-file FILE, or $VSWITCH_API_TOKEN_FILE",
            )
        return cls(host, port, read_token(token_file))

    def __str__(self) -> str:
        return f"{SCHEME}{inet.text((self.host, self.port))}"

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection that is made with its first request."""
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)

    @property
    def headers(self) -> dict[str, str]:
        """What each request says."""
        return {"Authorization": f"Bearer {self.token}"}
