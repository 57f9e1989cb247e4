"""Fixtures of all test levels; what they are made of is in ``tests/support``."""

from __future__ import annotations

import compileall
import gc
import logging
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import settings

from support.command import ROOT
from support.guest_rig import Rig
from support.lab import Lab
from support.namespaces import Netns

FILES_MANY = 150

# Every run tries something else; a failure says how to have it again (@reproduce_failure).
settings.register_profile("vswitch", print_blob=True)
settings.load_profile("vswitch")


def pytest_configure(config: pytest.Config) -> None:
    # What we start inherits a signal that is ignored, as under nohup(1) or behind a shell's "&",
    # and a switch respects that: then it would not end with the signal that is tested.
    for number in (signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        # For the hundreds of commands that are started; scripts/setup.sh does it, too.
        compileall.compile_dir(ROOT / "vswitch", quiet=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        skip = pytest.mark.skip(reason="needs root: network namespaces, TAP devices")
        for item in items:
            if item.get_closest_marker("netns"):
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    # Thousands of tests and all they import are never garbage: a collection, which took half a
    # second, has no need to look at them.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With VSWITCH_NO_SKIPS in the environment a test that is skipped has failed."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("VSWITCH_NO_SKIPS"):
        _, _, reason = report.longrepr
        report.outcome, report.longrepr = "failed", f"VSWITCH_NO_SKIPS is set, and: {reason}"
    return report


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """As they were: the command, called in this process, sets them."""
    loggers = [logging.getLogger(), logging.getLogger("vswitch")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def few_files() -> Iterator[None]:
    """Closed switches in cycles of references hold descriptors until they are collected, which in a
    process of that many objects is seldom."""
    yield
    if len(os.listdir("/proc/self/fd")) > FILES_MANY:
        gc.collect()


@pytest.fixture
def core_of_labs() -> str:
    """The core of this module's labs; one whose tests hold for both overrides it with params."""
    return "c"


@pytest.fixture
def lab(request: pytest.FixtureRequest, core_of_labs: str) -> Iterator[Callable[..., Lab]]:
    """Factory of labs: ``lab("a", "b")``; each is closed, and its counters added up.

    Tests that hold for both cores say ``parametrize("lab", ["c", "python"], indirect=True)``.
    """
    core = getattr(request, "param", core_of_labs)
    with ExitStack() as stack:

        def make(*names: str, **options: object) -> Lab:
            made = Lab(*names, **{"core": core, **options})
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def rig() -> Iterator[Callable[..., Rig]]:
    """Factory of rigs; their guests are gone after the test."""
    with ExitStack() as stack:

        def make(**options: int) -> Rig:
            made = Rig(**options)
            stack.push(made.stack)
            return made

        yield make


@pytest.fixture
def netns() -> Iterator[Callable[[str], Netns]]:
    """Factory of namespaces; every one is gone after the test, failed or not."""
    with ExitStack() as stack:

        def make(name: str) -> Netns:
            made = Netns(name)
            stack.callback(made.delete)
            made.create()
            return made

        yield make
