"""Learning curves: pictures that are pictures, and errors for what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.improve.plots.curves import learning_curves


def test_both_forms_are_drawn_the_same_again() -> None:
    curves = {"one": np.random.default_rng(0).random((4, 900)).cumsum(axis=1), "two": np.ones((1, 900))}
    curves["two"][:, ::3] = np.nan
    picture = learning_curves(curves, ylabel="regret")
    assert picture.startswith(b"\x89PNG") and picture == learning_curves(curves, ylabel="regret")
    drawing = learning_curves(curves, ylabel="regret", form="svg")
    assert b"<svg" in drawing and b"one (4 seeds)" in drawing and drawing == learning_curves(curves, ylabel="regret", form="svg")


def test_what_has_no_curve_is_refused() -> None:
    with pytest.raises(InputError, match="of as many steps"):
        learning_curves({"a": np.ones((2, 3)), "b": np.ones((2, 4))}, ylabel="regret")
    with pytest.raises(InputError, match="with numbers"):
        learning_curves({"a": np.full((2, 3), np.nan)}, ylabel="score")
