"""The C headers of the datapath, alone: every ``test_*.c`` here is built and run.

A test that needs more flags says so in its first line: ``/* cc: -pthread */``.

Without a compiler these tests fail, and are not skipped: whoever can build vswitch has one.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CC = os.environ.get("CC", "cc")
STRICT = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
STRICT += ["-Wsign-conversion"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def own_flags(source: Path) -> list[str]:
    found = re.match(r"/\* cc: (.*) \*/", source.read_text())
    return found[1].split() if found else []


@pytest.mark.parametrize("source", sorted(HERE.glob("test_*.c")), ids=lambda p: p.stem)
def test_c_leaf(source: Path, tmp_path: Path) -> None:
    build = subprocess.run(
        [
            CC,
            *STRICT,
            *SANITIZE,
            *own_flags(source),
            f"-I{ROOT / 'vswitch'}",
            source,
            "-o",
            tmp_path / "t",
        ],
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stderr

    run = subprocess.run([tmp_path / "t"], capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "header", sorted((ROOT / "vswitch" / "datapath").glob("*.h")), ids=lambda p: p.name
)
def test_a_header_includes_what_it_needs(header: Path) -> None:
    build = subprocess.run(
        [CC, *STRICT, f"-I{ROOT / 'vswitch'}", "-fsyntax-only", "-x", "c", "-"],
        input=f'#include "{header}"\n',
        capture_output=True,
        text=True,
    )

    assert build.returncode == 0, build.stderr
