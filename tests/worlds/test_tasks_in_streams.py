"""Streams of tasks, and watching a learner on them."""

import importlib

import numpy as np
import pytest

from loopwright.blocks import incremental
from loopwright.blocks.watching import experts, watch
from loopwright.core.errors import InputError
from loopwright.core.learner import Session, drive
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


def test_what_was_trained_is_known_in_later_passes_too() -> None:
    world = blobs(examples=20)
    first, whole = world.ends(0)
    seen = watch(get_recipe("naive-sgd")(), world, seed=0, steps=2 * whole)
    assert seen.training == [None, *2 * ([0] * first + [1] * (whole - first))]
    told = {row[1] for row in get_recipe("lifelong-metrics")(seen.records()).rows}
    assert {"performance maintenance", "backward transfer"} <= told and "relative performance" not in told


def test_experts_are_taught_one_task_each_at_the_same_pace() -> None:
    world, learner = blobs(examples=20, batch=7), get_recipe("naive-sgd")()
    seen, alone = watch(learner, world, seed=3, every=3), experts(learner, world, seed=3, every=3)
    asked = [(record.rollout.example.meta["task"], record.round) for record in alone]
    assert asked == [(task, step) for step, task in zip(seen.steps, seen.training, strict=True) if task is not None]
    first = [record.rollout.score for record in alone if record.rollout.example.meta["task"] == 0]
    assert first == seen.matrix[[row for row, task in enumerate(seen.training) if task == 0], 0].tolist()
    told = {row[1]: row[2] for row in get_recipe("lifelong-metrics")([*seen.records(), *alone]).rows}
    assert 0.5 < told["relative performance"] < 2.0


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


def test_an_encoder_is_in_the_specification_and_stays_as_it_is() -> None:
    world = blobs(examples=100)
    session = Session(get_recipe("l2p")(rate=0.3), world.spec, seed=1)
    before = session.state.frozen.copy()
    drive(session, world, world.ends(1)[-1])
    np.testing.assert_array_equal(session.state.frozen, before)
    assert session.state.prompts.any()
    assert np.mean([np.mean(task) for task in session.probe(world.probes(1))]) > 0.4


def test_prompts_need_an_encoder_that_fits() -> None:
    learner = get_recipe("l2p")()
    with pytest.raises(InputError, match="encoded-digits"):
        learner.init({"classes": 2, "dimensions": 3})
    with pytest.raises(InputError, match="do not fit"):
        learner.init({"classes": 2, "dimensions": 3, "encoder": {"widths": [3, 2, 2], "weights": [1.0]}})
    with pytest.raises(InputError, match="at most"):
        get_recipe("l2p")(pool=2, picked=3).init(blobs().spec)


def test_each_input_picks_its_own_prompts_or_a_batch_those_that_most_picked() -> None:
    world = blobs()
    session = Session(get_recipe("l2p")(pool=4, picked=2), world.spec, seed=2)
    drive(session, world, 1)
    module = importlib.import_module("loopwright.recipes.continual.l2p")
    x = np.array(world.context(2, 1)["x"])
    _, query = module.chosen(session.state, x, 2)
    # Keys that are the directions of two inputs and their opposites, so that it is known who picks what.
    keys = np.stack([query[0], query[1], -query[0], -query[1]])
    state = session.state._replace(keys=keys)
    own, _ = module.chosen(state, x, 2)
    nearest = np.argsort(-(query @ keys.T), axis=1, kind="stable")[:, :2]
    np.testing.assert_array_equal(own, nearest)
    votes = np.bincount(nearest.ravel(), minlength=4)
    shared, _ = module.chosen(state, x, 2, per_batch=True)
    assert (shared == shared[0]).all() and len(set(votes)) > 1
    assert votes[shared[0]].sum() == np.sort(votes)[-2:].sum() and votes[shared[0][0]] >= votes[shared[0][1]]


@pytest.mark.parametrize("pull", [0.1, 2.0])
def test_the_gradients_of_prompts_keys_and_the_last_layer(pull: float) -> None:
    """What one answer changes, against differences of the loss."""
    recipe, world = get_recipe("l2p"), blobs()
    learner = recipe(rate=1e-6, pool=3, picked=2, pull=pull)
    session = Session(learner, world.spec, seed=2)
    drive(session, world, 1)
    state = session.state._replace(head=np.random.default_rng(0).standard_normal(session.state.head.shape))
    x, labels = np.array(world.context(2, 1)["x"]), world._plan(2).batches[1].labels
    module = importlib.import_module("loopwright.recipes.continual.l2p")
    places, query = module.chosen(state, x, 2)

    def loss(prompts: np.ndarray, keys: np.ndarray, head: np.ndarray) -> float:
        _, features = module.seen(state._replace(prompts=prompts), x, places)
        outputs = (features @ head[:-1] + head[-1])[:, :2]  # the first task's two classes
        unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        cosines = (unit[places] * query[:, None, :]).sum() / len(x)
        return float(-np.log(incremental.chances(outputs)[np.arange(len(x)), labels]).mean() - pull * cosines)

    trial = Trial(id="x", proposal=[], context=world.context(2, 1))
    after = learner.tell(state, trial, world.respond(2, 1, trial))
    for name in ("prompts", "keys", "head"):
        now = {"prompts": state.prompts, "keys": state.keys, "head": state.head}
        by_differences = np.zeros_like(now[name])
        for place in np.ndindex(*now[name].shape):
            unit = np.zeros_like(now[name])
            unit[place] = 1e-6
            up, down = (loss(**{**now, name: now[name] + side * unit}) for side in (1, -1))
            by_differences[place] = (up - down) / 2e-6
        np.testing.assert_allclose((now[name] - getattr(after, name)) / 1e-6, by_differences, atol=1e-5)


def test_classes_of_other_tasks_do_not_compete_while_one_is_learned() -> None:
    world, learner = blobs(), get_recipe("l2p")()
    session = Session(learner, world.spec, seed=2)
    step = world.ends(2)[0] + 10  # when both classes of the second task have come
    drive(session, world, step)
    trial = Trial(id="x", proposal=[], context=world.context(2, step))
    after = learner.tell(session.state, trial, world.respond(2, step, trial))
    changed = (after.head != session.state.head).any(axis=0)
    assert changed[2:].all() and not changed[:2].any()  # the second task's two classes


def test_prompts_begin_near_nothing_and_keys_between_0_and_1() -> None:
    world = blobs()
    session = Session(get_recipe("l2p")(rate=1e-12), world.spec, seed=2)
    drive(session, world, 1)
    prompts, keys = session.state.prompts, session.state.keys
    assert prompts.min() >= 0.0 and 0.005 < prompts.max() <= 0.01
    assert keys.min() >= 0.0 and 0.5 < keys.max() <= 1.0
