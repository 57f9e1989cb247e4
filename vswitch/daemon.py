"""From a configuration to a running switch, until a signal ends it.

    hold signals -> take the socket -> open ports -> give up privileges -> forward -> say so
                                                               load the API server <-+
                                                        |
    remove the socket <- close the switch (its ports) <-+ SIGINT, SIGTERM, SIGHUP

With a configuration file SIGHUP does not end it: the file is read again.

A service manager is told when frames flow, that they still do, and that the switch is about to end.

Signals stay blocked from the first step to the last and are waited for in one place, so none can
interrupt what makes or unmakes things. Whatever fails, the steps that were done are undone.
"""

from __future__ import annotations

import logging
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from vswitch import activation, leasekeeper, openfiles, text, watchdog
from vswitch._fastpath import DROP_REASONS, PORTS_MAX
from vswitch.clock import Clock, time_of_day
from vswitch.config import SwitchConfig
from vswitch.confinement import Confinement
from vswitch.control import address, doors
from vswitch.errors import ConfigError, PortLimitError, VswitchError
from vswitch.leases import Known
from vswitch.linux.notify import Manager
from vswitch.portconfig import PortConfig
from vswitch.service import Service
from vswitch.switch import Switch

if TYPE_CHECKING:
    from vswitch.configsource import Source

log = logging.getLogger(__name__)

CALLED = "listening; who connects becomes a port, called as its VM or {}-1, -2, ..."
LISTENING = {
    "qemu": CALLED,
    "fd": CALLED,
    "vhost-user": "a socket for each virtual machine; as one is taken, the next is made",
}

# By the API's thread, or when first needed: another user may not be able to read them.
LOADED_LATER = (
    "vswitch.control.server",
    "asyncio",
    "concurrent.futures.thread",
    "encodings.idna",
    "ipaddress",
    "vswitch.configsource",
    "vswitch.metrics",
    "vswitch.reconcile",
    "vswitch.stationlists",
)
REASONS = {name: (where, meaning) for name, where, meaning in DROP_REASONS}


def run(
    config: SwitchConfig,
    *,
    api: Path | None = None,
    asked_by: doors.Wanted = doors.Wanted(),  # noqa: B008
    stats_s: float | None = None,
    source: Source | None = None,
    confinement: Confinement | None = None,
) -> None:
    """Run the switch of *config* until SIGINT, SIGTERM or SIGHUP, then print its counters.

    Args:
        config: What it is to be.
        api: Path of its socket, by default `address.path_of` its name; or ``fd:N``.
        asked_by: Who else may ask it, and where.
        stats_s: Print rates every so many seconds.
        source: The file it is from, which SIGHUP has read again.
        confinement: What it gives up when its ports are open.

    Raises:
        VswitchError: it cannot be; everything is as before.
    """
    manager = Manager.taken(os.environ)
    handed_in = activation.api_descriptor(api, os.environ)
    config = activation.resolved(config, os.environ)
    if source:
        source.was_resolved(config)
    confinement = confinement or Confinement()
    _check(config, confinement)
    for place in config.listeners:
        if place.kind == "vhost-user":
            confinement.check_folder(Path(place.address), owner=place.owner, group=place.group)
    account = confinement.account
    leases_at, leases = _leases(config, confinement)
    path = api or address.path_of(config.name, user=account.name if account else "")
    with _held_signals() as signals, _out_of_recordings(config):
        with ExitStack() as undo:
            undo.callback(manager.close)
            opened = undo.enter_context(
                doors.opened(
                    path, config.name, asked_by, owner=confinement.owner, handed_in=handed_in
                )
            )
            service = Service.made(config)
            service.source = source
            switch = service.switch
            undo.callback(switch.close)
            service.open()
            _confine(service, confinement)
            if leases_at:
                _keep(undo, service, leases_at, leases)
            switch.start()
            _announce(switch, " ".join(opened.places), config.listeners)
            undo.enter_context(_served(service, opened))
            manager.ready(_status(switch))
            undo.enter_context(watchdog.fed(switch, manager))
            undo.callback(manager.stopping)
            _wait(service, signals, stats_s, manager)
            ports = switch.port_statuses()
        _say(f"\n{text.counters_table(ports, REASONS)}")


def _check(config: SwitchConfig, confinement: Confinement) -> None:
    if not config.ports and not config.listeners and confinement.lock:
        raise ConfigError(
            "--lock: a switch without ports could never get one",
            hint="give it ports: --port tap0 --port tap1; or leave --lock away",
        )
    if len(config.ports) > PORTS_MAX:
        raise PortLimitError(PORTS_MAX)
    openfiles.allow(config)


def _leases(config: SwitchConfig, confinement: Confinement) -> tuple[Path | None, list[Known]]:
    """Where the leases are kept, if they are, and what is there."""
    place = leasekeeper.place(config, os.environ, confinement)
    return place, leasekeeper.load(place, config, Clock().wall_s(), confinement) if place else []


def _keep(undo: ExitStack, service: Service, path: Path, leases: Sequence[Known]) -> None:
    """Take over *leases* from before, and keep those to come."""
    keeper = leasekeeper.Keeper(service.switch, path)
    keeper.restore(leases, (port.name for port in service.config.ports))
    undo.enter_context(keeper)


@contextmanager
def _held_signals() -> Iterator[set[signal.Signals]]:
    """Block the signals that end a switch; those that came and were not waited for are void."""
    signals = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup(1)
        signals.add(signal.SIGHUP)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield signals
    finally:
        while signal.sigtimedwait(signals, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _out_of_recordings(config: SwitchConfig) -> Iterator[None]:
    """Say everything on standard error if standard output is where a port records to."""
    if any(port.recording and _is_stdout(port.recording) for port in config.ports):
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def _is_stdout(path: str) -> bool:
    try:
        here, out = os.stat(path), os.fstat(sys.stdout.fileno())
    except (OSError, AttributeError):  # it is not there yet, or we have no standard output
        return False
    return os.path.samestat(here, out) and not stat.S_ISCHR(out.st_mode)  # as /dev/null


def _confine(service: Service, confinement: Confinement) -> None:
    """Give up what is not needed any more; before any thread is started, see there."""
    if confinement.needs_all_loaded:
        # numpy comes with a library of linear algebra, which starts threads when it is loaded.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        for module in LOADED_LATER:
            import_module(module)
    confinement.enter()
    service.locked = confinement.lock


# ---------------------------------------------------------------------- running it


def _announce(switch: Switch, api: str, listeners: Sequence[PortConfig]) -> None:
    ports = switch.port_statuses()
    for port in ports:
        waits = text.waiting(port.state, port.address, port.remote)
        _say(f"{port.name}: {text.port_facts(port)}{waits}")
    for place in listeners:
        _say(f"{place.kind}:{place.address}: {LISTENING[place.kind].format(place.name)}")
    mtus = {port.longest for port in ports}
    if len(mtus) > 1:
        log.warning(
            "ports differ in MTU: frames above %d bytes reach only some of them %s",
            min(mtus),
            " ".join(f"{port.name}={port.mtu}" for port in ports),
        )
    if not ports and not listeners:
        log.info("no ports yet, and each that is added takes part hint='vswitch port add PORT'")
    _say(
        f"{switch.name}: {_status(switch)} "
        f"(core {switch.config.core}, pid {os.getpid()}, api {api})"
    )


@contextmanager
def _served(service: Service, opened: doors.Doors) -> Iterator[None]:
    """Answer the API from a thread of its own while the block runs."""
    stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    thread = threading.Thread(
        target=_serve, args=(service, opened, stop), name=f"{service.config.name}-api",
        daemon=True,
    )  # fmt: skip
    thread.start()
    try:
        yield
    finally:
        os.eventfd_write(stop, 1)
        thread.join()
        os.close(stop)


def _serve(service: Service, opened: doors.Doors, stop: int) -> None:
    try:
        # Loaded here, while frames flow already: this takes longer than all of the start.
        import asyncio

        from vswitch.control import server

        asyncio.run(server.serve(service, opened, stop))
    except Exception:
        log.exception("api stops, the switch goes on name=%s", service.config.name)


def _status(switch: Switch) -> str:
    """What we and the service manager say of it."""
    ports = len(switch.ports)
    return f"forwarding {'on' if ports == 1 else 'between'} {text.plural(ports, 'port')}"


def _wait(
    service: Service, signals: set[signal.Signals], stats_s: float | None, manager: Manager
) -> None:
    if stats_s is None:
        while not _ends(service, signal.sigwait(signals), manager):
            pass
        return
    switch = service.switch
    before, then = switch.port_statuses(), switch.clock.precise_s()
    while True:
        got = signal.sigtimedwait(signals, max(0.0, then + stats_s - switch.clock.precise_s()))
        if got:
            if _ends(service, got.si_signo, manager):
                return
            continue
        after, now = switch.port_statuses(), switch.clock.precise_s()
        _say(f"\n{time_of_day()}\n{text.rates_table(before, after, now - then)}")
        before, then = after, now


def _ends(service: Service, number: int, manager: Manager) -> bool:
    """Follow a signal; whether it ends the switch."""
    if number != signal.SIGHUP or service.source is None:
        log.debug("stopping signal=%s", signal.Signals(number).name)
        return True
    manager.reloading(service.switch.clock.precise_s())
    try:
        changes = service.reload()
    except (VswitchError, OSError) as e:
        hint = f" hint={e.hint!r}" if isinstance(e, VswitchError) and e.hint else ""
        log.error("not reloaded error=%r%s", str(e), hint)
    else:
        log.info("reloaded changes=%d", len(changes))
    manager.ready(_status(service.switch))
    return False


def _say(line: str) -> None:
    """Print, and go on forwarding when nobody reads (any more)."""
    try:
        print(line, flush=True)
    except OSError as e:
        log.debug("standard output is gone error=%s", e)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # or Python complains again when it exits
        os.close(null)
