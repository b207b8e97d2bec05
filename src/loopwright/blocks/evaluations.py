"""The evaluations of a run, task by task, as measures of lasting learning read them.

A record's round is the evaluation. Its example says in ``meta`` which task it belongs to ("task", a number), which one was
being learned then ("training"), and whether it tells of another learner that was taught this task alone ("expert", true).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Steps
from loopwright.core.lazy import lazy
from loopwright.core.measure import Record, Table

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


class Log(NamedTuple):
    """Questions not asked at every evaluation of their task are left out: figures would change with what is asked."""

    tasks: list[int]  # their numbers, rising; empty where one has no question that was asked every time
    training: list[int | None]  # [evaluations] the number of the task being learned; None for none, or where nothing says
    answers: list[np.ndarray]  # by task [evaluations, questions] scores
    experts: list[np.ndarray]  # by task [evaluations of its expert, questions]; none for a task without an expert


Asked = dict[tuple[bool, int], list[tuple[float, ...]]]  # by (of an expert, round), attempts at an example's questions
Curves = Sequence["np.ndarray"]  # by task [evaluations] mean scores
Figures = Callable[[Curves, Curves], Mapping[str, float]]  # by name, of the run and of its experts; NaN: not told

COLUMNS = ("split", "figure", "value", "low", "high", "tasks", "evaluations", "questions")


def read(records: Sequence[Record]) -> Log:
    """Attempts at a question in one evaluation are averaged. Raises InputError for several tasks of which nothing says when
    each was trained, and for an expert that was asked other questions.
    """
    scores: dict[int, dict[tuple[str, bool], Asked]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    training: dict[int, int] = {}
    for record in records:
        meta = record.rollout.example.meta
        task, expert = _number(meta, "task"), bool(meta.get("expert"))
        if "training" in meta and not expert:
            training[record.round] = _number(meta, "training")
        lines, values = _scores(record)
        if values:
            scores[task][record.rollout.example.id, lines][expert, record.round].append(values)
    rounds = sorted({at for found in scores.values() for asked in found.values() for at in asked if not at[0]})
    answers, experts = [], []
    for task, found in sorted(scores.items()):
        alone = sorted({at for asked in found.values() for at in asked if at[0]})
        evaluations = (*rounds, *alone)
        whole = [_columns(asked, evaluations) for _, asked in sorted(found.items()) if len(asked) == len(evaluations)]
        if rounds and alone and not whole:
            raise InputError(
                f"task {task}: no question was asked at every evaluation of the run and of its expert; ask the expert what the "
                "run was asked, under the same example ids"
            )
        if not whole or not rounds:
            return Log([], [], [], [])
        rows = np.concatenate(whole, axis=1)
        answers.append(rows[: len(rounds)])
        experts.append(rows[len(rounds) :])
    if len(answers) > 1 and not training:
        raise InputError(
            f"{len(answers)} tasks, and nothing says when each was trained: put its number into the examples' "
            "meta['training']"
        )
    return Log(sorted(scores), [training.get(number) for _, number in rounds], answers, experts)


class Block(NamedTuple):
    """Evaluations in a row while one task was trained, or a single one while none was."""

    task: int | None  # its place in the log's tasks
    first: int
    last: int


def blocks(log: Log) -> list[Block]:
    """All evaluations of a log, in their order."""
    place = {number: i for i, number in enumerate(log.tasks)}
    found = []
    for task, group in groupby(enumerate(log.training), key=lambda row: row[1]):
        rows = [row for row, _ in group]
        if task is None:
            found += [Block(None, row, row) for row in rows]
        else:
            found.append(Block(place.get(task), rows[0], rows[-1]))
    return found


def means(answers: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By task [evaluations] the mean over its questions."""
    return [task.mean(axis=1) for task in answers]


def errors(log: Log, figures: Figures) -> dict[str, float]:
    """The standard error of every figure, by leaving out one question of one task at a time (the jackknife); infinite for
    lone questions.
    """
    curves, experts = means(log.answers), means(log.experts)
    names = list(figures(curves, experts))
    total = np.zeros(len(names))
    for number, (task, alone) in enumerate(zip(log.answers, log.experts, strict=True)):
        n = task.shape[1]
        if n < 2:
            return dict.fromkeys(names, math.inf)
        without = []
        for i in range(n):
            here, there = [*curves], [*experts]
            here[number] = (n * curves[number] - task[:, i]) / (n - 1)
            there[number] = (n * experts[number] - alone[:, i]) / (n - 1)
            without.append(list(figures(here, there).values()))
        total += ((np.array(without) - np.mean(without, axis=0)) ** 2).sum(axis=0) * (n - 1) / n
    return {name: math.sqrt(value) for name, value in zip(names, total.tolist(), strict=True)}


def table(records: Sequence[Record], figures: Callable[[Log], Figures]) -> Table:
    """A row for each finite figure of each split, with its 95% interval; figures: what makes them, for one log."""
    rows: list[tuple[JsonValue, ...]] = []
    for split in sorted({record.split for record in records}):
        log = read([record for record in records if record.split == split])
        if not log.tasks:
            continue
        of = figures(log)
        error = errors(log, of)
        about = (len(log.tasks), len(log.training), sum(task.shape[1] for task in log.answers))
        for name, value in of(means(log.answers), means(log.experts)).items():
            if math.isfinite(value):
                known = math.isfinite(error[name])
                bounds = (value - 1.96 * error[name], value + 1.96 * error[name]) if known else (None, None)
                rows.append((split, name, value, *bounds, *about))
    return Table(columns=COLUMNS, rows=tuple(rows))


def _columns(asked: Asked, evaluations: Sequence[tuple[bool, int]]) -> np.ndarray:
    """[evaluations, questions] of one example, of the questions that every evaluation has; attempts averaged."""
    width = min(max(map(len, attempts)) for attempts in asked.values())
    return np.array([_average(asked[at], width) for at in evaluations])


def _average(attempts: Sequence[Sequence[float]], width: int) -> Sequence[float]:
    if len(attempts) == 1:
        return attempts[0][:width]
    known = [[attempt[i] for attempt in attempts if i < len(attempt)] for i in range(width)]
    return [math.fsum(values) / len(values) for values in known]


def _scores(record: Record) -> tuple[bool, tuple[float, ...]]:
    """Whether they are the lines of an answer to many questions at once; and those, or the one score, or none."""
    for feedback in record.rollout.feedback:
        if isinstance(feedback, Steps) and feedback.unit == "line":
            return True, feedback.values
    score = record.rollout.score
    return False, () if score is None else (score,)


def _number(meta: Mapping[str, JsonValue], name: str) -> int:
    value = meta.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"meta[{name!r}] is the number of a task, got {value!r}")
    return value
