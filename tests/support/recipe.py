"""The lines for virtual machines in README.md, so that what is tested is what users paste."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from support.command import ROOT

HEADING = "## Virtual machines\n"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One block of the section: a line for the switch, and QEMU's for the first VM."""

    vswitch: list[str]
    qemu: list[str]

    def machine(self, number: int, *, card: str = "", wire: str = "") -> list[str]:
        """QEMU's words for VM *number*, which has that where the first has a 1; *card* and *wire*
        follow its ``-device`` and its ``-netdev``."""
        words = [re.sub(r"(tap|lan|vm|:0)1\b", rf"\g<1>{number}", word) for word in self.qemu]
        words[words.index("-device") + 1] += card
        words[words.index("-netdev") + 1] += wire
        return words


def recipe(kind: str, folder: Path = Path("/tmp")) -> Recipe:
    """The recipe with ``-netdev KIND``, its sockets in *folder*."""
    lines = _commands(kind).replace("/tmp/", f"{folder}/").splitlines()
    qemu = next(line for line in lines if line.startswith("qemu-system-"))
    switch = next(line for line in lines if line.startswith("vswitch "))
    return Recipe(shlex.split(switch)[1:], shlex.split(qemu.partition(" ... ")[2]))


def _commands(kind: str) -> str:
    """The commands of the block, one a line, without prompts."""
    section = (ROOT / "README.md").read_text().partition(HEADING)[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    block = next(block for block in blocks if f"-netdev {kind}," in block)
    return re.sub(r"^[$#] ", "", re.sub(r" \\\n +", " ", block), flags=re.MULTILINE)
