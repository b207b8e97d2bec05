"""Regressions kept up to date are those solved from scratch, also where the design is all but singular."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loopwright.blocks.ridge import Regulariser, features, fresh, predict, tell, update, width
from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.state import decode_state, encode_state
from loopwright.core.types import Trial


def test_updates_equal_a_solution_from_scratch() -> None:
    rng = np.random.default_rng(0)
    state, rows, answers = fresh(2, 4, 0.5), rng.standard_normal((300, 4)), rng.standard_normal(300)
    for x, y in zip(rows, answers, strict=True):
        state = update(state, 1, x, y)
    gram = rows.T @ rows + 0.5 * np.eye(4)
    assert state.gram_inverse[1] == pytest.approx(np.linalg.inv(gram))
    assert state.coefficients[1] == pytest.approx(np.linalg.solve(gram, rows.T @ answers))
    x = rng.standard_normal(4)
    assert predict(state, x) == pytest.approx([0.0, x @ np.linalg.solve(gram, rows.T @ answers)])
    assert width(state, x) == pytest.approx([np.sqrt(x @ x / 0.5), np.sqrt(x @ np.linalg.solve(gram, x))])


@pytest.mark.parametrize("ridge", [1e-9, 1.0])
def test_the_same_context_again_and_again_does_no_harm(ridge: float) -> None:
    state, x = fresh(1, 3, ridge), np.array([1.0, 1.0, 0.0])
    for _ in range(20_000):
        state = update(state, 0, x, 0.5)
    assert np.isfinite(state.gram_inverse).all()
    assert state.gram_inverse[0] == pytest.approx(state.gram_inverse[0].T, rel=1e-12)
    assert predict(state, x)[0] == pytest.approx(0.5, rel=1e-3)
    assert 0.0 <= width(state, x)[0] < 0.05


SCALES = st.lists(st.sampled_from([1e-3, 1.0, 1e3, 1.7e9, 1e8]), min_size=3, max_size=3)


@settings(deadline=None, max_examples=40)
@given(SCALES, st.integers(0, 2**32 - 1), st.sampled_from([1e-2, 1.0, 100.0]))
def test_features_of_any_scale_are_regressed_right(scales: list[float], seed: int, ridge: float) -> None:
    """Beside the solution of (X'X + ridge I) b = X'y in exact fractions."""
    rng = np.random.default_rng(seed)
    rows, answers = rng.standard_normal((30, 3)) * scales, rng.uniform(0, 1, 30)
    state = fresh(1, 3, ridge)
    for x, y in zip(rows, answers, strict=True):
        state = update(state, 0, x, y)
    x = rng.standard_normal(3) * scales
    value, square = exact(rows, answers, ridge, x)
    assert predict(state, x)[0] == pytest.approx(value, rel=1e-5, abs=1e-5)
    assert width(state, x)[0] == pytest.approx(square**0.5, rel=1e-5)


def test_a_clock_as_a_feature_does_no_harm() -> None:
    """Seconds since 1970 and a constant, nearly along each other."""
    rows = np.array([[1.0, 1.7e9 + 3600.0 * t] for t in range(200)])
    answers = np.array([0.2 + 0.6 * (t % 2) for t in range(200)])
    state = fresh(1, 2, 1.0)
    for x, y in zip(rows, answers, strict=True):
        state = update(state, 0, x, y)
    value, square = exact(rows, answers, 1.0, rows[-1])
    assert predict(state, rows[-1])[0] == pytest.approx(value, rel=1e-6)
    assert width(state, rows[-1])[0] == pytest.approx(square**0.5, rel=1e-6)


def exact(rows: np.ndarray, answers: np.ndarray, ridge: float, x: np.ndarray) -> tuple[float, float]:
    """(prediction at x, its variance in units of the noise) without rounding."""
    d, lines = rows.shape[1], [[Fraction(float(v)) for v in row] for row in rows]
    told, at = [Fraction(float(y)) for y in answers], [Fraction(float(v)) for v in x]
    whole = [
        [sum(r[i] * r[j] for r in lines) + (Fraction(ridge) if i == j else 0) for j in range(d)]
        + [sum(r[i] * y for r, y in zip(lines, told, strict=True)), at[i]]
        for i in range(d)
    ]
    for i in range(d):  # Gauss and Jordan; the matrix is positive definite, so no pivot is 0
        whole[i] = [v / whole[i][i] for v in whole[i]]
        for k in range(d):
            if k != i:
                whole[k] = [a - whole[k][i] * b for a, b in zip(whole[k], whole[i], strict=True)]
    value = sum(at[i] * whole[i][d] for i in range(d))
    return float(value), float(sum(at[i] * whole[i][d + 1] for i in range(d)))


def test_a_row_too_large_beside_the_regulariser_is_refused() -> None:
    with pytest.raises(InputError, match="take a larger ridge"):
        update(fresh(1, 2, 1e-9), 0, np.array([1e12, 1.0]), 0.5)


def test_a_snapshot_with_the_inverse_itself_is_read() -> None:
    rng = np.random.default_rng(3)
    state = fresh(2, 3, 0.5)
    for x in rng.standard_normal((20, 3)):
        state = update(state, 1, x, float(x[0]))
    old = {"state": [encode_state(state.gram_inverse), encode_state(state.coefficients)]}
    read = decode_state(old, fresh(2, 3, 0.5), 1)
    assert read.gram_inverse == pytest.approx(state.gram_inverse)
    assert predict(read, np.ones(3)) == pytest.approx(predict(state, np.ones(3)))
    with pytest.raises(InputError, match="begin anew"):
        decode_state({"state": [encode_state(np.full((2, 3, 3), np.nan)), old["state"][1]]}, fresh(2, 3, 0.5), 1)


def test_a_regulariser_is_above_zero() -> None:
    for bad in (0.0, -1.0, float("inf")):
        with pytest.raises(ValidationError):
            TypeAdapter(Regulariser).validate_python(bad)


@pytest.mark.parametrize(
    ("context", "says"),
    [
        (None, "no context"), ([1.0], "2 numbers"), ([[1.0, 2.0]], "shape"), ([1.0, float("nan")], "finite"),
        ([1e16, 0.0], r"up to 1e\+15, got 1e\+16"), ([float("inf"), 0.0], "finite"), ([1e300, 1.0], "scale this feature"),
        (["a", 1.0], "2 numbers"),
    ],
)
def test_a_context_that_cannot_be_used_is_an_error(context: object, says: str) -> None:
    state = fresh(3, 2, 1.0)
    with pytest.raises(InputError, match=says):
        features(state, context)
    with pytest.raises(InputError, match=says):
        tell(state, Trial(id="x", proposal=0, context=context), Score(value=1.0))  # type: ignore[arg-type]
