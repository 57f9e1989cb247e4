"""The C headers of the datapath, alone: every ``test_*.c`` here is built and run.

A first line ``/* cc: FLAGS */`` adds flags.  One that asks for a sanitizer gets that one instead of
the usual two, as they do not go together.

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
DEBUG = ["-g", "-O1"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def flags_of(source: Path) -> list[str]:
    first_line = source.read_text().partition("\n")[0]
    match = re.fullmatch(r"/\* cc: (.*) \*/", first_line)
    own = match[1].split() if match else []
    sanitized = any(flag.startswith("-fsanitize=") for flag in own)
    return [*STRICT, *DEBUG, *([] if sanitized else SANITIZE), *own]


@pytest.mark.parametrize("source", sorted(HERE.glob("test_*.c")), ids=lambda p: p.stem)
def test_c_leaf(source: Path, tmp_path: Path) -> None:
    build = subprocess.run(
        [CC, *flags_of(source), f"-I{ROOT / 'vswitch'}", source, "-o", tmp_path / "t"],
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
