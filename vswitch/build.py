"""What this installation of vswitch is: version, and how its compiled core was built."""

from __future__ import annotations

import platform

from vswitch import __version__


def describe() -> str:
    """One line for ``vswitch --version`` and for bug reports."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"vswitch {__version__} (core c: {_core()}; {python}, {platform.machine()})"


def _core() -> str:
    try:
        from vswitch import _fastpath
    except ImportError:
        return "not built"
    return f"{_fastpath.PROFILE} build"
