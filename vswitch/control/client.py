"""Asking a running switch.

with connect("lab") as client:
    client.switch().uptime_s
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, Unpack
from urllib.parse import quote, urlencode

import msgspec

from vswitch import paths
from vswitch.control import address
from vswitch.control.remote import Remote
from vswitch.control.schema import (
    BindingInfo,
    ConfigCheck,
    ConfigInfo,
    Error,
    EventInfo,
    FdbEntry,
    FdbInfo,
    FlushResult,
    History,
    ListenerInfo,
    MirrorInfo,
    NeighbourInfo,
    NewConfig,
    NewEntry,
    NewMember,
    NewNeighbour,
    NewPort,
    PortInfo,
    PortVlansInfo,
    Reloaded,
    SwitchChange,
    SwitchInfo,
)
from vswitch.errors import ApiError
from vswitch.portsettings import PortChange

T = TypeVar("T")
TIMEOUT_S = 10


def connect(
    name: str | None = None,
    *,
    path: Path | None = None,
    remote: Remote | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Client:
    """A client of the switch at *path* or *remote*, or called *name*, or of the only one that runs.

    Raises:
        ApiError: there is no such switch, or several and none was named.
    """
    place = path or remote
    if place is not None:
        return Client(place, timeout_s=timeout_s)
    if name is not None:
        return Client(address.find(name), timeout_s=timeout_s)
    running = address.running()
    if not running:
        raise ApiError("no switch is running", hint=_elsewhere())
    if len(running) > 1:
        raise ApiError(
            f"{len(running)} switches are running: {', '.join(running)}",
            hint=f"name one: -S {next(iter(running))}",
        )
    return Client(next(iter(running.values())), timeout_s=timeout_s)


def _elsewhere() -> str:
    if os.geteuid() and next(address.ROOT_DIR.glob("*.sock"), None):
        return "root's switches are asked by root: try again with sudo"
    return "start one: vswitch --port tap0 --port tap1 (or give --api PATH, if it has its own)"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # With Python's own timeout a queue that is full for a moment is an error at once.
        seconds, rest = divmod(self._timeout_s, 1)
        limit = struct.pack("ll", int(seconds), int(rest * 1e6))  # struct timeval
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self.sock.connect(os.fspath(self._path))
        self.sock.settimeout(self._timeout_s)


class Client:
    """The API of one switch; each method is one request.

    Raises:
        ApiError: from every method: nobody answers, or the switch said no.
    """

    def __init__(self, place: Path | Remote, *, timeout_s: float = TIMEOUT_S) -> None:
        self._place = place
        self._headers = {"Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection
        if isinstance(place, Remote):
            self._connection = place.connection(timeout_s)
            self._headers |= place.headers
        else:
            self._connection = _UnixConnection(place, timeout_s)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def switch(self) -> SwitchInfo:
        return self._ask("GET", "/v1/switch", SwitchInfo)

    def change_switch(self, change: SwitchChange) -> SwitchInfo:
        return self._ask("PATCH", "/v1/switch", SwitchInfo, body=change)

    def ports(self) -> list[PortInfo]:
        return self._ask("GET", "/v1/ports", list[PortInfo])

    def port(self, name: str) -> PortInfo:
        return self._ask("GET", f"/v1/ports/{quote(name, safe='')}", PortInfo)

    def add_port(self, port: str) -> PortInfo:
        """Open *port*, spelled as for ``vswitch run --port``; its paths are seen from here."""
        port = paths.absolute(port, os.getcwd())
        return self._ask("POST", "/v1/ports", PortInfo, body=NewPort(port))

    def change_port(self, name: str, **change: Unpack[PortChange]) -> PortInfo:
        """Change what is given of a port."""
        return self._ask("PATCH", f"/v1/ports/{quote(name, safe='')}", PortInfo, body=change)

    def remove_port(self, name: str) -> None:
        self._ask("DELETE", f"/v1/ports/{quote(name, safe='')}", dict[str, str])

    def listeners(self) -> list[ListenerInfo]:
        return self._ask("GET", "/v1/listeners", list[ListenerInfo])

    def listen(self, place: str) -> ListenerInfo:
        """Have VMs connect to *place*, spelled as for ``vswitch run --listen``."""
        place = paths.absolute(place, os.getcwd())
        return self._ask("POST", "/v1/listeners", ListenerInfo, body=NewPort(place))

    def unlisten(self, name: str, *, address: str | None = None) -> None:
        """Close a place; the ports of those who are there stay until they leave."""
        route = f"/v1/listeners/{quote(name, safe='')}"
        self._ask("DELETE", route, dict[str, str], address=address)

    def mirrors(self) -> list[MirrorInfo]:
        return self._ask("GET", "/v1/mirrors", list[MirrorInfo])

    def add_mirror(self, mirror: MirrorInfo) -> MirrorInfo:
        """Have one more mirror."""
        return self._ask("POST", "/v1/mirrors", MirrorInfo, body=mirror)

    def remove_mirror(self, name: str) -> None:
        self._ask("DELETE", f"/v1/mirrors/{quote(name, safe='')}", dict[str, str])

    def neighbours(self, *, vlan: int | None = None) -> list[NeighbourInfo]:
        """Which station has which IP address; in one VLAN only, if given."""
        return self._ask("GET", "/v1/neighbours", list[NeighbourInfo], vlan=_text(vlan))

    def add_neighbour(self, new: NewNeighbour, *, replace: bool = False) -> NeighbourInfo:
        """Know one by hand; *replace*: whoever had that address."""
        method = "PUT" if replace else "POST"
        return self._ask(method, "/v1/neighbours", NeighbourInfo, body=new)

    def remove_neighbour(self, ip: str, *, vlan: int = 0) -> None:
        route = f"/v1/neighbours/{quote(ip, safe='')}"
        self._ask("DELETE", route, dict[str, str], vlan=_text(vlan))

    def flush_neighbours(self, *, vlan: int | None = None) -> int:
        """Forget those added by hand, in one VLAN only if given; how many it was."""
        return self._ask("DELETE", "/v1/neighbours", FlushResult, vlan=_text(vlan)).flushed

    def fdb(self, *, port: str | None = None, at: float | None = None) -> list[FdbEntry]:
        """The stations, in order of address; of one port only, if given, or as they were *at*."""
        when = None if at is None else repr(at)
        return self._ask("GET", "/v1/fdb", list[FdbEntry], port=port, at=when)

    def events(
        self,
        *,
        mac: str | None = None,
        port: str | None = None,
        kinds: str | None = None,
        limit: int | None = None,
    ) -> History:
        """What happened, the newest *limit* that are kept, the oldest of them first."""
        said = None if limit is None else str(limit)
        route = "/v1/events/history"
        return self._ask("GET", route, History, mac=mac, port=port, kinds=kinds, limit=said)

    def watch(
        self, *, mac: str | None = None, port: str | None = None, kinds: str | None = None
    ) -> Iterator[EventInfo]:
        """What happens from now on, until the switch ends."""
        from vswitch.control.watching import watch

        return watch(self._place, {"mac": mac, "port": port, "kinds": kinds})

    def flush(
        self, *, port: str | None = None, mac: str | None = None, vid: int | None = None
    ) -> int:
        """Forget learned stations, all or those that match; how many there were."""
        vlan = None if vid is None else str(vid)
        return self._ask("DELETE", "/v1/fdb", FlushResult, port=port, mac=mac, vid=vlan).flushed

    def vlans(self, *, port: str | None = None) -> list[PortVlansInfo]:
        """What ports do with VLANs, and counted in each."""
        return self._ask("GET", "/v1/vlans", list[PortVlansInfo], port=port)

    def add_vlan(self, port: str, vid: str, *, pvid: bool, untagged: bool) -> PortVlansInfo:
        """Put a port in VLANs, as 10 or 10-20."""
        new = NewMember(port, vid, pvid, untagged)
        return self._ask("POST", "/v1/vlans", PortVlansInfo, body=new)

    def delete_vlan(self, port: str, vid: str) -> PortVlansInfo:
        """Take a port out of VLANs."""
        return self._ask("DELETE", "/v1/vlans", PortVlansInfo, port=port, vid=vid)

    def fdb_stats(self) -> FdbInfo:
        return self._ask("GET", "/v1/fdb/stats", FdbInfo)

    def add_station(self, mac: str, port: str, *, vid: int = 0, sticky: bool = False) -> FdbEntry:
        """Make a station static, or sticky, that is not static yet."""
        return self._ask("POST", "/v1/fdb", FdbEntry, body=NewEntry(mac, port, vid, sticky))

    def replace_station(
        self, mac: str, port: str, *, vid: int = 0, sticky: bool = False
    ) -> FdbEntry:
        """Make a station static, or sticky, wherever it was."""
        return self._ask("PUT", "/v1/fdb", FdbEntry, body=NewEntry(mac, port, vid, sticky))

    def bindings(self) -> list[BindingInfo]:
        """What DHCP gave to stations at ports that are not trusted."""
        return self._ask("GET", "/v1/guard/bindings", list[BindingInfo])

    def delete_station(self, mac: str, *, vid: int = 0) -> None:
        """Forget one station, static or learned."""
        route = f"/v1/fdb/{quote(mac, safe='')}"
        self._ask("DELETE", route, dict[str, str], vid=str(vid) if vid else None)

    def config(self) -> ConfigInfo:
        return self._ask("GET", "/v1/config", ConfigInfo)

    def check_config(self, toml: str | None = None) -> ConfigCheck:
        """What a reload would change if the switch's file said *toml*; without it, as it is."""
        return self._ask("POST", "/v1/config/check", ConfigCheck, body=NewConfig(toml))

    def reload(self) -> list[str]:
        """Have the switch read its file again; what was changed."""
        return self._ask("POST", "/v1/reload", Reloaded).changes

    def _ask(
        self, method: str, route: str, kind: type[T], *, body: object = None, **query: str | None
    ) -> T:
        content = None if body is None else msgspec.json.encode(body)
        given = {key: value for key, value in query.items() if value is not None}
        try:
            whole = f"{route}?{urlencode(given)}" if given else route
            status, said = self._exchange(method, whole, content)
        except (OSError, http.client.HTTPException) as e:
            raise self._unreachable(e) from e
        try:
            if status >= 400:
                error = msgspec.json.decode(said, type=Error)
                raise ApiError(error.error, hint=error.hint, code=error.code)
            return msgspec.json.decode(said, type=kind)
        except msgspec.DecodeError as e:
            raise ApiError(
                f"{self._place} does not speak the API of vswitch: {e}",
                hint="is the running switch of the same version? vswitch --version",
            ) from e

    def _exchange(self, method: str, target: str, content: bytes | None) -> tuple[int, bytes]:
        try:
            return self._exchange_once(method, target, content)
        except ConnectionError:
            # The server has closed a connection on which nothing was asked for a while.
            if method != "GET":
                raise
            self._connection.close()
            return self._exchange_once(method, target, content)

    def _exchange_once(self, method: str, target: str, content: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, target, content, self._headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _unreachable(self, cause: Exception) -> ApiError:
        if isinstance(self._place, Remote):
            return ApiError(
                f"no switch answers at {self._place}: {cause}",
                hint="is it running, with --api-listen?",
            )
        if isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
            others = ", ".join(address.running(self._place.parent))
            return ApiError(
                f"no switch answers at {self._place}",
                hint=f"running are: {others}" if others else _elsewhere(),
            )
        if isinstance(cause, PermissionError):
            return ApiError(
                f"not allowed to ask the switch at {self._place}",
                hint="be the user who started it, or root",
            )
        if isinstance(cause, (TimeoutError, BlockingIOError)):
            return ApiError(f"the switch at {self._place} did not answer in time")
        return ApiError(f"cannot ask the switch at {self._place}: {cause}")


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
