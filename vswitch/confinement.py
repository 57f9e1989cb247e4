"""What a switch gives up once its ports are open: privileges, and system calls it never makes.

    Confinement(user="alice", lock=True).enter()

    kept                          for
    CAP_NET_ADMIN, CAP_NET_RAW    ports that are added, devices that change or move
    CAP_NET_BROADCAST             to hear of devices in other namespaces, from the first one on
    CAP_CHOWN, CAP_FOWNER         owner=, group= and mode= of sockets
    CAP_DAC_OVERRIDE              sockets and recordings in the folders of others

The last three are those of root's own switch: with them, one of another user would be root after
all. Who holds a TAP can be read of other users' processes with CAP_SYS_PTRACE only, which would let
us into each of them: so a refusal says "another process". CAP_SYS_ADMIN is not needed: devices in
other namespaces are asked for by netlink. With ``lock`` nothing is kept.
"""

from __future__ import annotations

import logging
import os
import pwd
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from vswitch import options
from vswitch.errors import ConfigError
from vswitch.linux import privilege, seccomp
from vswitch.linux.seccomp import Filter

log = logging.getLogger(__name__)

DEVICES = {privilege.NET_ADMIN, privilege.NET_RAW, privilege.NET_BROADCAST}
FILES = {privilege.CHOWN, privilege.FOWNER, privilege.DAC_OVERRIDE}


@dataclass(frozen=True, slots=True)
class Account:
    """Whose process it is to be."""

    name: str
    uid: int
    gid: int
    groups: Sequence[int]

    @classmethod
    def parse(cls, text: str) -> Account:
        """Read ``USER[:GROUP]``, names or numbers.

        Raises:
            ConfigError: there is no such user or group.
        """
        user, colon, group = text.partition(":")
        entry = _user(user)
        if entry is None and not user.isdecimal():
            raise ConfigError(f"--user: no such user: {user!r}")
        if entry is None and not colon:
            raise ConfigError(f"--user: {user} has no group of its own", hint="--user USER:GROUP")
        gid = options.group("--user", group) if colon else entry.pw_gid if entry else -1
        if entry is None:
            return cls(user, options.user("--user", user), gid, [gid])
        return cls(entry.pw_name, entry.pw_uid, gid, os.getgrouplist(entry.pw_name, gid))

    @property
    def is_ours(self) -> bool:
        """Whether this process has become it already, or was it from the start."""
        return os.getresuid() == (self.uid,) * 3 and os.getresgid() == (self.gid,) * 3


def _user(text: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(text)) if text.isdecimal() else pwd.getpwnam(text)
    except (KeyError, OverflowError):
        return None


def _may_write(folder: Path, uid: int, groups: Container[int]) -> bool:
    """Whether a user without capabilities can make files; what is not there we make ourselves."""
    if not folder.exists():
        return uid == os.geteuid()
    found = folder.stat()
    bits = found.st_mode
    if found.st_uid == uid:
        bits >>= 6
    elif found.st_gid in groups:
        bits >>= 3
    return bits & 0o3 == 0o3


@dataclass(frozen=True, slots=True)
class Confinement:
    """What is given up.

    Raises:
        ConfigError: it cannot be, as far as that can be said before the ports are open.
    """

    lock: bool = False  # no ports are added any more
    account: Account | None = None  # None: who we are
    seccomp: str = "auto"  # or on, off

    def __post_init__(self) -> None:
        if self.seccomp == "on":
            seccomp.available()
        if self.account and not self.account.is_ours:
            may = privilege.held()
            if not {privilege.SETUID, privilege.SETGID} <= may:
                raise ConfigError(
                    f"--user: only root can become {self.account.name}",
                    hint="with CAP_SETUID and CAP_SETGID; or leave --user away",
                )

    @property
    def owner(self) -> tuple[int, int]:
        """User and group of the socket it is asked on; -1: who we are."""
        return (self.account.uid, self.account.gid) if self.account else (-1, -1)

    @property
    def needs_all_loaded(self) -> bool:
        """Whether files that we can read now may be closed to us later."""
        if self.account and not self.account.is_ours:
            return True
        return privilege.DAC_OVERRIDE in privilege.held() - self.keeps

    @property
    def keeps(self) -> frozenset[int]:
        """The capabilities that are left, of those we have."""
        if self.lock:
            return frozenset()
        return frozenset(DEVICES if self.account and self.account.uid else DEVICES | FILES)

    def check_folder(
        self, folder: Path, *, owner: int = -1, group: int = -1, what: str = "further sockets"
    ) -> None:
        """See that sockets of an owner and a group can be made in *folder* afterwards, too.

        *what* they are, if no sockets.

        Raises:
            ConfigError: they cannot.
        """
        if self.keeps >= FILES:
            return
        uid, gid = self.owner if self.account else (os.geteuid(), os.getegid())
        groups = {gid, *(self.account.groups if self.account else os.getgroups())}
        if owner not in (-1, uid) or group not in (-1, *groups):
            raise ConfigError(
                f"{folder}: the right to give sockets to others is not kept for those made later",
                hint="leave owner= and group= away, or --user and --lock",
            )
        if not _may_write(folder, uid, groups):
            name = self.account.name if self.account else str(uid)
            raise ConfigError(
                f"{folder}: user {name} cannot make {what} there",
                hint=f"make the folder before: install -d -o {name} {folder}",
            )

    def enter(self) -> None:
        """Give it up. No other thread is to run yet.

        Raises:
            ConfigError: what was asked for cannot be done.
        """
        if not privilege.alone():
            log.warning("threads that run already keep their capabilities")
        system_calls = self._filter()  # now, while we can read the library
        try:
            privilege.gain_nothing()
            self._bound()
            if self.account and not self.account.is_ours:
                account = self.account
                privilege.become(account.uid, account.gid, account.groups)
            privilege.limit(self.keeps)
        except OSError as e:
            if self.lock or self.account:
                raise ConfigError(f"privileges cannot be given up: {e.strerror}") from e
            # As where a service manager refuses capset(2), having given up the same before.
            log.info("privileges stay as they are error=%s", e)
        if system_calls:
            self._load(system_calls)

    def _bound(self) -> None:
        # Who has no capabilities is bounded by that: no program gives us any (gain_nothing).
        if not privilege.held():
            return
        try:
            privilege.bound(self.keeps)
        except OSError as e:  # as in a container without CAP_SETPCAP
            log.info("the bounding set of capabilities stays as it is error=%s", e)

    def _filter(self) -> Filter | None:
        if self.seccomp == "off":
            return None
        try:
            return seccomp.made(devices=not self.lock)
        except (ConfigError, OSError) as e:
            self._unrestricted(e)
            return None

    def _load(self, system_calls: Filter) -> None:
        try:
            system_calls.load()
        except OSError as e:
            self._unrestricted(e)

    def _unrestricted(self, error: ConfigError | OSError) -> None:
        if self.seccomp == "on":
            raise ConfigError(f"system calls cannot be restricted: {error}") from error
        log.info("system calls are not restricted reason=%r", str(error))
