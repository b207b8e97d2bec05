"""Terms of the loss of an incremental learner, and what may be done to its gradient. All means are over examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from loopwright.blocks import mlp, reservoir
from loopwright.blocks.incremental import NEVER, Projection, Step, Term, chances, one_hot
from loopwright.core.lazy import lazy

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_TINY = 1e-12


def labels(
    *, on: Literal["now", "memory"] = "now", number: int = 10, weight: float = 1.0, cosine: float = 0.0, own: bool = False
) -> Term:
    """Cross-entropy of the batch, or of ``number`` examples drawn from the memory; nothing where that is empty.

    cosine: temperature of logits that are cosines of features and class weights, divided by it; 0 takes the plain outputs.
    own: the classes of an example's own task alone compete.
    """

    def term(step: Step) -> np.ndarray:
        x, wanted, values = step.x, step.labels, step.values
        if on == "memory":
            if not len(step.known.memory.labels) or not number:
                return np.zeros_like(step.known.weights)
            drawn = reservoir.draw(step.known.memory, number, step.rng)
            x, wanted = drawn.x, drawn.labels
            values = step.forward(x)
        first = step.known.first
        z, how = values[-1], weight / len(x)
        if cosine:
            return _through_cosine(step, values, wanted, cosine, how)
        if own:
            z = np.where(first == first[wanted][:, None], z, -np.inf)
        return step.backward(values, how * (chances(z) - one_hot(wanted, len(first))))

    return term


def _through_cosine(
    step: Step, values: list[np.ndarray], wanted: np.ndarray, temperature: float, weight: float
) -> np.ndarray:
    """Gradient [p] of ``weight`` times the summed cross-entropy of cos(h, w) / temperature.

    With z = h.w / (|h| |w| t), dz/dh = w / (|h| |w| t) - z h / |h|^2, and likewise for w: the plain gradient with slopes
    divided by the norms, less what would only change the norms.
    """
    h = values[-2]
    matrix = mlp.layers(step.known.weights, step.shapes)[-1][0]
    long_h = np.maximum(np.linalg.norm(h, axis=1, keepdims=True), _TINY)
    long_w = np.maximum(np.linalg.norm(matrix, axis=0), _TINY)
    scale = 1.0 / (long_h * long_w * temperature)
    z = (h @ matrix) * scale
    slope = weight * (chances(z) - one_hot(wanted, z.shape[1]))
    gradient = step.backward(values, slope * scale, inner=-h * (slope * z).sum(axis=1, keepdims=True) / long_h**2)
    rows, columns = matrix.shape
    start = len(gradient) - (rows + 1) * columns
    gradient[start : start + rows * columns] -= (matrix * (slope * z).sum(axis=0) / long_w**2).ravel()
    gradient[start + rows * columns :] = 0.0  # cosines know no bias
    return gradient


def outputs(*, number: int = 10, weight: float = 0.5) -> Term:
    """Mean square of what the outputs differ by from those of when examples from the memory were kept (dark knowledge)."""

    def term(step: Step) -> np.ndarray:
        if not len(step.known.memory.labels) or not number:
            return np.zeros_like(step.known.weights)
        drawn = reservoir.draw(step.known.memory, number, step.rng)
        values = step.forward(drawn.x)
        return step.backward(values, 2.0 * weight / drawn.outputs.size * (values[-1] - drawn.outputs))

    return term


def teacher(*, weight: float = 1.0, temperature: float = 2.0) -> Term:
    """Divergence from the network as it was when the task began, on the batch, over the classes known by then."""

    def term(step: Step) -> np.ndarray:
        known = step.known
        old = (known.first != NEVER) & (known.first < known.task)
        if not old.any():
            return np.zeros_like(known.weights)
        q = chances(mlp.forward(known.before, step.x, step.shapes)[-1] / temperature) * old
        p = chances(step.values[-1] / temperature)
        slope = (p * q.sum(axis=1, keepdims=True) - q) / temperature
        return step.backward(step.values, weight / len(step.x) * slope)

    return term


def sprung(*, strength: float, rate: float) -> Projection:
    """A spring to the weights when the task began: strength / 2 times the squared way, each weight by its importance.

    The spring's part of the step is implicit, at the end of the step and not at its start: however stiff, it swings nothing
    out of its place. Where rate * strength * importance is small it is the plain gradient.
    """

    def project(step: Step, gradient: np.ndarray) -> np.ndarray:
        stiff = strength * step.known.importance
        return np.asarray((gradient + stiff * (step.known.weights - step.known.before)) / (1.0 + rate * stiff))

    return project


def not_against_memory(*, number: int = 10) -> Projection:
    """A gradient that would raise the loss on examples from the memory loses that part (A-GEM)."""
    of_memory = labels(on="memory", number=number)

    def project(step: Step, gradient: np.ndarray) -> np.ndarray:
        reference = of_memory(step)
        along = float(gradient @ reference)
        return gradient if along >= 0 else gradient - along / float(reference @ reference) * reference

    return project


def own_column(columns: int) -> Projection:
    """Only the hidden units of the task's column move, and the weights by which its classes read it and those before.

    Where there are more tasks than columns, the last column is shared.
    """

    def project(step: Step, gradient: np.ndarray) -> np.ndarray:
        hidden = step.shapes[0][1]
        column = np.arange(hidden) * columns // hidden
        # A class goes with the task in which it first came, so a task that comes back moves what it moved before.
        of_class = np.minimum(step.known.first, columns - 1)
        moving = np.isin(step.known.first, step.known.first[step.labels])
        mine = np.isin(column, of_class[moving])
        mask = np.zeros_like(gradient)
        (matrix, shift), (head, bias) = mlp.layers(mask, step.shapes)  # views: what is written to them is in the mask
        matrix[:, mine] = 1.0
        shift[...] = mine
        head[...] = (column[:, None] <= of_class) & moving
        bias[...] = moving
        return np.asarray(gradient * mask)

    return project
