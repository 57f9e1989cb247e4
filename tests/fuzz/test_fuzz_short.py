"""The fuzzers run, and find nothing in the time a test may take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_forty_thousand_frames_break_no_invariant():
    script = Path(__file__).with_name("fuzz_poll.py")

    # Six rounds of up to 96,000 frames: by hand, one poller, two pollers; again with policies.
    for first_round in range(6):
        done = subprocess.run(
            [sys.executable, script, "--frames", "7000", "--first-round", str(first_round)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

        assert done.returncode == 0, done.stderr
        assert "no violation" in done.stdout


def test_a_hundred_thousand_evil_guests_break_nothing(tmp_path):
    """By the program's own loop: whoever can build vswitch has a compiler for it."""
    script = Path(__file__).with_name("fuzz_vhost.py")

    done = subprocess.run(
        [sys.executable, script, "--executions", "100000", "--jobs", "1", "--folder", tmp_path,
         "--cc", os.environ.get("CC", "cc")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "fuzz_vhost: 100000 executions" in done.stdout


def test_five_thousand_messages_break_nothing():
    script = Path(__file__).with_name("fuzz_vhost_session.py")

    done = subprocess.run(
        [sys.executable, script, "--messages", "5000"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "fuzz_vhost_session: 5000 messages" in done.stdout
