"""Environments that are played: they go back, are cut where they do not end, and a trainer says what was watched."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from loopwright.core.errors import InputError, UnknownName
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.worlds.gym import Gym
from loopwright.worlds.tables import best_values, grid, policy_values, visits
from loopwright.worlds.trainer import trained_grid, trained_gym

gymnasium = pytest.importorskip("gymnasium")


def asked(action: Any) -> Trial:
    return Trial(id="x", proposal=action)


class Odd(gymnasium.Env):  # type: ignore[type-arg, misc, name-defined]
    """Never ends, and says what it was told to."""

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, reward: Any = 1.0, observation: Any = 1, fails: bool = False) -> None:
        self.reward, self.observation, self.fails = reward, observation, fails

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return 0, {}

    def step(self, action: Any) -> Any:
        if self.fails:
            raise RuntimeError("broken")
        return self.observation, self.reward, False, False, {}


@pytest.fixture(autouse=True)
def _odd() -> None:
    if "Odd-v0" not in gymnasium.registry:
        gymnasium.register("Odd-v0", entry_point=Odd, disable_env_checker=True, order_enforce=False)


def walked(world: Any, seed: int, actions: list[int]) -> list[Any]:
    said = []
    for t, action in enumerate(actions):
        context = world.context(seed, t)
        said.append((context, world.respond(seed, t, asked(action))))
    return said


@pytest.mark.parametrize(
    "world", [Gym("CartPole-v1", limit=15), Gym("FrozenLake-v1"), trained_grid(noise=0.2, limit=9), trained_gym(limit=20)]
)
def test_a_play_goes_back_and_does_the_same_again(world: Any) -> None:
    actions = [int(a) for a in np.random.default_rng(0).integers(0, world.actions, 60)]
    first = walked(world, 3, actions)
    walked(world, 4, actions[:20])
    for t in (41, 12, 0):
        assert world.context(3, t) == first[t][0]
        again = [(world.context(3, u), world.respond(3, u, asked(actions[u]))) for u in range(t, 60)]
        assert again == first[t:]
    assert world.respond(3, 59, asked(actions[59])) == first[59][1], "asked twice, it is taken once"
    with pytest.raises(InputError, match="show the stream those first"):
        world.context(9, 5)
    assert sum(e.steps for e in world.episodes(3)) == 60


def test_an_episode_without_end_is_cut_and_says_so() -> None:
    world = Gym("Odd-v0", limit=7)
    said = walked(world, 0, [0] * 16)
    assert [context["episode"] for context, _ in said] == [0] * 7 + [1] * 7 + [2] * 2
    assert said[6][1].message == "episode cut after 7 steps" and said[5][1].message == ""
    assert [(e.steps, e.end) for e in world.episodes(0)] == [(7, "cut"), (7, "cut"), (2, "")]
    with pytest.raises(InputError, match="at least 1"):
        Gym("Odd-v0", limit=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"reward": "1.0"}, "a reward is a finite number, got '1.0', a str"),
        ({"reward": None}, "got None"),
        ({"reward": float("nan")}, "got nan"),
        ({"reward": 20.0}, "give the world the low and high"),
        ({"observation": "left"}, "'left' is no observation of Discrete"),
        ({"fails": True}, r"Odd-v0 failed in step: RuntimeError\('broken'\)"),
    ],
)
def test_what_an_environment_says_is_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        walked(Gym("Odd-v0", options=options), 0, [0, 1])


def test_environments_that_cannot_be_played_are_named() -> None:
    with pytest.raises(UnknownName, match="FrozenLake-v1"):
        Gym("FrozenLak-v1")
    with pytest.raises(InputError, match="actions of the kind Box"):
        Gym("Pendulum-v1")
    with pytest.raises(InputError, match="could not be made"):
        Gym("FrozenLake-v1", options={"size": 4})
    with pytest.raises(InputError, match="does not tell its chances"):
        trained_gym("CartPole-v1")
    with pytest.raises(InputError, match="from 0 to 1, got 2"):
        Gym("CartPole-v1").respond(0, 0, asked(2))


def test_values_of_a_grid_are_those_of_the_walk() -> None:
    of, discount = grid(4, 3), 0.9
    best = best_values(of, discount)
    assert best[0].max() == pytest.approx(5 * discount**4), "down, right, right, right, and up to the goal"
    policy = np.full(best.shape, 0.25)
    values = policy_values(of, policy, discount)
    step = of.rewards + discount * of.onward @ (policy * values).sum(axis=1)
    assert values == pytest.approx(step)
    share = visits(of, policy)
    onward = np.einsum("sa,sat->st", policy, of.onward)
    assert share == pytest.approx(share @ (onward + np.outer(1 - onward.sum(axis=1), of.start)), abs=1e-9)


def test_praise_dies_away_with_habit() -> None:
    world = trained_grid(limit=1)
    down = [said.value for _, said in walked(world, 0, [2] * 40)]
    assert down[0] > 0.5 and abs(down[-1]) < 0.05, "going down is right, and soon nothing new"
    assert world.regret(0, 0, asked(2)) == 0.0 and world.regret(0, 0, asked(1)) > 0.5
    late = trained_grid(limit=1, delay=3)
    assert [said.value for _, said in walked(late, 0, [2] * 40)] == [0.0, 0.0, 0.0, *down[:-3]]
    assert all(said.value == 0.0 for _, said in walked(trained_grid(silence=1.0), 0, [1] * 9))
    with pytest.raises(InputError, match="noise=2"):
        trained_grid(noise=2.0)


def driven(session: Session, world: Any, seed: int, start: int, steps: int) -> None:
    for t in range(start, start + steps):
        trial = session.ask(world.context(seed, t))
        session.tell(world.respond(seed, t, trial).model_copy(update={"about": trial.id}))


def test_coach_hears_late_words_of_the_action_they_are_about() -> None:
    def run(delay: int, world: Any) -> np.ndarray:
        session = Session(get_recipe("coach")(delay=delay), world.spec, seed=1)
        for t, action in enumerate([2, 1, 1, 2, 1, 0, 1, 3, 2, 1]):
            trial = session.ask(world.context(1, t)).model_copy(update={"proposal": action})
            session.open[trial.id] = trial
            session.tell(world.respond(1, t, trial).model_copy(update={"about": trial.id}))
        weights: np.ndarray = session.state.weights
        return weights

    late = run(2, trained_grid(delay=2))
    now = Session(get_recipe("coach")(), trained_grid().spec, seed=1)
    world = trained_grid()
    for t, action in enumerate([2, 1, 1, 2, 1, 0, 1, 3]):  # the words about the last two never came
        trial = now.ask(world.context(1, t)).model_copy(update={"proposal": action})
        now.open[trial.id] = trial
        now.tell(world.respond(1, t, trial).model_copy(update={"about": trial.id}))
    assert late == pytest.approx(now.state.weights)


def test_coach_learns_a_real_environment_and_goes_on_in_another_process() -> None:
    options = {"env": "FrozenLake-v1", "options": {"is_slippery": False}, "limit": 50}
    world = trained_gym(**options)  # type: ignore[arg-type]
    session = Session(get_recipe("coach")(), world.spec, seed=2)
    driven(session, world, 2, 0, 700)
    fresh = trained_gym(**options)  # type: ignore[arg-type]
    for t, step in enumerate(world.plays.of(2).steps):
        fresh.respond(2, t, asked(step.action))
    twin = Session.restore(get_recipe("coach")(), json.loads(json.dumps(session.snapshot())))
    driven(session, world, 2, 700, 700)
    driven(twin, fresh, 2, 700, 700)
    assert twin.state.weights == pytest.approx(session.state.weights)
    late = [e for e in world.episodes(2) if e.end][-10:]
    assert np.mean([e.reward for e in late]) > 0.5, "it reaches the goal more often than not"
