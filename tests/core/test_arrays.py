"""Numbers: what they are made of, that nobody changes them, and that they come back from JSON and from a record as they were."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from loopwright.blocks.convert import convert
from loopwright.core import loop
from loopwright.core.arrays import PACKED, Numbers
from loopwright.core.budget import Ledger
from loopwright.core.context import Context
from loopwright.core.engine import Engine
from loopwright.core.feedback import Measures, parse_feedback
from loopwright.core.learner import Block, Logged
from loopwright.core.measure import records
from loopwright.core.model import Sampling
from loopwright.core.registry import get_recipe
from loopwright.core.types import Budget, Candidate, Trial
from loopwright.store import SqliteStore
from loopwright.worlds.landscapes import planar_arm
from loopwright.worlds.single import Single

ODD = [[0.1, -0.0], [5e-324, 1.7976931348623157e308]]


def test_they_are_a_copy_that_nobody_changes() -> None:
    mine = np.ones((2, 3))
    numbers = Numbers(mine)
    mine[0, 0] = 9.0
    assert numbers == [[1.0] * 3] * 2 and len(numbers) == 2 and numbers[1].tolist() == [1.0] * 3
    assert [row.tolist() for row in numbers] == numbers.tolist() and np.asarray(numbers) is numbers.root
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(numbers)[0, 0] = 2.0
    changed = np.array(numbers)
    changed[0, 0] = 2.0
    assert numbers != changed and numbers != [1.0] and numbers != "x" and numbers != Numbers([1.0])


def test_what_failed_is_none_in_json_and_nan_inside() -> None:
    for given in ([1.0, None, 3.0], (1, None, 3), np.array([1.0, np.nan, 3.0]), Numbers([1.0, None, 3.0])):
        told = Measures(values={"objective": given})  # type: ignore[dict-item]
        assert isinstance(told.values["objective"], Numbers) and np.isnan(told.values["objective"][1])
        assert told.model_dump()["values"] == {"objective": [1.0, None, 3.0]}
        assert parse_feedback(told.model_dump_json()) == told
    assert Measures(values={"objective": 1}).values["objective"] == 1.0


@pytest.mark.parametrize("wrong", [["a"], [[1.0], [1.0, 2.0]], "ab", {"x": 1}, [[[1.0]]], [float("inf")], None])
def test_what_are_no_numbers(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="expected"):
        Numbers(wrong)
    with pytest.raises(ValidationError):
        Measures(values={"objective": 1.0, "x": wrong})


def test_a_trial_reads_as_lists_and_a_record_keeps_every_bit() -> None:
    trial = Trial(id="a", proposal=Numbers(ODD))
    assert Trial.model_validate_json(trial.model_dump_json()) == trial and trial.model_dump()["proposal"] == ODD
    told = Measures(values={"objective": Numbers([0.1, None])}, about="a")
    other = Logged(trial=Trial(id="b", proposal={"triplet": [[0.1], [0.2]]}), feedback=told)
    block = Block(snapshot=None, log=(Logged(trial=trial, feedback=told), other))
    text = block.model_dump_json(context=PACKED)
    back = Block.model_validate_json(text)
    assert back == block and "5e-324" not in text
    assert isinstance(back.log[0].trial.proposal, Numbers) and isinstance(back.log[1].trial.proposal, dict)
    assert np.asarray(back.log[0].trial.proposal).tobytes() == np.array(ODD).tobytes()


def test_batches_through_the_engine_are_what_they_are_without_it(tmp_path: Path) -> None:
    world, options = planar_arm(joints=4), {"batch": 6, "initial": 6, "cells": 8}
    logs = []
    for place in ("one.db", "one.db", "two.db"):  # the second time the first run is read back
        store = SqliteStore(tmp_path / place)
        run = next(iter(store.runs()), None) or store.create_run({}, seed=3, budget={}, code_version="")
        made = Engine(store=store, run=run, ledger=Ledger(Budget()), models={}, convert=convert)
        ctx = Context(made, "batches", world=Single("", sampling=Sampling()), policy=Candidate())
        _, log = asyncio.run(loop.learn(get_recipe("map-elites"), world, ctx, steps=12, options=options, block=5))
        logs.append(log)
        assert [r.rollout.output for r in records(store, run.id)][-1].count("[") == 7  # JSON text of six vectors
        store.close()
    assert logs[0] == logs[1] == logs[2] and all(isinstance(one.trial.proposal, Numbers) for one in logs[1])
