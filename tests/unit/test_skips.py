"""A skipped test is green by default, and red where nothing may be left out."""

import os
import subprocess
import sys

import pytest

from support.command import ROOT

SKIPPED = "import pytest\n@pytest.mark.skip(reason='no moon')\ndef test_it(): pass\n"
FAILED = "VSWITCH_NO_SKIPS is set, and: Skipped: no moon"


@pytest.mark.parametrize(
    ("workers", "no_skips", "status", "said"),
    [("0", "", 0, "1 skipped"), ("0", "1", 1, FAILED), ("1", "1", 1, FAILED)],
)
def test_a_skip_fails_where_it_must_not_be(tmp_path, workers, no_skips, status, said):
    (tmp_path / "test_it.py").write_text(SKIPPED)

    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider"),
            *("-n", workers, "test_it.py"),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"VSWITCH_NO_SKIPS": no_skips, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )  # fmt: skip

    assert (done.returncode, said in done.stdout) == (status, True), done.stdout
