"""Handwritten digits (scikit-learn's, 1,797 of 8 by 8 pixels), two new ones a task."""

from __future__ import annotations

from typing import Any

from loopwright.core.lazy import lazy
from loopwright.worlds.incremental import Incremental


def digits(
    tasks: int = 5, batch: int = 10, held_out: float = 0.3, told: bool = False, shuffled: bool = False, permuted: bool = False,
) -> Incremental:  # fmt: skip
    """Split class-incremental; see Incremental. Pixels are divided by 16. Raises InputError without scikit-learn."""
    datasets: Any = lazy("sklearn.datasets", extra="digits")
    data = datasets.load_digits()
    return Incremental(
        "digits", data.data / 16.0, data.target, tasks=tasks, batch=batch, held_out=held_out, told=told, shuffled=shuffled,
        permuted=permuted,
    )  # fmt: skip
