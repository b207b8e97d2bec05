"""What a role is to the script that teaches it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from loopwright.worlds.lab.dialogues import Said


class Task(NamedTuple):
    """A question and what makes an attempt at it right: the answer, or the rule that was drawn."""

    question: str
    target: str


SHARES = (0.3, 0.25)  # of lessons: something else, and attempts after feedback, unless a role has ``shares`` of its own
Own = Mapping[Task, Sequence[str]]  # wrong attempts of the model itself


class Role(Protocol):
    """All questions are of the split "teach" (``dialogues.part_of``), unless ``taught`` is false: then none is."""

    name: str

    def draw(self, rng: random.Random, *, taught: bool = True, done: float = 1.0) -> Task:
        """A question; early in a training (``done`` from 0 to 1) more of the easy ones."""
        ...

    def ask(self, task: Task) -> list[Said]:
        """The conversation up to a first attempt."""
        ...

    def again(self, task: Task, attempt: str) -> list[Said] | None:
        """The conversation up to an attempt that puts this one right; None where true feedback finds nothing wrong."""
        ...

    def right(self, task: Task, attempt: str) -> bool:
        """Whether the attempt solves the task, which feedback need not see."""
        ...

    def solution(self, task: Task) -> str: ...

    def spoil(self, task: Task, rng: random.Random) -> str:
        """An attempt with slips that feedback finds."""
        ...

    def other(self, rng: random.Random, *, taught: bool = True) -> tuple[str, list[Said], str]:
        """Something else that it is taught: by what name, the conversation, and the answer."""
        ...


@runtime_checkable
class InParts(Protocol):
    """A role whose answer to ``other`` has several parts, each of which is right or wrong by itself."""

    def marks(self, asked: Sequence[Said], said: str) -> list[bool]: ...


def marks(role: Role, asked: Sequence[Said], right: str, said: str) -> list[bool]:
    """Whether what it said to ``other`` is right, part by part where it has parts."""
    return role.marks(asked, said) if isinstance(role, InParts) else [said.strip() == right]


def lesson(role: Role, rng: random.Random, own: Own, done: float = 1.0) -> list[Said]:
    """A dialogue whose last turn is to be learned: a first attempt, one after feedback, or something else."""
    kind = rng.random()
    else_, again = getattr(role, "shares", SHARES)
    if kind < else_:
        _, asked, answer = role.other(rng)
        return [*asked, Said("assistant", answer, 1.0)]
    if kind < else_ + again:
        task = rng.choice(list(own)) if own and rng.random() < 0.6 else role.draw(rng, done=done)
        attempt = rng.choice(own[task]) if task in own else role.spoil(task, rng)
        asked_again = role.again(task, attempt)
        assert asked_again is not None, attempt
        return [*asked_again, Said("assistant", role.solution(task), 1.0)]
    task = role.draw(rng, done=done)
    return [*role.ask(task), Said("assistant", role.solution(task), 1.0)]
