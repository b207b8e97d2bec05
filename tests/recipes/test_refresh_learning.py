"""What is unlearned before a step."""

import numpy as np
import pytest

from loopwright.blocks import mlp
from loopwright.blocks.incremental import Known, Step, chances
from loopwright.core.learner import Session, drive
from loopwright.core.registry import get_recipe
from loopwright.recipes.continual.refresh_learning import unlearned
from loopwright.worlds.incremental import blobs


def _after(slug: str, **options: float) -> Known:
    world = blobs()
    session = Session(get_recipe(slug)(**options), world.spec, seed=3)
    drive(session, world, 70)
    state: Known = session.state
    return state


def _step(state: Known) -> Step:
    world = blobs()
    shapes = [(6, 100), (100, 4)]
    x = np.array(world.context(3, 70)["x"])
    rng = np.random.default_rng(0)
    return Step(state, shapes, x, np.array([2, 3, 2, 3]), mlp.forward(state.weights, x, shapes), rng)


def _loss(weights: np.ndarray, step: Step) -> float:
    p = chances(mlp.forward(weights, step.x, step.shapes)[-1])
    return float(-np.log(p[np.arange(4), step.labels]).mean())


def test_without_unlearning_it_is_der_plus_plus() -> None:
    plain, same, moved = _after("der-plus-plus"), _after("refresh-learning", delta=0.0), _after("refresh-learning", delta=1e-3)
    np.testing.assert_array_equal(plain.weights, same.weights)
    np.testing.assert_array_equal(plain.memory.x, moved.memory.x)  # the same luck, so that runs can be compared
    assert not np.array_equal(plain.weights, moved.weights)


def test_the_loss_of_the_batch_rises_and_every_layer_moves_by_its_length() -> None:
    step = _step(_after("refresh-learning"))
    weights = step.known.weights
    after = unlearned(0.01, noise=0.0, shield=0.0)(step)
    assert _loss(after, step) > _loss(weights, step)
    for before, now in zip(mlp.parts(weights, step.shapes), mlp.parts(after, step.shapes), strict=True):
        assert np.linalg.norm(now - before) == pytest.approx(0.01 * np.linalg.norm(before))


def test_what_earlier_tasks_need_moves_less() -> None:
    step = _step(_after("refresh-learning"))
    needed = step.known.importance
    assert step.known.task == 1 and needed.any()  # gathered while the first task was learned
    weights = step.known.weights
    free, held = (unlearned(0.01, noise=0.0, shield=s)(step) - weights for s in (0.0, 1e3))
    np.testing.assert_allclose(held, free / (1 + 1e3 * needed), atol=1e-15)


def test_noise_moves_what_has_no_gradient() -> None:
    step = _step(_after("refresh-learning"))
    still = step._replace(known=step.known._replace(weights=np.zeros_like(step.known.weights)))
    moved = unlearned(0.5, noise=2.0, shield=0.0)(still._replace(values=still.forward(still.x)))
    assert moved.std() == pytest.approx(1.0, rel=0.1)
