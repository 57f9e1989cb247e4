"""The table "Who may import whom" of ARCHITECTURE.md, held against the sources."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "vswitch"
PATH_LINES_MAX = 500


def table():
    """module -> what it may import from vswitch, as ARCHITECTURE.md says."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text.split("## Who may import whom", 1)[1].split("\n## ", 1)[0]
    allowed = {}
    for left, right in re.findall(r"^\| (`.+`) \| (.+) \|$", section, re.MULTILINE):
        for module in re.findall(r"`(\w+)`", left):
            allowed[module] = set(re.findall(r"`(\w+)`", right))
    return allowed


def imports_of(path):
    """First component below ``vswitch`` of everything a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "vswitch":
            found |= {a.name for a in node.names if not a.name.startswith("__")}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vswitch."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("vswitch.")}
    return found


def sources(module):
    one = PACKAGE / f"{module}.py"
    return [one] if one.exists() else sorted((PACKAGE / module).glob("**/*.py"))


@pytest.mark.parametrize("module", sorted(table()))
def test_imports_point_downwards(module):
    files = sources(module)

    assert files, f"ARCHITECTURE.md names {module}, which does not exist"
    for path in files:
        extra = imports_of(path) - table()[module] - {module}
        assert not extra, f"{path.relative_to(ROOT)} may not import {sorted(extra)}"


def test_every_module_is_in_the_table():
    names = {p.stem if p.suffix == ".py" else p.name for p in PACKAGE.iterdir()}
    outside = {"__init__", "__main__", "__pycache__", "datapath", "py"}
    modules = {n for n in names if (PACKAGE / n).is_dir() or (PACKAGE / f"{n}.py").exists()}

    assert modules - outside - set(table()) == set()


def test_the_c_leaves_know_nothing_of_python():
    for path in (PACKAGE / "datapath").glob("*.[ch]"):
        assert "Python.h" not in path.read_text(), path.name


def test_the_frame_path_stays_short():
    for name in ("_fastpath.pyx", "_ports.pyx", "_tables.pyx"):
        lines = (PACKAGE / name).read_text().count("\n")
        assert lines <= PATH_LINES_MAX, f"{name} has {lines} lines: cut it by responsibility"


def test_the_reference_switch_fits_an_evening():
    assert (PACKAGE / "reference.py").read_text().count("\n") <= 400
