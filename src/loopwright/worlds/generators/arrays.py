"""Arrays as answers: numbers as text, for people and rewards, and to the bit as tokens, for training.

A token here is a whole vector, the state after one step; its id are the bits of its numbers, so a vocabulary without
end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from loopwright.core.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]
_BITS = np.dtype("<f4")


def to_token(vector: Array) -> int:
    """The bits of a vector [D], as float32, as one number; 0 stands for all zeros."""
    return int.from_bytes(np.ascontiguousarray(vector, dtype=_BITS).tobytes(), "little")


def from_token(token: int, size: int) -> Array:
    """[size] float32. Raises InputError for a token that is not such a vector."""
    try:
        return np.frombuffer(token.to_bytes(size * _BITS.itemsize, "little"), dtype=_BITS)
    except OverflowError:
        raise InputError(f"token {str(token)[:20]}... is no vector of {size} numbers: it was written by another model") from None


def from_tokens(tokens: Sequence[int], size: int) -> Array:
    """[T, size] float32. Raises as ``from_token``."""
    return np.stack([from_token(token, size) for token in tokens])


def to_text(vector: Array) -> str:
    """JSON, four digits after the point: what a reward is shown."""
    return json.dumps([round(float(x), 4) for x in vector])


def from_text(text: str, size: int | None = None) -> Array:
    """[size] numbers from JSON. Raises InputError for anything else, or not as many."""
    try:
        vector = np.asarray(json.loads(text), dtype=float)
    except (ValueError, TypeError):
        vector = np.empty(0)
    if vector.ndim != 1 or not len(vector) or (size is not None and len(vector) != size) or not np.isfinite(vector).all():
        wanted = "numbers" if size is None else f"{size} numbers"
        raise InputError(f"expected a JSON list of {wanted} such as [0.1, 0.2], got {text[:60]!r}")
    return vector


def diversity(drawn: Array) -> float:
    """Mean distance between two of what was drawn [n, D]: near 0 where all are alike. NaN for fewer than two."""
    n = len(drawn)
    if n < 2:
        return float("nan")
    squares = (drawn**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * drawn @ drawn.T, 0.0))
    return float(apart.sum() / (n * (n - 1)))
