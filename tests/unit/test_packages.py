"""What is installed is what is in the tree: no package is forgotten."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = (".py", ".pyi", ".pxd", ".h", ".typed")


def sources(folder):
    return {
        str(path.relative_to(folder))
        for path in folder.glob("vswitch/**/*")
        if path.suffix in INSTALLED or path.name == "py.typed"
    }


def test_a_wheel_has_every_module_of_the_tree(tmp_path):
    # A list of files that an earlier build left in the tree would be believed: make a new one.
    info, built = tmp_path / "info", tmp_path / "built"
    info.mkdir()
    subprocess.run(
        [sys.executable, "setup.py", "-q", "egg_info", "-e", info, "build_py", "-d", built],
        cwd=ROOT, check=True, capture_output=True, timeout=60,
    )  # fmt: skip

    assert sources(built) == sources(ROOT)
    assert "vswitch/doctor/checks.py" in sources(built)
