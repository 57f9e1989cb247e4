"""Keeps the leases of a running switch in its file, so that they outlive a restart.

    place     where the file is, if there is to be one
    Keeper    takes over what is in it, and from then on writes it: at once when something changes,
              but not more often than every PAUSE_S, and once more at the end

A disk may take its time: it is waited for by a thread of its own, which sleeps otherwise.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from vswitch import leasefile
from vswitch.config import SwitchConfig
from vswitch.confinement import Confinement
from vswitch.errors import ConfigError
from vswitch.leases import Known
from vswitch.switch import Switch

log = logging.getLogger(__name__)

PAUSE_S = 10.0  # chosen by us: leases last for minutes and more, and a disk is written to seldom


def place(
    config: SwitchConfig, environment: Mapping[str, str], confinement: Confinement
) -> Path | None:
    """The file of a switch's leases: as configured, else in the folder that systemd gives a service
    for what it keeps (``STATE_DIRECTORY``, systemd.exec(5)); None: they are not kept.

    Raises:
        ConfigError: it cannot be written there, and was asked for.
    """
    if config.snooping_file:
        path = Path(config.snooping_file).absolute()
        _check_folder(path.parent, confinement)
        return path
    folder = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if not folder or not config.snoops:
        return None
    try:
        _check_folder(Path(folder), confinement)
    except ConfigError as e:
        log.warning("leases are not kept reason=%r", str(e))
        return None
    return Path(folder) / f"{config.name}.leases"


def _check_folder(folder: Path, confinement: Confinement) -> None:
    if not folder.is_dir():
        raise ConfigError(
            f"snooping-file: there is no folder {folder}", hint=f"make it: mkdir {folder}"
        )
    confinement.check_folder(folder, what="files")
    if confinement.account is None and not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"snooping-file: {folder}: you cannot make files there")


def load(path: Path, config: SwitchConfig, wall_s: float, confinement: Confinement) -> list[Known]:
    """What is in the file.

    Raises:
        ConfigError: as `leasefile.read`.
    """
    owners = {0, os.geteuid(), *({confinement.owner[0]} - {-1})}
    return leasefile.read(path, config.name, int(wall_s), owners=owners)


class Keeper:
    """Keeps the leases of *switch* at *path* while the block runs.

    Args:
        switch: Running, or about to.
        path: Of the file, which was read.
        pause_s: How long it is left alone between two changes.
    """

    def __init__(self, switch: Switch, path: Path, *, pause_s: float = PAUSE_S) -> None:
        self._switch = switch
        self._path = path
        self._pause_s = pause_s
        self._changed = threading.Event()
        self._ending = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"{switch.name}-leases", daemon=True)

    def restore(self, known: Iterable[Known], ports: Iterable[str]) -> None:
        """Take over what is *known* of *ports*, those that are the same as before the restart.

        Others, whose VMs come again, are whoever's comes first.
        """
        known, names = [*known], {*ports}
        taken = self._switch.leases.restore(one for one in known if one.port in names)
        if known:
            log.info("leases are taken over file=%s leases=%d of=%d", self._path, taken, len(known))

    def __enter__(self) -> Keeper:
        self._switch.leases.on_change(self._changed.set)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        wanted = self._changed.is_set()
        self._changed.set()
        self._thread.join()
        if wanted or self._failing:
            self._write()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._changed.wait()
            if not self._ending.is_set():
                self._changed.clear()
                self._write()
                self._ending.wait(self._pause_s)

    def _write(self) -> None:
        switch = self._switch
        text = leasefile.dumps(switch.name, switch.leases.known(), int(switch.clock.wall_s()))
        try:
            leasefile.write(self._path, text)
        except OSError as e:
            self._changed.set()  # once more, later
            if not self._failing:
                log.warning("leases are not kept file=%s error=%r", self._path, e.strerror)
            self._failing = True
        else:
            self._failing = False
