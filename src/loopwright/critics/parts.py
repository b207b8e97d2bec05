"""What a kind of critic is made into before it becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

from loopwright.core.types import Example, input_text
from loopwright.core.world import Critic


def target_text(example: Example) -> str | None:
    """A target that is text or a number, as an answer."""
    target = example.target
    return input_text(target) if isinstance(target, str | int | float) and not isinstance(target, bool) and target != "" else None


def no_answer(example: Example) -> None:
    """Of targets that are patterns or tests: they tell a right answer and are none."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a kind makes of its table.

    instead: for a kind that needs the target, what to write to have a critic. files: hash of each file it reads.
    answer: the right answer that an example's target shows, or None where targets of this kind say how to check one.
    graded: whether scores may lie between 0 and 1; None where only what it says will tell.
    sandbox: whether it runs code of answers.
    """

    judge: Critic
    options: dict[str, JsonValue]
    needs_target: bool = False
    instead: str = "use another kind"
    problem: Callable[[Example], str] | None = None
    files: dict[str, str] = field(default_factory=dict)
    answer: Callable[[Example], str | None] = target_text
    graded: bool | None = None
    sandbox: bool = False
