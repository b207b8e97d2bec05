"""The effective sample size that a fit reports."""

from __future__ import annotations

import math

import pytest
import torch

from loopwright.training.steps import SQUARED, WEIGHT, Sums


def test_ess_is_kish_over_the_samples() -> None:
    sums = Sums()
    mask = torch.ones(4, 3, dtype=torch.bool)
    for weights in ([1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 0.0, 2.0]):
        found = torch.tensor(weights, dtype=torch.float64)
        sums.add(WEIGHT, found, mask)
        sums.add(SQUARED, found**2, mask)
    assert sums.means() == {"ess": pytest.approx((8 / 8) ** 2 / (12 / 8))}
    assert math.isclose(Sums(sums.plain()).means()["ess"], 2 / 3)
    assert Sums().means() == {}
