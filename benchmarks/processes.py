"""Starting, awaiting and ending other programs; compiling the small ones of our own."""

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND_TIMEOUT_S = 30.0
READY_TIMEOUT_S = 10.0
END_TIMEOUT_S = 5.0
LOOK_S = 0.002  # how often a starting program's output is looked at; the error of a start time

HERE = Path(__file__).resolve().parent
TOOLS = (
    "bare_loop", "bare_packet", "bare_ring", "bare_stream", "bare_xdp", "frames", "pingpong",
    "stream_frames",
)  # fmt: skip


class BenchmarkError(Exception):
    """Something cannot be measured here; *hint* says what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.hint})" if self.hint else super().__str__()


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> str:
    """Standard output of *command*; raises BenchmarkError with its last words when it fails."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            env=env,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise BenchmarkError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{' '.join(command)}: no end after {COMMAND_TIMEOUT_S} s") from None
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise BenchmarkError(f"{' '.join(command)}: {words}")
    return done.stdout


def compile_tools(folder: Path) -> None:
    """Compile the C programs beside this file into *folder*."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchmarkError("no C compiler found", "install gcc")
    for tool in TOOLS:
        run([compiler, "-O2", "-o", str(folder / tool), str(HERE / f"{tool}.c")])


class Process:
    """A program in the background; its output goes to a file, so it can never block on us."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self._log = log
        self._started_s = time.monotonic()
        with log.open("wb") as output:
            # Standard input stays open without data: VDE and our counter end when it ends.
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def last_words(self) -> str:
        """The last line it has printed."""
        return (self.output().strip() or "it printed nothing").splitlines()[-1]

    def wait_for(self, word: str) -> float:
        """Seconds from its start until *word* was in its output."""
        while word not in self.output():
            waited_s = time.monotonic() - self._started_s
            if self._popen.poll() is not None or waited_s > READY_TIMEOUT_S:
                raise BenchmarkError(f"{self.name} did not get ready: {self.last_words()}")
            time.sleep(LOOK_S)
        return time.monotonic() - self._started_s

    def ask(self, command: str, word: str, times: int = 1) -> str:
        """Type *command*; what it has printed since, once *word* is in it so many times."""
        before = len(self.output())
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(f"{command}\n".encode())
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise BenchmarkError(f"{self.name} ended: {self.last_words()}") from None
        deadline_s = time.monotonic() + READY_TIMEOUT_S
        while (said := self.output()[before:]).count(word) < times:
            if not self.alive or time.monotonic() > deadline_s:
                raise BenchmarkError(f"{self.name}, {command}: {self.last_words()}")
            time.sleep(LOOK_S)
        return said

    def finish(self) -> str:
        """End its standard input, wait until it ends by itself and return all it printed."""
        try:
            self._popen.communicate(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.stop()
        return self.output()

    def stop(self) -> None:
        """End it: asked first, forced when it does not listen. Harmless when it has ended."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        if self._popen.stdin is not None:
            self._popen.stdin.close()
