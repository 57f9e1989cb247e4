"""The words behind a command, as bridge(8) has them: ``dev tap0 vlan 7 static``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vswitch.cli._group import Suggestion

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Command = TypeVar("Command", bound=Callable[..., Any])
# What a word's value can be, for the shell to complete; asked only then.
Choices = Callable[[click.Context], Iterable[str]]


def one_of(*choices: str) -> Choices:
    return lambda _: choices


@dataclass(frozen=True, slots=True)
class Said:
    """The words of a command line."""

    values: Mapping[str, str]
    flags: frozenset[str]

    def get(self, word: str) -> str | None:
        return self.values.get(word)

    def needed(self, word: str, what: str) -> str:
        """The value of *word*, without which there is no sense."""
        if word not in self.values:
            raise click.UsageError(f"{what} is missing")
        return self.values[word]


@dataclass(frozen=True)
class Grammar:
    """The words that a command knows.

    Args:
        values: Those with a value.
        flags: Those without.
        free: What one word that is none of these is: as the address of ``fdb add``.
        synonyms: Other spellings.
        refused: Words that bridge(8) knows, and why they cannot be said here.
    """

    values: Mapping[str, Choices]
    flags: tuple[str, ...] = ()
    free: str = ""
    synonyms: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def argument(self, metavar: str) -> Callable[[Command], Command]:
        """The parameter *given* of a command that reads these words."""
        return click.argument("given", nargs=-1, metavar=metavar, shell_complete=self.complete)

    def read(self, given: Iterable[str], **so_far: str | None) -> Said:
        """What *given* says, when options said *so_far*.

        Raises:
            click.UsageError: it says nothing that can be.
        """
        values = {word: value for word, value in so_far.items() if value is not None}
        flags = set()
        rest = list(given)
        while rest:
            spelled = rest.pop(0)
            word = self.synonyms.get(spelled, spelled)
            if word in self.flags:
                flags.add(word)
                continue
            if word in self.values:
                if not rest:
                    raise click.UsageError(f"{spelled!r} needs a value")
                value = rest.pop(0)
            else:
                word, value = self._free(spelled, values), spelled
            if values.get(word, value) != value:
                raise click.UsageError(f"{word!r} is given twice: {values[word]} and {value}")
            values[word] = _checked(word, value)
        return Said(values, frozenset(flags))

    def _free(self, spelled: str, values: Mapping[str, str]) -> str:
        if spelled in self.refused:
            raise click.UsageError(f"{spelled}: {self.refused[spelled]}")
        if self.free and self.free not in values:
            return self.free
        known = [*self.values, *self.flags]
        near = difflib.get_close_matches(spelled, known, 1)
        raise Suggestion(
            f"unknown word {spelled!r}" + ("" if near else f": there is {', '.join(known)}"), near
        )

    def complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What can stand where *incomplete* does."""
        from click.shell_completion import CompletionItem

        given: list[str] = list(ctx.params.get("given") or ())
        expected, used = None, set()
        while given:
            word = self.synonyms.get(given[0], given[0])
            used.add(word)
            if word in self.values and len(given) == 1:
                expected = self.values[word]
            given = given[2 if word in self.values else 1 :]
        unused = [word for word in (*self.values, *self.flags) if word not in used]
        found = unused if expected is None else expected(ctx)
        return [CompletionItem(word) for word in found if word.startswith(incomplete)]


def _checked(word: str, value: str) -> str:
    if not value or not value.isprintable():  # as are bytes that are no text
        raise click.UsageError(f"{word!r} needs a value, and {value!r} is none")
    return value
