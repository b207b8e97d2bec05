"""Boxes, proposals and what measured them, one at a time and in batches."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.blocks import space
from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Measures, Preference, Score
from loopwright.core.types import Trial


def test_a_box_is_told_by_numbers_or_lists() -> None:
    box = space.box({"dimensions": 2, "low": 0, "high": [1.0, 3.0]})
    assert box.low.tolist() == [0.0, 0.0] and box.high.tolist() == [1.0, 3.0]
    assert (space.inside(box, np.array([[-1.0, 5.0]])) == [[0.0, 3.0]]).all()
    for spec in ({"dimensions": 2}, {"dimensions": 2, "low": 1, "high": 0}, {"dimensions": 2, "low": [0], "high": ["a"]},
                 {"dimensions": 2, "low": 0, "high": float("inf")}):  # fmt: skip
        with pytest.raises(InputError, match="low"):
            space.box(spec)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="dimensions"):
        space.box({"low": 0, "high": 1})


def test_one_is_a_vector_and_several_are_numbers() -> None:
    one, two = space.trial(np.array([[1.0, 2.0]])), space.trial(np.array([[1.0, 2.0], [3.0, 4.0]]), parents=("a",))
    assert one == Trial(id="", proposal=[1.0, 2.0]) and two == Trial(id="", proposal=[[1.0, 2.0], [3.0, 4.0]], parents=("a",))
    assert Trial.model_validate_json(two.model_dump_json()) == two
    assert space.proposed(Trial(id="", proposal=[1, 2]), 2).tolist() == [[1.0, 2.0]]
    assert space.proposed(Trial(id="", proposal=[[1, 2], [3, 4]]), 2).shape == (2, 2)
    assert isinstance(two.proposal, Numbers) and space.proposed(two, 2) is two.proposal.root
    for bad in ([1, 2, 3], "x", [[1, 2], [3]], {"triplet": []}, [[[1, 2]]]):
        with pytest.raises(InputError, match="proposal"):
            space.proposed(Trial(id="", proposal=bad), 2)


def test_answers_become_a_table_and_what_failed_a_row_of_nothing() -> None:
    one = Measures(values={"objective": 2.0, "x": 1.0, "more": 5.0})
    assert space.answers(one, ("objective", "x"), 1).tolist() == [[2.0, 1.0]]  # type: ignore[union-attr]
    batch = Measures(values={"objective": (1.0, None, 3.0), "x": (4.0, 5.0, 6.0)})
    table = space.answers(batch, ("objective", "x"), 3)
    assert table is not None and table[[0, 2]].tolist() == [[1.0, 4.0], [3.0, 6.0]] and np.isnan(table[1]).all()
    assert space.answers(Score(value=0.5), ("objective",), 1).tolist() == [[0.5]]  # type: ignore[union-attr]
    assert space.answers(one.model_copy(update={"status": "censored"}), ("objective",), 1) is None
    with pytest.raises(NoConversion, match=r"measures .*got preference"):
        space.answers(Preference(chosen="1", rejected="2"), ("objective",), 1)
    with pytest.raises(InputError, match="must measure y"):
        space.answers(one, ("objective", "y"), 1)
    for wrong in (one, batch):
        with pytest.raises(InputError, match="batch of 2"):
            space.answers(wrong, ("objective", "x"), 2)


def test_random_numbers_that_follow_from_data() -> None:
    a, b = np.zeros(3), np.ones(3)
    assert space.generator(a).random() == space.generator(a.copy()).random() != space.generator(b).random()
