"""Online algorithm selection under a cap: the first pulls, and what takes the place of a runtime that was cut off."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pytest

from loopwright.blocks import ridge as regression
from loopwright.core.feedback import Score
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe

SPEC = {"arms": 3, "dimensions": 2, "cap": 2.0}
X = [0.6, 0.8]


def seconds(taken: float, about: str) -> Score:
    """What a run took, cut off at the cap."""
    status = "censored" if taken >= SPEC["cap"] else "ok"
    return Score(value=-min(taken, SPEC["cap"]), low=-SPEC["cap"], high=0.0, about=about, status=status)


@pytest.mark.parametrize("slug", ["oas-censored", "oas-unaware"])
def test_every_algorithm_is_run_once_before_any_is_run_again(slug: str) -> None:
    session = Session(get_recipe(slug)(), SPEC, seed=3)
    chosen = []
    for k in range(3):
        trial = session.ask(X)
        assert trial.propensity == pytest.approx(1 / (3 - k))
        chosen.append(trial.proposal)
        session.tell(seconds(5.0 if k == 0 else 0.1, trial.id))  # also one that was cut off has been run
    assert sorted(chosen) == [0, 1, 2]
    assert session.ask(X).propensity not in (1 / 3, 1 / 2)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_what_was_cut_off_counts_as_what_the_belief_expects_above_the_cap(deviation: float) -> None:
    """The regression's row is the mean of draws from N(prediction, (deviation * width)^2) that lie above log C."""
    session = Session(get_recipe("oas-censored")(deviation=deviation, ridge=0.5), SPEC, seed=0)
    for taken in (1.5, 1.8, 1.0, 5.0):
        trial = session.ask(X)
        known = session.state.known
        session.tell(seconds(taken, trial.id))
    arm, x = int(trial.proposal), np.array(X)  # type: ignore[arg-type]
    mean, width = float(regression.predict(known, x)[arm]), float(regression.width(known, x)[arm])
    draws = mean + deviation * width * np.random.default_rng(0).standard_normal(2_000_000)
    expected = draws[draws > math.log(2.0)].mean()
    after = regression.update(known, arm, x, expected)
    assert session.state.known.coefficients[arm] == pytest.approx(after.coefficients[arm], abs=2e-3)
    noise = regression.update(known, arm, x, mean + deviation)
    assert session.state.known.coefficients[arm] != pytest.approx(noise.coefficients[arm], abs=2e-3)


def test_above_a_bound() -> None:
    above = importlib.import_module("loopwright.recipes.online.oas_censored").above
    assert above(0.0, 0.0, 1.0) == pytest.approx(math.sqrt(2 / math.pi))
    assert above(1.0, 3.0, 0.0) == 3.0 and above(3.0, 1.0, 0.0) == 3.0
    assert 50.0 < above(50.0, 0.0, 0.1) < 50.01


@pytest.mark.parametrize("loss", ["par10", "runtime"])
@pytest.mark.parametrize("deviation", [0.5, 1.0])
def test_the_algorithm_of_the_least_expected_loss_under_the_parameters_drawn_is_run(
    loss: str, deviation: float
) -> None:
    """Of a short but uncertain runtime and a longer sure one; what is expected of log PAR10 is summed up over runtimes."""
    means, widths, cap = np.array([0.2, 0.5]), np.array([1.5, 0.3]), math.log(2.0)
    module = importlib.import_module("loopwright.recipes.online.oas_censored")
    known = regression.Ridge(widths[:, None, None], means[:, None])
    learner = get_recipe("oas-censored")(deviation=deviation, loss=loss)
    state = module.Portfolio(known, np.ones(2), cap)

    z = np.linspace(-6, 6, 601)
    weights = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    drawn = means[:, None] + deviation * widths[:, None] * z
    runtimes = drawn[:, :, None] + deviation * widths[:, None, None] * z
    par10 = np.where(runtimes < cap, runtimes, math.log(10 * 2.0)) @ weights
    first, second = par10 if loss == "par10" else drawn
    chance = float(weights @ (first[:, None] < second[None, :]) @ weights)

    rng = np.random.default_rng(0)
    trials = [learner.ask(state, [1.0], rng) for _ in range(1500)]
    assert {t.proposal for t in trials} == {0, 1}
    for trial in trials[:20]:
        assert trial.propensity == pytest.approx(chance if trial.proposal == 0 else 1 - chance, abs=0.01)
    assert np.mean([t.proposal == 0 for t in trials]) == pytest.approx(chance, abs=0.05)


def test_without_options_noise_and_regulariser_are_the_authors() -> None:
    plain, given = get_recipe("oas-censored")(), get_recipe("oas-censored")(deviation=1.0, ridge=0.5)
    assert plain.init(SPEC).cap == pytest.approx(math.log(2.0))
    np.testing.assert_allclose(plain.init(SPEC).known.gram_inverse, np.tile(np.eye(2) / 0.5, (3, 1, 1)))
    trials = []
    for learner in (plain, given):
        session = Session(learner, SPEC, seed=4)
        for taken in (1.0, 5.0, 0.3):
            session.tell(seconds(taken, session.ask(X).id))
        trials.append(session.ask(X))
    assert trials[0].proposal == trials[1].proposal and trials[0].propensity == trials[1].propensity
