"""Build fuzz_vhost.c and run it so many times in all, on several cores; `make fuzz`.

    python tests/fuzz/fuzz_vhost.py --executions 10000000

With clang it is libFuzzer that thinks of inputs, and what it found worth keeping stays in
``build/fuzz_vhost``; with another compiler (``CC``) the program's own loop does.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_suffix(".c")
LOOP = SOURCE.with_name("fuzz_main.c")
STRICT = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion"]
STRICT += ["-Wsign-conversion", "-g", "-O1", "-fno-sanitize-recover=all"]
INPUT_MAX = 512


def build(cc: str, folder: Path) -> tuple[Path, bool]:
    """The program, and whether libFuzzer drives it."""
    is_clang = "clang" in Path(cc).name
    how = ["-fsanitize=fuzzer,address,undefined"] if is_clang else ["-fsanitize=address,undefined"]
    sources = [SOURCE] if is_clang else [SOURCE, LOOP]
    program = folder / "fuzz_vhost"
    subprocess.run(
        [cc, *STRICT, *how, f"-I{ROOT / 'vswitch'}", *sources, "-o", program],
        check=True, timeout=120,
    )  # fmt: skip
    return program, is_clang


def start(program: Path, *, is_clang: bool, executions: int, seed: int) -> subprocess.Popen[str]:
    folder = program.parent
    if is_clang:
        corpus = folder / "corpus"
        corpus.mkdir(exist_ok=True)
        arguments = [f"-runs={executions}", f"-seed={seed}", f"-max_len={INPUT_MAX}"]
        arguments += [f"-artifact_prefix={folder}/", os.fspath(corpus)]
    else:
        arguments = [str(executions), str(seed)]
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    with open(folder / f"{seed}.log", "w") as log:
        return subprocess.Popen([program, *arguments], stdout=log, stderr=log, env=environment)


def fuzz(cc: str, folder: Path, *, executions: int, jobs: int, seed: int) -> str:
    """Run; returns the line to print. SystemExit with what was said when something was found."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    program, is_clang = build(cc, folder)
    share = [executions // jobs + (i < executions % jobs) for i in range(jobs)]
    seeds = range(seed, seed + jobs)
    running = [
        start(program, is_clang=is_clang, executions=n, seed=s)
        for n, s in zip(share, seeds, strict=True)
    ]
    total = 0
    for process, s in zip(running, seeds, strict=True):
        status = process.wait()
        said = (folder / f"{s}.log").read_text(errors="replace")
        done = re.search(r"Done (\d+) runs|(\d+) executions", said)
        if status or not done:
            sys.exit(f"{said[-4000:]}\nfuzz_vhost: a finding, see {folder}")
        total += int(done[1] or done[2])
    how = "libFuzzer" if is_clang else "its own loop"
    return (
        f"fuzz_vhost: {total} executions by {how}, {jobs} jobs, seed {seed}, "
        f"{time.monotonic() - began:.1f} s: no finding"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cc", default=shutil.which("clang") or os.environ.get("CC", "cc"))
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fuzz_vhost")
    options = parser.parse_args()
    print(
        fuzz(
            options.cc, options.folder, executions=options.executions, jobs=options.jobs,
            seed=options.seed,
        )
    )  # fmt: skip


if __name__ == "__main__":
    main()
