"""The measure on records that no stream made: tasks that come back, questions asked now and then, nothing said of tasks."""

import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.measure import Record
from loopwright.core.registry import get_recipe
from loopwright.core.types import Example, Rollout

measure = get_recipe("stability-gap")


def _record(round: int, task: int | None, question: int, score: float, training: int | None = None) -> Record:
    said = {"task": task, "training": training}
    example = Example(id=f"{task}-{question}", input="?", meta={k: v for k, v in said.items() if v is not None})
    rollout = Rollout(id=f"{round}/{task}/{question}", example=example, turns=(), feedback=(Score(value=score),))
    return Record(rollout=rollout, split="test", round=round, replicate=0)


def _told(records: list[Record]) -> dict[str, float]:
    return {row[1]: row[2] for row in measure(records).rows}


def _two_tasks(training: list[int | None]) -> list[Record]:
    scores = [(0.0, 0.0), (1.0, 0.0), (0.2, 0.5), (0.8, 1.0)]
    return [
        _record(r, task, q, scores[r][task], training[r]) for r in range(4) for task in (0, 1) for q in range(3)
    ]  # fmt: skip


def test_two_tasks() -> None:
    told = _told(_two_tasks([None, 0, 1, 1]))
    assert told["stability gap"] == pytest.approx(0.6)
    assert told["WC-ACC"] == pytest.approx(0.5 * 1.0 + 0.5 * 0.2)


def test_a_task_that_comes_back_ends_where_it_ended_first() -> None:
    told = _told([*_two_tasks([None, 0, 1, 1]), *(_record(4, t, q, 0.9, 0) for t in (0, 1) for q in range(3))])
    assert told["ACC"] == pytest.approx(0.9)
    assert told["forgetting"] == pytest.approx(1.0 - 0.9)


def test_questions_asked_now_and_then_are_left_out() -> None:
    records = _two_tasks([None, 0, 1, 1])
    assert _told([*records, _record(3, 0, 99, 0.0, 1)]) == _told(records)


def test_without_tasks_there_is_one() -> None:
    told = _told([_record(r, None, q, r / 4) for r in range(4) for q in range(3)])
    assert told["ACC"] == told["WC-ACC"] == pytest.approx(0.75)
    assert told["WP"] == pytest.approx(0.75) and "forgetting" not in told


def test_tasks_of_unknown_training_are_refused() -> None:
    with pytest.raises(InputError, match="training"):
        measure(_two_tasks([None] * 4))


def test_a_task_that_is_no_number_is_refused() -> None:
    records = [_record(0, 0, 0, 1.0)]
    example = records[0].rollout.example.model_copy(update={"meta": {"task": "first"}})
    bad = records[0].model_copy(update={"rollout": records[0].rollout.model_copy(update={"example": example})})
    with pytest.raises(InputError, match="number of a task"):
        measure([bad])
