"""Examples that belong together: what is averaged and tested are the means of groups, as members of one tell nearly the same.

An example without a group is a unit of its own. Examples of one group (turns of one dialogue, questions about one text) are
not independent of each other, and a test that took them so would find gains that are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from loopwright.core.gate import Interval, Side, counted, paired_differences, summarise
from loopwright.core.types import Example


class Unit(NamedTuple):
    """What counts as one: a group, or an example that is in none. ``members`` are positions among the examples."""

    key: str
    members: tuple[int, ...]


def units(examples: Sequence[Example]) -> list[Unit]:
    """The groups of examples, in the order in which each first appears.

    Args:
        examples: of one split.

    Returns:
        One unit for each group, and for each example without one.
    """
    found: dict[tuple[bool, str], list[int]] = {}
    for at, example in enumerate(examples):
        found.setdefault((bool(example.group), example.group or example.id), []).append(at)
    return [Unit(f"group {name}" if grouped else name, tuple(members)) for (grouped, name), members in found.items()]


def counts_of(examples: Iterable[Example]) -> Literal["examples", "groups"]:
    """What the number of units is a number of: "groups" where any example has one, else "examples"."""
    return "groups" if any(example.group for example in examples) else "examples"


def unit_scores(made_of: Sequence[Unit], scores: Sequence[float | None], side: Side) -> list[float | None]:
    """The score of each unit: of an example its own, of a group the mean, in which a missing score is ``counted``.

    Args:
        made_of: as ``units`` gives them.
        scores: by example, None where there is none.
        side: of the comparison; decides what a missing score is worth beside others of its group.

    Returns:
        One score a unit; None where no member has one.
    """

    def mean(members: tuple[int, ...]) -> float | None:
        own = [scores[at] for at in members]
        if all(score is None for score in own):
            return None
        return own[0] if len(own) == 1 else math.fsum(counted(own, side)) / len(own)

    return [mean(unit.members) for unit in made_of]


class Comparison(NamedTuple):
    """Two versions on the same examples: the figure of each, and what the second is better by on every unit."""

    before: Interval
    after: Interval
    differences: list[float]
    missing: int  # units without a score of one or the other


def compare_units(
    examples: Sequence[Example], before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> Comparison:
    """The figures of two versions over the examples that both were asked, each unit counting once, nothing dropped.

    Args:
        examples: of both; those that one of them was not asked are left out.
        before: scores by example id; a missing one counts 1.
        after: likewise; a missing one counts 0. The same mapping as ``before``, where nothing replaced it: then 0 in both.

    Returns:
        Both figures with their intervals, and the paired differences.
    """
    shared = [example for example in examples if example.id in before and example.id in after]
    made_of = units(shared)
    side: Side = "candidate" if before is after else "incumbent"
    first = unit_scores(made_of, [before[e.id] for e in shared], side)
    second = unit_scores(made_of, [after[e.id] for e in shared], "candidate")
    differences = [0.0] * len(first) if before is after else paired_differences(first, second)
    return Comparison(
        summarise(first, side=side), summarise(second, side="candidate"), differences,
        sum(a is None or b is None for a, b in zip(first, second, strict=True)),
    )  # fmt: skip
