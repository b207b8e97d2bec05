"""Tasks of crafting, what is learned of them, and what is chosen to be learned next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loopwright.core.errors import InputError
from loopwright.core.feedback import Score
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.recipes.evolve.omni import Progress, _bores
from loopwright.worlds.crafting import NEEDS, Crafting


def asked(proposal: Any) -> Trial:
    return Trial(id="x", proposal=proposal)


def trained(world: Crafting, seed: int, tasks: list[int]) -> list[float]:
    return [float(world.respond(seed, t, asked(task)).value) for t, task in enumerate(tasks)]  # type: ignore[union-attr, arg-type]


def test_everything_can_be_had_in_the_order_of_its_needs() -> None:
    had: set[str] = set()
    for thing, needs in NEEDS.items():
        assert set(needs) <= had, f"{thing} is listed before what it needs"
        had.add(thing)


def test_a_task_that_is_trained_is_learned_and_an_impossible_one_never_is() -> None:
    won = trained(Crafting(things=5, limit=10), 0, [4] * 80)
    assert np.mean(won[-10:]) > np.mean(won[:10]) + 0.3
    world = Crafting(things=3, repeats=2, impossible=2)
    assert set(trained(world, 1, [7] * 20)) == {0.0}
    assert world.spec["tasks"] == [
        "have 1 wood", "have 1 table", "have 1 wooden pickaxe", "have 2 wood", "have 2 table", "have 2 wooden pickaxe",
        "have a dragon's egg, 6", "have a dragon's egg, 7",
    ]  # fmt: skip


def test_it_goes_back_where_an_earlier_step_is_asked_for() -> None:
    world, fresh = Crafting(things=4, every=5), Crafting(things=4, every=5)
    trained(world, 3, [0, 1, 2, 0, 1, 3, 2, 1, 0, 1, 2])
    again = [world.respond(3, t, asked(task)) for t, task in zip(range(6, 12), [1, 1, 2, 2, 0, 3], strict=True)]
    straight = [fresh.respond(3, t, asked(task)) for t, task in enumerate([0, 1, 2, 0, 1, 3, 1, 1, 2, 2, 0, 3])]
    assert again == straight[6:]
    assert [world.score(3, t, asked(0)) for t in range(12)] == [fresh.score(3, t, asked(0)) for t in range(12)]
    assert [t for t in range(12) if world.score(3, t, asked(0)) is not None] == [4, 9]
    assert [world.regret(3, t, asked(0)) for t in (4, 8, 9)] == [1 - world.score(3, t, asked(0)) for t in (4, 4, 9)]  # type: ignore[operator]
    assert world.regret(3, 3, asked(0)) == world.blind(3, 3)
    with pytest.raises(InputError, match="depends on all steps before"):
        world.respond(3, 40, asked(0))


def test_what_bores_is_told_from_the_best_done_down() -> None:
    table = np.zeros((5, 5), dtype=bool)
    table[0, [1, 2]] = table[1, [0, 2]] = table[3, [4]] = True
    rates = np.array([0.6, 0.9, 0.7, 0.4, 0.2])
    # 1 is the best: it makes 0 and 2 boring, and as they are not visited they mark nothing; 3 is not done well.
    assert _bores(Progress(rates, rates, table), 0.5).tolist() == [True, False, True, False, False]
    assert _bores(Progress(rates, rates, table), 0.3).tolist() == [True, False, True, False, True]
    assert not _bores(Progress(rates, rates, table), 0.95).any()


def test_boring_tasks_are_hardly_drawn_and_what_progresses_is() -> None:
    learner = get_recipe("omni")(explore=0.0)
    state = learner.init({"arms": 4, "boring": {"0": [1]}})
    for task, won in [(0, 1.0)] * 30 + [(1, 0.4), (2, 0.3), (2, 0.6)]:
        state = learner.tell(state, asked(task), Score(value=won))
    drawn = np.bincount([learner.ask(state, None, np.random.default_rng(i)).proposal for i in range(400)], minlength=4)
    assert drawn[3] == 0, "it has never succeeded"
    assert drawn[1] <= 2 and drawn[2] > drawn[0] > 0


@pytest.mark.parametrize("boring", [None, [1], {"0": [9]}, {"x": [1]}, {"0": 1}])
def test_a_judge_that_says_nothing_usable_is_refused(boring: Any) -> None:
    spec = {"arms": 3} if boring is None else {"arms": 3, "boring": boring}
    with pytest.raises(InputError, match="use learning-progress"):
        get_recipe("omni")().init(spec)
    if boring is None:
        get_recipe("learning-progress")().init(spec)


@pytest.mark.parametrize("name", ["repeats", "limit", "episodes", "every", "measured"])
def test_a_world_in_which_nothing_could_happen_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: expected a whole number of at least 1, got 0"):
        Crafting(**{name: 0})
