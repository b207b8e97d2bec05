"""What learners promise a service: feedback late and in any order, many open at once, censored, failed, and changing worlds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwright.blocks.ridge import Ridge
from loopwright.core.errors import InputError
from loopwright.core.feedback import Gradient, Missing, Preference, Score
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.worlds.arms import Arms
from loopwright.worlds.bandit import LinearBandit
from loopwright.worlds.duels import Duels
from loopwright.worlds.portfolio import Portfolio
from loopwright.worlds.workers import Workers

WORLDS: dict[str, Any] = {
    "lin-ucb": LinearBandit(), "lin-ts": LinearBandit(), "epsilon-greedy": LinearBandit(), "ucb1": Arms(), "exp3": Arms(),
    "thompson": Arms(), "thompson-normal": Arms(), "rucb": Duels(), "double-thompson": Duels(), "apohf": Duels(),
    "oas-censored": Portfolio(),
}  # fmt: skip


def session(slug: str, **options: Any) -> Session:
    return Session(get_recipe(slug)(**options), WORLDS[slug].spec, seed=3)


def numbers(state: Any) -> np.ndarray:
    if isinstance(state, Ridge):  # a square root of the inverse Gram matrix is not unique, what it is the root of is
        state = (state.gram_inverse, state.coefficients)
    if isinstance(state, tuple | list):
        return np.concatenate([numbers(part) for part in state] or [np.zeros(0)])
    return np.atleast_1d(np.asarray(state, dtype=float)).ravel()


@pytest.mark.parametrize("slug", sorted(set(WORLDS) - {"oas-censored", "rucb"}))
def test_answers_in_another_order_teach_the_same(slug: str) -> None:
    """All asked before any is answered, so both orders answer the same questions."""
    world, states = WORLDS[slug], []
    for order in (range(12), reversed(range(12))):
        one = session(slug)
        trials = [one.ask(world.context(3, t)) for t in range(12)]
        answers = [world.respond(3, t, trial).model_copy(update={"about": trial.id}) for t, trial in enumerate(trials)]
        assert len(one.open) == 12
        for t in order:
            one.tell(answers[t])
        assert not one.open
        states.append(numbers(one.state))
    assert states[0] == pytest.approx(states[1], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("slug", ["lin-ts", "epsilon-greedy", "exp3", "thompson", "thompson-normal", "rucb", "oas-censored"])
def test_propensities_are_the_frequencies(slug: str) -> None:
    world, one = WORLDS[slug], session(slug)
    for t in range(40):
        trial = one.ask(world.context(3, t))
        one.tell(world.respond(3, t, trial).model_copy(update={"about": trial.id}))
    context = world.context(3, 40)
    drawn = [one.learner.ask(one.state, context, np.random.default_rng(i)) for i in range(1500)]
    for proposal in {str(d.proposal) for d in drawn}:
        chosen = [d for d in drawn if str(d.proposal) == proposal]
        expected = float(np.mean([d.propensity for d in chosen]))  # type: ignore[misc]
        assert len(chosen) / len(drawn) == pytest.approx(expected, abs=0.045)


def test_random_learners_spread_while_answers_are_pending_and_the_others_repeat_themselves() -> None:
    for slug, fewest, most in (("thompson", 2, 5), ("ucb1", 1, 1)):
        one = session(slug)
        for arm in range(5):
            one.state = one.learner.tell(one.state, Trial(id="x", proposal=arm), Score(value=arm / 4))
        assert fewest <= len({one.ask().proposal for _ in range(30)}) <= most


def test_a_forgotten_trial_is_gone() -> None:
    one = session("lin-ucb")
    trial = one.ask(WORLDS["lin-ucb"].context(0, 0))
    one.forget(trial.id)
    with pytest.raises(InputError, match="forgotten"):
        one.tell(Score(value=1.0, about=trial.id))
    with pytest.raises(InputError, match="forgotten"):
        one.forget(trial.id)


def test_feedback_that_the_learner_refuses_leaves_the_trial_open() -> None:
    one = session("rucb")
    trial, state = one.ask(), one.state
    with pytest.raises(InputError, match="by place"):
        one.tell(Preference(chosen="left", rejected="right", about=trial.id))
    assert one.state is state
    one.tell(Preference(chosen="0", rejected="1", about=trial.id))
    assert not one.open


@pytest.mark.parametrize("slug", ["oas-censored", "oas-unaware"])
def test_every_run_cut_off_leaves_finite_beliefs(slug: str) -> None:
    world = Portfolio()
    one = Session(get_recipe(slug)(), world.spec, seed=0)
    for t in range(300):
        trial = one.ask(world.context(0, t % 5))
        one.tell(Score(value=-world.cap, low=-world.cap, high=0.0, status="censored", about=trial.id))
    assert np.isfinite(numbers(one.state)).all()
    assert 0.0 < (one.ask(world.context(0, 9)).propensity or 0.0) <= 1.0


def test_what_was_cut_off_lies_above_the_cap_and_rises_with_what_is_believed() -> None:
    spec = {"arms": 1, "dimensions": 1, "cap": 1.0}
    learner = get_recipe("oas-censored")(deviation=1.0, ridge=1.0)
    trial = Trial(id="x", proposal=0, context=[1.0])
    cut = Score(value=-1.0, low=-1.0, high=0.0, status="censored")
    state = learner.tell(learner.init(spec), trial, cut)
    # E[y | y > 0] of a standard normal is 0.798; the ridge halves it.
    assert state[0].coefficients[0, 0] == pytest.approx(0.798 / 2, abs=1e-3)
    clipped = get_recipe("oas-censored")(censored="clip", ridge=1.0)
    assert clipped.tell(clipped.init(spec), trial, cut)[0].coefficients[0, 0] == 0.0
    dropping = get_recipe("oas-censored")(censored="drop")
    begin = dropping.init(spec)
    dropped = dropping.tell(begin, trial, cut)
    assert dropped.known is begin.known and dropped.told.tolist() == [1.0], "nothing is learned but that it was run"
    with pytest.raises(InputError, match="minus the seconds"):
        learner.tell(state, trial, Score(value=1.0))


def test_where_means_change_forgetting_helps() -> None:
    def regret(slug: str, **options: Any) -> float:
        world, total = Arms(arms=3, low=0.1, high=0.9, change=400), 0.0
        for seed in range(4):
            one = Session(get_recipe(slug)(**options), world.spec, seed=seed)
            for t in range(1600):
                trial = one.ask(world.context(seed, t))
                total += world.regret(seed, t, trial)
                one.tell(world.respond(seed, t, trial).model_copy(update={"about": trial.id}))
        return total / 4

    assert regret("thompson", discount=0.98) < 0.8 * regret("thompson")
    assert regret("ucb1", discount=0.98, width=0.3) < 0.8 * regret("ucb1", width=0.3)


def test_a_winner_of_duels_is_shown_twice_in_the_end() -> None:
    world = Duels(arms=5, dimensions=3, scale=6.0)
    for slug in ("rucb", "double-thompson"):
        one = Session(get_recipe(slug)(), world.spec, seed=1)
        for t in range(3000):
            trial = one.ask(world.context(1, t))
            one.tell(world.respond(1, t, trial).model_copy(update={"about": trial.id}))
        best = int(world.worth(1).argmax())
        last = [one.ask(None).proposal for _ in range(20)]
        assert sum(p == [best, best] for p in last) >= 15


def told(slug: str, world: Workers, rounds: int, **options: Any) -> list[np.ndarray]:
    """The points that were asked about, one a round."""
    one = Session(get_recipe(slug)(**options), world.spec, seed=0)
    points = []
    for t in range(rounds * int(world.spec["workers"])):  # type: ignore[call-overload]
        trial = one.ask(world.context(0, t))
        if world.context(0, t) == 0:
            points.append(np.array(trial.proposal))
        one.tell(world.respond(0, t, trial).model_copy(update={"about": trial.id}))
    return points


def test_sending_everything_is_gradient_descent() -> None:
    world = Workers(workers=3, rows=6, dimensions=4)
    turn, point = world._turn(0), np.zeros(4)
    length = 1.0 / float(world.spec["smoothness_of_mean"])  # type: ignore[arg-type]
    for found in told("ef21", world, 10, keep=4):
        assert found == pytest.approx(point, abs=1e-12)
        point = point - length * turn @ np.mean([world.gradient(point @ turn, w) for w in range(3)], axis=0)


def test_weighted_compression_is_the_same_with_a_longer_step() -> None:
    """EF21-W as its algorithm says it: gradients divided by n times the worker's weight, estimates weighted in the mean."""
    world = Workers(workers=4, rows=6, dimensions=5)
    steep = np.array(world.spec["smoothness"], dtype=float)
    weights, share = steep / steep.sum(), 1 / 5
    factor = np.sqrt(1 - share) / (1 - np.sqrt(1 - share))
    length = 1.0 / (float(world.spec["smoothness_of_mean"]) + steep.mean() * factor)  # type: ignore[arg-type]
    turn, point, estimates = world._turn(0), np.zeros(5), np.zeros((4, 5))
    for found in told("ef21-weighted", world, 30):
        assert found == pytest.approx(point, abs=1e-12)
        for w in range(4):
            change = turn @ world.gradient(point @ turn, w) / (4 * weights[w]) - estimates[w]
            largest = int(np.abs(change).argmax())
            estimates[w, largest] += change[largest]
        point = point - length * weights @ estimates


def test_error_feedback_reaches_the_optimum_and_without_it_the_iterates_stall() -> None:
    world = Workers(workers=4, rows=10, dimensions=6, ridge=0.1)
    short = {slug: world.regret(0, 0, Trial(id="x", proposal=told(slug, world, 1500)[-1].tolist())) for slug in (
        "ef21", "compressed-gradient"
    )}  # fmt: skip
    assert short["ef21"] < 1e-6 < 1e-4 < short["compressed-gradient"]


def test_a_worker_who_fails_holds_nobody_up() -> None:
    world = Workers(workers=4, rows=10, dimensions=6, ridge=0.1)
    one = Session(get_recipe("ef21")(), world.spec, seed=0)
    for t in range(8000):
        trial = one.ask(world.context(0, t))
        if t % 7 == 3:
            one.tell(Missing(expected="gradient", message="the line was cut", about=trial.id))
        else:
            one.tell(world.respond(0, t, trial).model_copy(update={"about": trial.id}))
    assert world.regret(0, 0, one.ask(0)) < 1e-5


@pytest.mark.parametrize("worker", [None, -1, 4, True, "0"])
def test_a_worker_who_is_nobody_is_an_error(worker: Any) -> None:
    with pytest.raises(InputError, match="worker who asks"):
        Session(get_recipe("ef21")(), Workers(workers=4).spec).ask(worker)


def test_a_gradient_of_another_length_is_an_error() -> None:
    one = Session(get_recipe("ef21")(), Workers(workers=4).spec)
    trial = one.ask(0)
    with pytest.raises(InputError, match="20 numbers"):
        one.tell(Gradient(vector=(1.0, 2.0), about=trial.id))


@pytest.mark.parametrize(
    ("slug", "spec", "says"),
    [
        ("ucb1", {}, "arms"), ("lin-ucb", {"arms": 0, "dimensions": 2}, "arms"), ("rucb", {"arms": 1}, "arms"),
        ("apohf", {"features": [[1.0], [float("nan")]]}, "features"), ("apohf", {"features": [1.0, 2.0]}, "features"),
        ("oas-censored", {"arms": 2, "dimensions": 2}, "cap"), ("ef21", {"workers": 2, "dimensions": 1}, "smoothness"),
    ],
)  # fmt: skip
def test_a_specification_that_lacks_something_is_an_error(slug: str, spec: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        get_recipe(slug)().init(spec)
