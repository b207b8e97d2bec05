"""Streams of tasks, and watching a learner on them."""

import numpy as np
import pytest

from loopwright.blocks.watching import watch
from loopwright.core.errors import InputError
from loopwright.core.registry import get_recipe
from loopwright.core.types import Trial
from loopwright.worlds.arms import Arms
from loopwright.worlds.incremental import Incremental, blobs


def test_one_pass_shows_every_train_example_once_and_no_held_out_one() -> None:
    world = blobs(examples=20, batch=7)
    ends = world.ends(3)
    shown = [tuple(row) for t in range(ends[-1]) for row in world.context(3, t)["x"]]
    asked = [tuple(row) for probe in world.probes(3) for row in probe.context["x"].tolist()]
    assert len(set(shown)) == len(shown) == 56
    assert len(asked) == 24 and not set(shown) & set(asked)
    assert {tuple(row) for row in world.x.tolist()} == {*shown, *asked}


def test_tasks_come_one_after_the_other_and_again() -> None:
    world = blobs(examples=20, batch=7)
    ends = world.ends(0)
    tasks = [world.context(0, t)["task"] for t in range(2 * ends[-1])]
    assert tasks[: ends[0]] == [0] * ends[0] and tasks[ends[0] : ends[1]] == [1] * (ends[1] - ends[0])
    assert tasks[ends[1] :] == tasks[: ends[1]]
    assert world.context(0, 0) == world.context(0, ends[-1])


def test_another_seed_holds_out_others() -> None:
    world = blobs()
    assert not np.array_equal(world.probes(0)[0].context["x"], world.probes(1)[0].context["x"])


def test_shuffled_classes_make_other_tasks() -> None:
    firsts = {tuple(sorted(set(blobs(shuffled=True)._plan(seed).batches[0].labels))) for seed in range(8)}
    assert len(firsts) > 1


def test_permuted_tasks_are_the_same_examples_seen_otherwise() -> None:
    world = blobs(examples=20, tasks=3, permuted=True)
    first, second, _ = world.probes(0)
    assert not np.array_equal(first.context["x"], second.context["x"])
    np.testing.assert_allclose(np.sort(first.context["x"], axis=1), np.sort(second.context["x"], axis=1))
    assert len(blobs(tasks=6, permuted=True).ends(0)) == 6


def test_worth_and_regret_of_answers() -> None:
    world = blobs()
    right = world.respond(0, 0, Trial(id="", proposal=[])).output
    assert world.regret(0, 0, Trial(id="", proposal=[0] * 4)) + 1 > 0
    assert world.regret(0, 0, Trial(id="", proposal=[int(c) for c in right[1:-1].split(",")])) == 0.0
    assert world.regret(0, 0, Trial(id="", proposal="what?")) == 1.0


def test_bad_worlds_are_refused() -> None:
    with pytest.raises(InputError, match="1 to 4 tasks"):
        blobs(tasks=5)
    with pytest.raises(InputError, match="held_out"):
        blobs(held_out=1.0)
    with pytest.raises(InputError, match="at least 2"):
        Incremental("few", np.zeros((3, 1)), np.array([0, 0, 1]), tasks=1).ends(0)


def test_watching_sees_forgetting_and_changes_nothing() -> None:
    learner = get_recipe("naive-sgd")()
    world = blobs(examples=100)
    every, ends_only = (watch(learner, world, seed=5, every=n) for n in (1, 10**6))
    assert every.matrix.shape == (world.ends(5)[-1] + 1, 2)
    assert [every.steps[row] for row in every.ends] == world.ends(5)
    np.testing.assert_array_equal(every.matrix[[0, *every.ends]], ends_only.matrix)
    found = every.figures()
    assert found["forgetting"] > 0.5 > found["ACC"] - 0.2
    assert watch(get_recipe("replay")(), world, seed=5).figures()["ACC"] > found["ACC"] + 0.2


def test_a_measure_says_of_the_records_what_was_watched() -> None:
    seen = watch(get_recipe("replay")(), blobs(examples=40), seed=1)
    table = get_recipe("stability-gap")(seen.records())
    told = {row[1]: row[2] for row in table.rows}
    assert told == pytest.approx({k: v for k, v in seen.figures().items() if np.isfinite(v)})
    assert {row[0] for row in table.rows} == {"test"}


def test_a_single_task_can_be_watched() -> None:
    seen = watch(get_recipe("ewc")(), blobs(tasks=1), seed=0, every=5)
    assert seen.matrix.shape[1] == 1 and seen.figures()["ACC"] > 0.6


def test_more_than_one_pass() -> None:
    world = blobs(examples=20)
    seen = watch(get_recipe("progressive-networks")(), world, seed=0, steps=2 * world.ends(0)[-1], every=4)
    assert len(seen.ends) == 2 and seen.steps[-1] == 2 * world.ends(0)[-1]


def test_what_cannot_be_watched_is_refused() -> None:
    learner = get_recipe("naive-sgd")()
    with pytest.raises(InputError, match="no held-out questions"):
        watch(learner, Arms())
    with pytest.raises(InputError, match="first task"):
        watch(learner, blobs(), steps=1)
    with pytest.raises(InputError, match="every"):
        watch(learner, blobs(), every=0)
