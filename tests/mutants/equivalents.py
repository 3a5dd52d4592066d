"""Mutants that no test can notice, because they change nothing that a caller sees."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutation import Mutant

LIST = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True, slots=True)
class Equivalent:
    """Mutants of `file` that turn a line with `was` into one with `becomes`; "" is any file."""

    was: str
    becomes: str
    reason: str
    file: str = ""

    def matches(self, mutant: Mutant, diff: tuple[list[str], list[str]]) -> bool:
        before, after = map("\n".join, diff)
        is_here = not self.file or mutant.path.as_posix().endswith(self.file)
        return is_here and self.was in before and self.becomes in after


def load_equivalents() -> list[Equivalent]:
    return [Equivalent(**entry) for entry in tomllib.loads(LIST.read_text())["equivalent"]]


def is_equivalent(mutant: Mutant, listed: Sequence[Equivalent]) -> bool:
    diff = mutant.diff()
    return any(entry.matches(mutant, diff) for entry in listed)
