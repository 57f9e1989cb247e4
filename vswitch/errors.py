"""Every exception vswitch raises on purpose.

VswitchError
├── ConfigError              what the user asked for cannot be
├── PortError
│   ├── PortLimitError       the datapath is full
│   ├── PortNotFoundError    there is none of that name
│   ├── PortExistsError      there is one of that name already
│   ├── LockedError          the switch takes no more ports
│   ├── SocketInUseError     somebody answers where we were to listen
│   └── DeviceError          the kernel refused; carries errno
├── FdbError
│   ├── FdbFullError         no room for another static entry
│   ├── StationExistsError   it is static already
│   └── StationNotFoundError there is none of that address
├── MirrorError
│   ├── MirrorExistsError    there is one of that name already
│   └── MirrorNotFoundError  there is none of that name
├── NeighbourError
│   ├── NeighbourExistsError somebody was said to have that address already
│   ├── NeighbourFullError   no room for another
│   └── NeighbourNotFoundError nobody was said to
├── WireError                a peer's message is not what its protocol says
├── CaptureError             a file is no capture we can read; carries the offset
└── ApiError                 a running switch could not be asked, or said no; carries its code
"""

from __future__ import annotations


class VswitchError(Exception):
    """Base of every error vswitch raises on purpose.

    ``hint`` is one sentence about what to do next, or None. The command line prints it on a
    line of its own; a program can ignore it.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(VswitchError):
    """An option or a combination of options that cannot be; nothing was touched.

    ``key`` is the option, if it is known which one it was; ``member`` the name of the port, the
    address of the station, "mirror NAME" or "neighbour ADDRESS", that cannot be beside the others.
    """

    key: str | None = None
    member: str | None = None


class PortError(VswitchError):
    """Something about one port."""


class PortLimitError(PortError):
    """The datapath has no place for another port."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"too many ports: a switch has at most {limit}",
            hint="run a second switch and join the two by a port of each",
        )


class PortNotFoundError(PortError):
    """There is no port, or listener, of that name."""


class PortExistsError(PortError):
    """There is a port, or listener, of that name already."""


class LockedError(PortError):
    """The switch gave up adding ports when it started."""

    def __init__(self, switch: str) -> None:
        super().__init__(
            f"switch {switch} takes no more ports: it was started with --lock",
            hint="name the port when it starts, or start it without --lock",
        )


class SocketInUseError(PortError):
    """Another program is at the place of a socket."""


class DeviceError(PortError):
    """The kernel refused an operation on a network device; ``errno`` says why."""

    def __init__(
        self, device: str, operation: str, cause: OSError, *, hint: str | None = None
    ) -> None:
        super().__init__(f"{device}: cannot {operation}: {cause.strerror}", hint=hint)
        self.device = device
        self.operation = operation
        self.errno = cause.errno


class FdbError(VswitchError):
    """Something about the forwarding database."""


class FdbFullError(FdbError):
    """No room for another static entry: a limit is reached."""

    def __init__(self, vid: int, mac: bytes) -> None:
        vlan = f" vlan {vid}" if vid else ""
        super().__init__(
            f"cannot pin {mac.hex(':')}{vlan}: the forwarding database is full",
            hint="raise --fdb-limit, or flush stations first",
        )
        self.vid = vid
        self.mac = mac


class StationExistsError(FdbError):
    """A station of that address is static already."""


class StationNotFoundError(FdbError):
    """No station of that address is known."""


class MirrorError(VswitchError):
    """Something about a mirror."""


class MirrorExistsError(MirrorError):
    """There is a mirror of that name already."""


class MirrorNotFoundError(MirrorError):
    """There is no mirror of that name."""


class NeighbourError(VswitchError):
    """Something about a neighbour."""


class NeighbourExistsError(NeighbourError):
    """A neighbour of that address was added by hand already."""


class NeighbourFullError(NeighbourError):
    """No room for another neighbour: the limit is reached."""


class NeighbourNotFoundError(NeighbourError):
    """No neighbour of that address was added by hand."""


class CaptureError(VswitchError):
    """The capture *source* cannot be read: *what* is wrong at byte *offset*."""

    def __init__(self, source: str, offset: int, what: str, *, hint: str | None = None) -> None:
        super().__init__(f"{source}: offset {offset}: {what}", hint=hint)
        self.source = source
        self.offset = offset


class WireError(VswitchError):
    """A peer's message is not what its protocol says."""


class ApiError(VswitchError):
    """A running switch could not be reached, or refused a request.

    ``code`` is that of `vswitch.control.schema.Error`; empty when nobody answered.
    """

    def __init__(self, message: str, *, hint: str | None = None, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
