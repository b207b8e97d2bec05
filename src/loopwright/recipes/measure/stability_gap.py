"""The stability gap: what is lost of old tasks while a new one is learned, though it may be back by the time that is over.

De Lange, van de Ven and Tuytelaars, "Continual evaluation for lifelong learning: Identifying the stability gap",
arXiv:2205.13452; repository Mattdl/ContinualEvaluation. Evaluations only at the end of each task do not see it: a system in use
is at its worst in between. Figures are those of ``blocks.continual``: ACC, min-ACC, WC-ACC, the gap itself, forgetting, backward
and forward transfer, and the greatest fall (WF) and rise (WP) within ``window`` evaluations.

When to use it: on anything that goes on learning while it is in use, a prompt or a memory as well as a network. A record's round
is the evaluation; its example says in ``meta`` which task it belongs to ("task", a number), and which was being learned then
("training"). Where it says nothing there is one task, and WF and WP show how unsteady the rounds were. ``loopwright watch``
drives a Learner through a stream, asks and shows these figures.

How this differs: intervals, which the paper has none of: the jackknife over questions, for this one run. The gap as a figure of
its own is ours (the paper shows it in curves): the fall below both of the accuracies before and after the new task.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from loopwright.blocks import continual
from loopwright.core.errors import InputError
from loopwright.core.feedback import Steps
from loopwright.core.lazy import lazy
from loopwright.core.measure import Record, Table
from loopwright.core.registry import measure

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

COLUMNS = ("split", "figure", "value", "low", "high", "tasks", "evaluations", "questions")


@measure(paper="arXiv:2205.13452", learns_from=("score", "verdict"))
def stability_gap(records: Sequence[Record], *, window: int = 10) -> Table:
    rows: list[tuple[JsonValue, ...]] = []
    for split in sorted({record.split for record in records}):
        answers, ends = by_task([record for record in records if record.split == split])
        if not answers:
            continue
        matrix = np.column_stack([task.mean(axis=1) for task in answers])
        found = continual.figures(matrix, ends, window=window)
        error = errors(answers, ends, window)
        for name, value in found.items():
            if math.isfinite(value):
                bounds = (value - 1.96 * error[name], value + 1.96 * error[name])
                about = (len(answers), len(matrix), sum(task.shape[1] for task in answers))
                rows.append((split, name, value, *(b if math.isfinite(b) else None for b in bounds), *about))
    return Table(columns=COLUMNS, rows=tuple(rows))


def by_task(records: Sequence[Record]) -> tuple[list[np.ndarray], list[int]]:
    """[evaluations, questions] scores of each task, and the row in which each task ended. Questions that were not asked every
    time are left out, as a matrix with holes would change with what is asked and not with what is known.
    """
    scores: dict[int, dict[str, dict[int, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    training: dict[int, int] = {}
    for record in records:
        example, meta = record.rollout.example, record.rollout.example.meta
        task = _number(meta, "task")
        if "training" in meta:
            training[record.round] = _number(meta, "training")
        for question, score in _scores(record).items():
            scores[task][f"{example.id}{question}"][record.round].append(score)
    rounds = sorted({r for questions in scores.values() for asked in questions.values() for r in asked})
    answers = []
    for _, questions in sorted(scores.items()):
        whole = [asked for _, asked in sorted(questions.items()) if len(asked) == len(rounds)]
        if not whole:
            return [], []
        answers.append(np.array([[math.fsum(asked[r]) / len(asked[r]) for asked in whole] for r in rounds]))
    if len(answers) > 1 and not training:
        raise InputError(
            f"{len(answers)} tasks, and nothing says when each was trained: put its number into the examples' meta['training']"
        )
    return answers, _ends(rounds, training) if len(answers) > 1 else [len(rounds) - 1]


def _ends(rounds: Sequence[int], training: Mapping[int, int]) -> list[int]:
    """The last row of each task's first training, in the order in which they were trained."""
    ends: dict[int, int] = {}
    over: set[int] = set()  # a task that comes back ends where it ended first
    before = None
    for row, number in enumerate(rounds):
        task = training.get(number)
        if before is not None and task != before:
            over.add(before)
        if task is not None and task not in over:
            ends[task] = row
        before = task
    return sorted(ends.values())


def _scores(record: Record) -> dict[str, float]:
    """By question: the lines of an answer to many at once, or the one score."""
    for feedback in record.rollout.feedback:
        if isinstance(feedback, Steps) and feedback.unit == "line":
            return {f"/{i}": value for i, value in enumerate(feedback.values)}
    return {} if record.rollout.score is None else {"": record.rollout.score}


def _number(meta: Mapping[str, JsonValue], name: str) -> int:
    value = meta.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"meta[{name!r}] is the number of a task, got {value!r}")
    return value


def errors(answers: Sequence[np.ndarray], ends: Sequence[int], window: int) -> dict[str, float]:
    """The standard error of every figure, by leaving out one question of one task at a time; infinite for lone questions."""
    means = [task.mean(axis=1) for task in answers]
    total = dict.fromkeys(continual.FIGURES, 0.0)
    for number, task in enumerate(answers):
        n = task.shape[1]
        if n < 2:
            return dict.fromkeys(continual.FIGURES, math.inf)
        without = []
        for i in range(n):
            columns = [*means]
            columns[number] = (n * means[number] - task[:, i]) / (n - 1)
            left = continual.figures(np.column_stack(columns), ends, window=window)
            without.append([left[name] for name in continual.FIGURES])
        spread = ((np.array(without) - np.mean(without, axis=0)) ** 2).sum(axis=0) * (n - 1) / n
        total = {name: total[name] + float(s) for name, s in zip(continual.FIGURES, spread, strict=True)}
    return {name: math.sqrt(value) for name, value in total.items()}
