"""Measures: figures with their uncertainty, made from what runs recorded; nothing is called or paid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Frozen
from loopwright.core.registry import Recipe
from loopwright.core.store import Store
from loopwright.core.types import Rollout
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
    """All judged attempts of a run, in the order they were recorded."""
    return [
        Record.model_validate(
            {
                "rollout": Rollout.model_validate_json(row.data),
                "split": row.split,
                "round": row.round,
                "replicate": row.replicate,
            }
        )
        for row in store.rollouts(store.run(run).id)
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
