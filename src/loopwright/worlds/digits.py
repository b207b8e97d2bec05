"""Handwritten digits (scikit-learn's, 1,797 of 8 by 8 pixels), two new ones a task."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import JsonValue

from loopwright.blocks import mlp
from loopwright.blocks.incremental import chances, one_hot
from loopwright.core.lazy import lazy
from loopwright.worlds.bandit import stream
from loopwright.worlds.incremental import Incremental

_WIDTHS = (64, 64, 32)


def digits(
    tasks: int = 5, batch: int = 10, held_out: float = 0.3, told: bool = False, shuffled: bool = False, permuted: bool = False,
) -> Incremental:  # fmt: skip
    """Split class-incremental; see Incremental. Pixels are divided by 16. Raises InputError without scikit-learn."""
    datasets: Any = lazy("sklearn.datasets")
    data = datasets.load_digits()
    return Incremental(
        "digits", data.data / 16.0, data.target, tasks=tasks, batch=batch, held_out=held_out, told=told, shuffled=shuffled,
        permuted=permuted,
    )  # fmt: skip


def encoded_digits(tasks: int = 5, batch: int = 10, held_out: float = 0.3, told: bool = False) -> Incremental:
    """The same with an encoder that was taught to tell 5 to 9 apart, by every second example of theirs, which never come.

    Half of the classes are thus new to it. Raises InputError without scikit-learn.
    """
    whole = digits()
    known = np.flatnonzero(whole.labels >= 5)[::2]
    rest = np.setdiff1d(np.arange(len(whole.labels)), known)
    return Incremental(
        "encoded-digits", whole.x[rest], whole.labels[rest], tasks=tasks, batch=batch, held_out=held_out, told=told,
        encoder={"widths": list(_WIDTHS), "weights": _taught(whole.x[known], whole.labels[known] - 5)},
    )  # fmt: skip


def _taught(x: np.ndarray, labels: np.ndarray, epochs: int = 20) -> list[JsonValue]:
    """Weights of the first two layers of a network that learned these labels."""
    d, hidden, features = _WIDTHS
    shapes = [(d, hidden), (hidden, features), (features, int(labels.max()) + 1)]
    rng = stream(0, 7)
    weights = mlp.fresh(shapes, rng, gain=2.0)
    wanted = one_hot(labels, shapes[-1][1])
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x), 10):
            rows = order[start : start + 10]
            values = mlp.forward(weights, x[rows], shapes)
            weights = weights - 0.1 * mlp.backward(weights, values, (chances(values[-1]) - wanted[rows]) / len(rows), shapes)
    return [round(float(w), 6) for w in weights[: mlp.size(shapes[:2])]]
