"""A random choice of mutants, from every file."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.mutation.mutants import RULES, Mutant, mutants_of


def all_mutants(wanted: Sequence[str] = ()) -> list[list[Mutant]]:
    """The mutants of each file of rules whose path contains one of the words; all without words."""
    files = [
        path
        for path in sorted(RULES.rglob("*.py"))
        if not wanted or any(word in str(path.relative_to(RULES)) for word in wanted)
    ]
    return [found for found in map(mutants_of, files) if found]


def sample(files: Sequence[Sequence[Mutant]], count: int, seed: int) -> list[Mutant]:
    """As many mutants as asked for: of each file one, the others as many as it has of all."""
    chance = random.Random(seed)
    shuffled = [chance.sample(list(mutants), len(mutants)) for mutants in files]
    first = [mutants[0] for mutants in shuffled]
    rest = [mutant for mutants in shuffled for mutant in mutants[1:]]
    chosen = chance.sample(first, min(count, len(first)))
    return chosen + chance.sample(rest, min(count - len(chosen), len(rest)))
