"""Handwritten digits, 8 by 8, from scikit-learn: pictures to learn from, a judge of them, and a diffusion model of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from loopwright.core.errors import ModelNotFound
from loopwright.core.lazy import lazy
from loopwright.core.model import Blobs
from loopwright.worlds.generators.arrays import Array, from_text
from loopwright.worlds.generators.model import Generator, named

if TYPE_CHECKING:
    from loopwright.worlds.generators.diffusion import Diffusion

SIDE = 8
QUESTIONS = tuple(f"Draw a {digit}." for digit in range(10))
HELD_OUT = 500  # pictures that no generator is shown


class Pictures(NamedTuple):
    """x [n, 64] in [0, 1], 1 being ink; labels [n] the digit."""

    x: Array
    labels: Array


@cache
def digits(held_out: bool = False) -> Pictures:
    """1,297 of scikit-learn's digits, or the 500 others. Raises InputError where scikit-learn is not installed."""
    datasets: Any = lazy("sklearn.datasets")
    whole = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(whole.target))
    at = order[:HELD_OUT] if held_out else order[HELD_OUT:]
    return Pictures((whole.data[at] / 16.0).astype(np.float32), whole.target[at])


def picture(output: str) -> Array:
    """[SIDE, SIDE] of what a generator of digits gave, its numbers as they are. Raises InputError for anything else."""
    return from_text(output, SIDE**2).reshape(SIDE, SIDE)


@cache
def reader() -> Callable[[Array], Array]:
    """Probabilities [n, 10] of the digits in pictures [n, 64]: a logistic regression on the pictures to learn from."""
    models: Any = lazy("sklearn.linear_model")
    shown = digits()
    fitted = models.LogisticRegression(C=0.1, max_iter=1000).fit(shown.x, shown.labels)
    return lambda x: np.asarray(fitted.predict_proba(np.clip(x, 0.0, 1.0)))


def digits_network(weights: Callable[[], Array] | None = None) -> Diffusion:
    """The diffusion model's network, with the committed weights unless others are given."""
    from loopwright.worlds.generators.diffusion import Diffusion

    return Diffusion(SIDE * SIDE, QUESTIONS, weights or (lambda: committed("digits-diffusion")), bounds=(-1.0, 1.0))


def digits_diffusion(blobs: Blobs) -> Generator:
    """A diffusion model of the ten digits, as ``scripts/generator_weights.py`` trained it. Pictures lie in [-1, 1]."""
    return Generator(
        blobs, digits_network, name="digits-diffusion", fingerprint=named(["digits-diffusion", committed("digits-diffusion")])
    )


def committed(name: str) -> Array:
    """Weights that lie beside this file, as float32. Raises ModelNotFound where they do not."""
    path = Path(__file__).with_name(f"{name}.f16")
    if not path.is_file():
        raise ModelNotFound(f"there is no {path}; type: python scripts/generator_weights.py")
    return np.frombuffer(path.read_bytes(), dtype="<f2").astype(np.float32)
