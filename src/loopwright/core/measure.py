"""Measures: figures with their uncertainty, made from what runs recorded; nothing is called or paid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from loopwright.core.arrays import Numbers
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Frozen, Score, Signal
from loopwright.core.learner import STEPS, Block
from loopwright.core.registry import Recipe
from loopwright.core.store import Store, told_rollouts
from loopwright.core.types import Example, Rollout, Turn
from loopwright.core.world import Split


class Record(Frozen):
    """One judged attempt of a run."""

    rollout: Rollout
    split: Split
    round: int
    replicate: int


class Table(Frozen):
    """What a Measure gives: named columns, one row a group.

    A figure is followed by the bounds of its interval, in columns called ``low`` and ``high``; of several figures in a row,
    ``x``, ``x low`` and ``x high``. A group of which nothing is known has no row, or None in these cells.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[JsonValue, ...], ...]


def records(store: Store, run: str) -> list[Record]:
    """All judged attempts of a run, in the order they were recorded; then the answered trials of its Learners."""
    id = store.run(run).id
    blocks = [row for row in store.effects(id) if row.kind == STEPS and row.status == "done" and row.result is not None]
    return [*_attempts(store, id), *(record for row in blocks for record in _trials(row.result))]


def _trials(block: bytes | None) -> Iterator[Record]:
    """A trial is an attempt at its context, its proposal the candidate: as text, since it has no other identity.

    A score is also told as a Signal with the probability of the proposal, as an off-policy estimate wants it.
    """
    done = Block.model_validate_json(block or b"")
    for trial, feedback in ((one.trial, one.feedback) for one in done.log):
        said: tuple[Feedback, ...] = (feedback,)
        if isinstance(feedback, Score) and trial.propensity is not None:
            said += (Signal(event="reward", value=feedback.value, propensity=trial.propensity, by=feedback.by, about=trial.id),)
        chosen = json.dumps(trial.proposal.tolist() if isinstance(trial.proposal, Numbers) else trial.proposal)
        rollout = Rollout(
            id=trial.id, example=Example(id=trial.id, input=trial.context), candidate=chosen, feedback=said,
            turns=(Turn(role="assistant", text=chosen),),
        )  # fmt: skip
        yield Record(rollout=rollout, split="train", round=1, replicate=0)


def _attempts(store: Store, run: str) -> list[Record]:
    return [
        Record.model_validate(
            {
                "rollout": Rollout.model_validate_json(row.data),
                "split": row.split,
                "round": row.round,
                "replicate": row.replicate,
            }
        )
        for row in told_rollouts(store, run)
    ]


def measure(recipe: Recipe, store: Store, run: str, options: Mapping[str, Any]) -> Table:
    """Apply a Measure to a run. Raises InputError for a recipe of another shape or a run without attempts."""
    if recipe.card.shape != "measure":
        raise InputError(f"{recipe.slug} is a {recipe.card.shape}; a run is looked at by a measure")
    found = records(store, run)
    if not found:
        raise InputError(f"run {run} has no judged attempts to measure")
    table: Table = recipe(found, **options)
    return table
