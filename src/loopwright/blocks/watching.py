"""Watching what a Learner still knows of every task while a stream teaches it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import JsonValue

from loopwright.blocks import continual
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Score, Steps
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner, Session, drive
from loopwright.core.measure import Record
from loopwright.core.types import Example, Rollout, Trial
from loopwright.core.world import Probe, Stream

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Tasks(Stream, Protocol):
    """A stream of tasks; see Stream."""

    def probes(self, seed: int) -> Sequence[Probe]: ...

    def ends(self, seed: int) -> Sequence[int]: ...


class Watched(NamedTuple):
    """What was seen of one run."""

    matrix: np.ndarray  # [evaluations, tasks] mean worth of the held-out questions; the first row is from before all training
    steps: list[int]  # [evaluations] how many steps had been made
    ends: list[int]  # rows in which a task had just ended, of those that did
    answers: list[list[list[float]]]  # by evaluation and task, the worth of each question
    training: list[int | None]  # [evaluations] the task of the step before; None where it is not known

    def figures(self, *, window: int = 10) -> dict[str, float]:
        return continual.figures(self.matrix, self.ends, window=window)

    def records(self) -> list[Record]:
        """The evaluations as a Measure takes them: a record for each task, with a line for each question."""
        return [self._record(row, task) for row in range(len(self.answers)) for task in range(len(self.answers[row]))]

    def _record(self, row: int, task: int) -> Record:
        now = self.training[row]
        return _record(self.answers[row][task], task, self.steps[row], {} if now is None else {"training": now})


def _record(values: Sequence[float], task: int, step: int, meta: Mapping[str, JsonValue]) -> Record:
    example = Example(id=f"task-{task}", input="held-out questions", meta={"task": task, **meta})
    said = (Score(value=sum(values) / len(values)), Steps(values=tuple(values), unit="line"))
    rollout = Rollout(id="/".join([str(step), str(task), *sorted(meta)]), example=example, turns=(), feedback=said)
    return Record(rollout=rollout, split="test", round=step, replicate=0)


def watch(
    learner: Learner,
    stream: Stream,
    *,
    seed: int = 0,
    steps: int = 0,
    every: int = 1,
    convert: Callable[[Feedback], Feedback] | None = None,
) -> Watched:
    """Drive a learner through a stream of tasks, asking all held-out questions before it, at every ``every``-th step and at
    the end of each task.

    steps: how many; 0 is one pass. Raises InputError for a stream without tasks, or where no task would end.
    """
    tasks = with_tasks(stream)
    probes, last = tasks.probes(seed), list(tasks.ends(seed))
    total = steps or last[-1]
    at = evaluations(tasks, seed=seed, steps=total, every=every)
    session = Session(learner, stream.spec, seed=seed, convert=convert)
    answers = {}
    for step in at:
        drive(session, stream, step - session.asked)
        answers[step] = session.probe(probes)
    return watched(answers, tasks, seed)


def experts(
    learner: Learner, stream: Stream, *, seed: int = 0, every: int = 1, convert: Callable[[Feedback], Feedback] | None = None
) -> list[Record]:
    """What new learners know that are taught one task each, at the steps where ``watch`` asks in the first pass: what a Measure
    compares a learner of all tasks with. Raises InputError for a stream without tasks.
    """
    tasks = with_tasks(stream)
    probes, ends, found = tasks.probes(seed), list(tasks.ends(seed)), []
    at = evaluations(tasks, seed=seed, steps=ends[-1], every=every)
    for task, (start, end) in enumerate(pairwise([0, *ends])):
        session = Session(learner, stream.spec, seed=seed, convert=convert)
        alone = _From(stream, start)
        for step in (s for s in at if start < s <= end):
            drive(session, alone, step - start - session.asked)
            found.append(_record(session.probe([probes[task]])[0], task, step, {"expert": True}))
    return found


class _From:
    """A stream from a later step on."""

    def __init__(self, stream: Stream, start: int) -> None:
        self.stream, self.start = stream, start
        self.name, self.spec = stream.name, stream.spec

    def context(self, seed: int, t: int) -> Any:
        return self.stream.context(seed, self.start + t)

    def respond(self, seed: int, t: int, trial: Trial) -> Feedback:
        return self.stream.respond(seed, self.start + t, trial)


def evaluations(tasks: Tasks, *, seed: int, steps: int, every: int) -> list[int]:
    """After how many steps to ask: see ``watch``. Raises InputError where no task would end."""
    last = list(tasks.ends(seed))
    if every < 1 or steps < last[0]:
        raise InputError(
            f"every must be 1 or more, and the steps at least {last[0]}, when the first task of {tasks.name} ends; got "
            f"every={every}, steps={steps}"
        )
    return sorted({0, steps, *range(0, steps + 1, every), *(end for end in last if end <= steps)})


def watched(answers: Mapping[int, list[list[float]]], tasks: Tasks, seed: int) -> Watched:
    """From what ``Session.probe`` said after so many steps."""
    at, ends = sorted(answers), tasks.ends(seed)
    matrix = np.array([[sum(task) / len(task) for task in answers[step]] for step in at])
    rows = [at.index(end) for end in ends if end <= at[-1]]
    return Watched(matrix, at, rows, [answers[step] for step in at], [_trained(tasks, seed, step, ends) for step in at])


def _trained(tasks: Tasks, seed: int, step: int, ends: Sequence[int]) -> int | None:
    """The task of the last of so many steps: beyond the first pass only where the stream's context says it."""
    if step <= ends[-1]:
        return bisect_left(ends, step) if step else None
    context = tasks.context(seed, step - 1)
    said = context.get("task") if isinstance(context, Mapping) else None
    return said if isinstance(said, int) else None


def with_tasks(stream: Any) -> Tasks:
    """The stream. Raises InputError for one that has no held-out questions by task."""
    if not hasattr(stream, "probes") or not hasattr(stream, "ends"):
        raise InputError(f"{stream.name} has no held-out questions of tasks to watch (probes and ends, see Stream)")
    found: Tasks = stream
    return found
