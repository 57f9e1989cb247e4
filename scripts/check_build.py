"""Fail when the compiled modules could take the GIL on the frame path, or our C has warnings.

Cython names such calls as performance hints while it translates; gcc names the rest. Both are
read from a fresh build, as an incremental one says nothing about what it does not touch.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BAD = re.compile(r"performance hint:.*|.*vswitch/(?:datapath/|_).*warning:.*")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        build = subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--force", "-b", folder, "-t", folder],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    output = build.stdout + build.stderr
    found = BAD.findall(output)
    for line in found:
        print(line)
    if build.returncode:
        print(output[-2000:])
    return 1 if found or build.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
