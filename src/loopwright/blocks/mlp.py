"""A small network as one vector of weights: rectified hidden layers, plain outputs, gradients by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Shapes = Sequence[tuple[int, int]]  # (inputs, outputs) of each layer


def size(shapes: Shapes, *, bias: bool = True) -> int:
    """p, the number of weights."""
    return sum((rows + bias) * columns for rows, columns in shapes)


def fresh(shapes: Shapes, rng: np.random.Generator, *, bias: bool = True, gain: float = 1.0) -> np.ndarray:
    """Weights [p] at the start: normal, of variance gain / inputs of the layer; biases 0."""
    parts = []
    for rows, columns in shapes:
        parts.append(rng.standard_normal(rows * columns) / np.sqrt(rows / gain))
        if bias:
            parts.append(np.zeros(columns))
    return np.concatenate(parts)


def layers(weights: np.ndarray, shapes: Shapes, *, bias: bool = True) -> list[tuple[np.ndarray, np.ndarray]]:
    """Views of the weights, layer by layer: matrix [inputs, outputs] and bias."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    at = 0
    for rows, columns in shapes:
        matrix = weights[at : at + rows * columns].reshape(rows, columns)
        at += rows * columns
        found.append((matrix, weights[at : at + columns] if bias else np.zeros(columns)))
        at += columns if bias else 0
    return found


def parts(weights: np.ndarray, shapes: Shapes) -> list[np.ndarray]:
    """Views of the weights: the matrix of each layer, then its bias."""
    return [part for layer in layers(weights, shapes) for part in layer]


def forward(weights: np.ndarray, x: np.ndarray, shapes: Shapes, *, bias: bool = True) -> list[np.ndarray]:
    """Inputs of every layer for x [n, d], then the outputs [n, outputs]."""
    values = [x]
    for number, (matrix, shift) in enumerate(layers(weights, shapes, bias=bias)):
        z = values[-1] @ matrix + shift
        values.append(np.maximum(z, 0.0) if number + 1 < len(shapes) else z)
    return values


def backward(
    weights: np.ndarray,
    values: Sequence[np.ndarray],
    slope: np.ndarray,
    shapes: Shapes,
    *,
    bias: bool = True,
    inner: np.ndarray | float = 0.0,
    squared: bool = False,
) -> np.ndarray:
    """Gradient [p] of a loss whose slope by the outputs is ``slope`` [n, outputs], summed over the examples.

    values: of ``forward``. inner: what the loss adds to the slope by the last layer's inputs. squared: the sum of the
    squares of every example's own gradient instead.
    """
    parts: list[np.ndarray] = []
    found = layers(weights, shapes, bias=bias)
    for number in range(len(found) - 1, -1, -1):
        given, back = (values[number] ** 2, slope**2) if squared else (values[number], slope)
        if bias:
            parts.append(back.sum(axis=0))
        parts.append((given.T @ back).ravel())
        if number:
            slope = slope @ found[number][0].T
            if number + 1 == len(found):
                slope = slope + inner
            slope = slope * (values[number] > 0)
    return np.concatenate(parts[::-1])
