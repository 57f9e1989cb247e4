"""From a configuration to a running switch, until a signal ends it.

    hold signals -> take the socket -> open ports -> forward -> say so -> load the API server
                                                        |
    remove the socket <- close the switch (its ports) <-+ SIGINT, SIGTERM, SIGHUP

Signals stay blocked from the first step to the last and are waited for in one place, so none can
interrupt what makes or unmakes things. Whatever fails, the steps that were done are undone.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path

from vswitch import activation, text
from vswitch._fastpath import DROP_REASONS, PORTS_MAX
from vswitch.clock import time_of_day
from vswitch.config import SwitchConfig
from vswitch.control import address, doors
from vswitch.errors import ConfigError, PortLimitError
from vswitch.portconfig import PortConfig
from vswitch.service import Service
from vswitch.switch import Switch

log = logging.getLogger(__name__)

CALLED = "listening; who connects becomes a port, called as its VM or {}-1, -2, ..."
LISTENING = {
    "qemu": CALLED,
    "fd": CALLED,
    "vhost-user": "a socket for each virtual machine; as one is taken, the next is made",
}

FILES_BESIDES = 200  # those of Python, of the API and its clients
REASONS = {name: (where, meaning) for name, where, meaning in DROP_REASONS}


def run(
    config: SwitchConfig,
    *,
    api: Path | None = None,
    asked_by: doors.Wanted = doors.Wanted(),  # noqa: B008
    stats_s: float | None = None,
) -> None:
    """Run the switch of *config* until SIGINT, SIGTERM or SIGHUP, then print its counters.

    Args:
        config: What it is to be.
        api: Path of its socket, by default `address.path_of` its name.
        asked_by: Who else may ask it, and where.
        stats_s: Print rates every so many seconds.

    Raises:
        VswitchError: it cannot be; everything is as before.
    """
    config = activation.resolved(config, os.environ)
    _check(config)
    path = api or address.path_of(config.name)
    with _held_signals() as signals, _out_of_recordings(config):
        with ExitStack() as undo:
            opened = undo.enter_context(doors.opened(path, config.name, asked_by))
            service = Service.made(config)
            switch = service.switch
            undo.callback(switch.close)
            service.open()
            switch.start()
            _announce(switch, " ".join(filter(None, (str(path), opened.url))), config.listeners)
            undo.enter_context(_served(service, opened))
            _wait(switch, signals, stats_s)
            ports = switch.port_statuses()
        _say(f"\n{text.counters_table(ports, REASONS)}")


def _check(config: SwitchConfig) -> None:
    if not config.ports and not config.listeners:
        raise ConfigError("a switch needs ports", hint="vswitch --port tap0 --port tap1")
    if len(config.ports) > PORTS_MAX:
        raise PortLimitError(PORTS_MAX)
    _allow_files(config)


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


# ---------------------------------------------------------------------- making it


def _allow_files(config: SwitchConfig) -> None:
    """See that as many files can be open as it takes: each queue of a port is one."""
    needed = sum(port.queues for port in config.ports) + FILES_BESIDES + 4 * config.pollers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if config.listeners:  # as many as may come, if so many are allowed
        needed = max(needed, min(needed + PORTS_MAX, hard))
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{text.plural(len(config.ports), 'port')} need {needed} open files, "
            f"and {hard} are allowed",
            hint=f"allow more: ulimit -n {needed}",
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


# ---------------------------------------------------------------------- running it


def _announce(switch: Switch, api: str, listeners: Sequence[PortConfig]) -> None:
    ports = switch.port_statuses()
    for port in ports:
        waits = text.waiting(port.state, port.address, port.remote)
        _say(f"{port.name}: {text.port_facts(port)}{waits}")
    for place in listeners:
        _say(f"{place.kind}:{place.address}: {LISTENING[place.kind].format(place.name)}")
    mtus = {port.mtu for port in ports}
    if len(mtus) > 1:
        log.warning(
            "ports differ in MTU: frames above %d bytes reach only some of them %s",
            min(mtus),
            " ".join(f"{port.name}={port.mtu}" for port in ports),
        )
    among = "on" if len(ports) == 1 else "between"
    _say(
        f"{switch.name}: forwarding {among} {text.plural(len(ports), 'port')} "
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


def _wait(switch: Switch, signals: set[signal.Signals], stats_s: float | None) -> None:
    if stats_s is None:
        _log_signal(signal.sigwait(signals))
        return
    before, then = switch.port_statuses(), switch.clock.precise_s()
    while True:
        got = signal.sigtimedwait(signals, max(0.0, then + stats_s - switch.clock.precise_s()))
        if got:
            _log_signal(got.si_signo)
            return
        after, now = switch.port_statuses(), switch.clock.precise_s()
        _say(f"\n{time_of_day()}\n{text.rates_table(before, after, now - then)}")
        before, then = after, now


def _log_signal(number: int) -> None:
    log.debug("stopping signal=%s", signal.Signals(number).name)


def _say(line: str) -> None:
    """Print, and go on forwarding when nobody reads (any more)."""
    try:
        print(line, flush=True)
    except OSError as e:
        log.debug("standard output is gone error=%s", e)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # or Python complains again when it exits
        os.close(null)
