"""Arms where changes cost and others may be looked at, and the blocks that a learner plans for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Measures, Score
from loopwright.core.learner import Session, drive
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.recipes.online.switching_cost_feedback import planned
from loopwright.worlds.switching import Switching


def asked(proposal: Any) -> Trial:
    return Trial(id="x", proposal=proposal)


def test_a_change_of_arm_costs_its_price_and_the_first_arm_nothing() -> None:
    world = Switching(arms=3, price=2.0)
    means = world.means(0, 0)
    for t, arm in enumerate([1, 1, 2, 0]):
        world.respond(0, t, asked(arm))
    price = [world.regret(0, t, asked(arm)) - (means.max() - means[arm]) for t, arm in enumerate([1, 1, 2, 0])]
    assert price == pytest.approx([0.0, 0.0, 2.0, 2.0])


def test_a_look_shows_what_playing_would_have_paid() -> None:
    world = Switching(arms=4)
    shown = world.respond(3, 5, asked({"play": 2, "look": [0, 1, 3]}))
    assert isinstance(shown, Measures)
    for arm in range(4):
        paid = world.respond(3, 5, asked(arm))
        assert isinstance(paid, Score) and paid.value == shown.values[str(arm)]
    some = world.respond(3, 5, asked({"play": 2, "look": [0]}))
    assert isinstance(some, Measures) and set(some.values) == {"0", "2"}


@pytest.mark.parametrize("proposal", [4, -1, "1", {"play": 1, "look": 2}, {"look": [1]}, [1, 2]])
def test_what_is_no_arm_is_refused(proposal: Any) -> None:
    with pytest.raises(InputError, match="expected an arm from 0 to 3"):
        Switching(arms=4).respond(0, 0, asked(proposal))


@pytest.mark.parametrize(("horizon", "extra"), [(1000, 0), (1000, 170), (1000, 172), (1000, 500), (1000, 900), (1000, 10**6)])
def test_looks_are_made_where_they_help_and_never_more_than_there_are(horizon: int, extra: int) -> None:
    world, learner = Switching(), get_recipe("switching-cost-feedback")(horizon=horizon, extra=extra)
    log = drive(Session(learner, world.spec, seed=1), world, horizon)
    proposals: list[Any] = [one.trial.proposal for one in log]
    looks = sum(len(p["look"]) for p in proposals if isinstance(p, dict))
    assert looks <= extra
    threshold = 5 ** (1 / 3) * horizon ** (2 / 3)  # 171
    assert (looks > 0) == (extra >= threshold)
    if extra >= threshold:
        assert looks >= 0.6 * min(extra, 4 * horizon)  # lengths are whole numbers
        arms = [p["play"] if isinstance(p, dict) else p for p in proposals]
        changes = [t for t in range(1, horizon) if arms[t] != arms[t - 1]]
        assert all(t % planned(5, horizon, extra, 1.0).length == 0 for t in changes)


def test_the_dartboard_leaves_the_chances_as_the_weights_say() -> None:
    world = Switching(arms=3, low=0.3, high=0.7)
    learner = get_recipe("switching-cost-feedback")(horizon=12, extra=100, price=1.0)
    played, said = np.zeros(3), np.zeros(3)
    for run in range(3000):  # one seed of the world, many of the draws
        session = Session(learner, world.spec, seed=run)
        for t in range(12):
            trial = session.ask()
            session.tell(world.respond(0, t, trial).model_copy(update={"about": trial.id}))
        arm: Any = session.ask().proposal
        state = session.state
        weights = np.exp(-planned(3, 12, 100, 1.0).step * (state.losses - state.losses.min()))
        said += weights / weights.sum() / 3000
        played[arm["play"] if isinstance(arm, dict) else arm] += 1 / 3000
    assert played == pytest.approx(said, abs=0.04) and said.max() > 0.4


@pytest.mark.parametrize("values", [{"0": 1.0}, {"0": 1.0, "1": 0.0, "2": 1.5}])
def test_a_look_that_shows_too_little_or_too_much_is_refused(values: Any) -> None:
    session = Session(get_recipe("switching-cost-feedback")(horizon=10, extra=100), {"arms": 3, "looks": True})
    trial = session.ask()
    with pytest.raises(InputError, match="a look at all arms is answered by"):
        session.tell(Measures(values=values, about=trial.id))


def test_looks_are_refused_where_the_world_has_none() -> None:
    with pytest.raises(InputError, match="use extra=0, which is batched-exp3"):
        get_recipe("switching-cost-feedback")().init({"arms": 3})
    get_recipe("switching-cost-feedback")(extra=500).init({"arms": 3})  # too few to be made
    get_recipe("batched-exp3")().init({"arms": 3})
