"""Q-learning by exact values: an episode that terminated has nothing ahead, one that was truncated what it broke off from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Missing, Score
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe
from loopwright.worlds.gym import Gym

gymnasium = pytest.importorskip("gymnasium")


class Ring(gymnasium.Env):  # type: ignore[type-arg, misc, name-defined]
    """States in a ring; every step goes to the next and is rewarded 1. ``ends`` terminates at the last."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, states: int = 4, ends: bool = False) -> None:
        self.states, self.ends = states, ends
        self.observation_space = gymnasium.spaces.Discrete(states)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.state = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        last = self.state == self.states - 1
        self.state = (self.state + 1) % self.states
        return self.state, 1.0, self.ends and last, False, {}


@pytest.fixture(autouse=True)
def _registered() -> None:
    for name, limit in (("Ring-v0", None), ("RingLimit-v0", 3)):
        if name not in gymnasium.registry:
            gymnasium.register(
                name, entry_point=Ring, disable_env_checker=True, order_enforce=False, max_episode_steps=limit
            )


def worths(world: Any, steps: int = 6000, **options: Any) -> np.ndarray:
    """[states] the worth of the better action after so many steps at random."""
    session = Session(get_recipe("q-learning")(**{"discount": 0.9, "sharpness": 0.0, **options}), world.spec, seed=1)
    for t in range(steps):
        trial = session.ask(world.context(1, t))
        session.tell(world.respond(1, t, trial).model_copy(update={"about": trial.id}))
    return np.asarray(session.state.weights.max(axis=0))


@pytest.mark.parametrize("world", ["Ring-v0", "RingLimit-v0"])
def test_a_limit_of_time_does_not_change_what_a_state_is_worth(world: str) -> None:
    """1 + 0.9 + 0.81 + ... = 10 wherever the episode is broken off, by the environment's limit or by the world's."""
    limit = 5 if world == "Ring-v0" else 500
    value = worths(Gym(world, limit=limit, options={"states": 2}))
    assert value == pytest.approx([10.0, 10.0], abs=1e-3)
    assert worths(Gym(world, limit=limit, options={"states": 3})) == pytest.approx([10.0] * 3, abs=1e-3)


def test_where_an_episode_terminates_nothing_is_ahead() -> None:
    value = worths(Gym("Ring-v0", options={"states": 4, "ends": True}))
    assert value == pytest.approx([1 + 0.9 + 0.81 + 0.729, 1 + 0.9 + 0.81, 1.9, 1.0], abs=1e-6)


def test_a_state_in_which_an_episode_now_terminates_and_now_is_truncated_is_both() -> None:
    """With a limit of 4, the ring of 4 that ends is terminated and never truncated: termination comes first."""
    whole = Gym("Ring-v0", limit=4, options={"states": 4, "ends": True})
    assert worths(whole, 2000) == pytest.approx([3.439, 2.71, 1.9, 1.0], abs=1e-6)
    assert {e.end for e in whole.episodes(1)} <= {"ended", ""}


def test_the_first_context_of_an_episode_says_how_the_last_ended() -> None:
    for options, limit, end in (({"states": 3}, 2, "truncated"), ({"states": 2, "ends": True}, 9, "terminated")):
        world, seen = Gym("Ring-v0", limit=limit, options=options), []
        for t in range(4):
            session = Session(get_recipe("random-choice")(), world.spec)
            seen.append(world.context(0, t))
            world.respond(0, t, session.ask(None))
        assert ["last" in context for context in seen] == [False, False, True, False]
        last = [0.0, 0.0, 1.0] if end == "truncated" else [1.0, 0.0]
        assert seen[2]["last"] == {"end": end, "observation": last}


def told(*steps: tuple[dict[str, Any], float | None]) -> Any:
    session = Session(get_recipe("q-learning")(rate=1.0, discount=0.5), {"arms": 2, "dimensions": 2})
    session.state = session.state._replace(weights=np.array([[0.0, 8.0], [0.0, 8.0]]))
    for context, reward in steps:
        trial = session.ask(context)
        if reward is None:
            session.tell(Missing(expected="score", message="no word", about=trial.id))
        else:
            session.tell(Score(value=reward, low=-1.0, high=1.0, about=trial.id))
    return session.state.weights[:, 0].max()


FIRST = {"observation": [1.0, 0.0], "episode": 0, "step": 0}
NEXT = {"observation": [0.0, 1.0], "episode": 1, "step": 0}
TRUNCATED = {"end": "truncated", "observation": [0.0, 1.0]}


def test_a_service_says_how_an_episode_ended() -> None:
    assert told((FIRST, 1.0), (NEXT, 0.0)) == 1.0
    assert told((FIRST, 1.0), ({**NEXT, "last": {"end": "terminated"}}, 0.0)) == 1.0
    assert told((FIRST, 1.0), ({**NEXT, "last": TRUNCATED}, 0.0)) == 1.0 + 0.5 * 8.0
    assert told((FIRST, 1.0), ({**NEXT, "episode": 2, "last": TRUNCATED}, 0.0)) == 0.0, "that is said of another episode"
    late = {"observation": [0.0, 1.0], "episode": 1, "step": 1}
    assert told((FIRST, 1.0), ({**NEXT, "last": TRUNCATED}, None), (late, 0.0)) == 0.0, "how it ended was not told"


@pytest.mark.parametrize(
    "last", ["truncated", {}, {"end": "cut"}, {"end": "truncated"}, {"end": "truncated", "observation": [1.0]}]
)
def test_an_end_that_cannot_be_understood_is_refused(last: Any) -> None:
    with pytest.raises(InputError, match="how the last episode ended is"):
        told((FIRST, 1.0), ({**NEXT, "last": last}, 0.0))
