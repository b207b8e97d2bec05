"""Incremental learners: gradients against differences, memories, tasks, and input that cannot be used."""

import json

import numpy as np
import pytest

from loopwright.blocks import incremental, mlp, reservoir, terms
from loopwright.blocks.incremental import NetworkOptions, Step, chances
from loopwright.blocks.reservoir import Memory
from loopwright.core.errors import InputError
from loopwright.core.feedback import Demonstration
from loopwright.core.learner import Session
from loopwright.core.registry import get_recipe

SHAPES = [(3, 6), (6, 4)]


def _step(seed: int = 0) -> Step:
    rng = np.random.default_rng(seed)
    weights = mlp.fresh(SHAPES, rng) + 0.1 * rng.standard_normal(mlp.size(SHAPES))
    x, labels = rng.standard_normal((5, 3)), np.array([0, 1, 3, 3, 2])
    memory = Memory(rng.standard_normal((4, 3)), np.array([0, 1, 1, 0]), rng.standard_normal((4, 4)), 9)
    known = incremental.Known(
        weights, np.array([0, 0, 1, 1]), 1, 3, memory, weights + 0.1 * rng.standard_normal(len(weights)),
        rng.random(len(weights)), np.zeros(0), 0,
    )  # fmt: skip
    return Step(known, SHAPES, x, labels, mlp.forward(weights, x, SHAPES), rng)


def _moved(step: Step, weights: np.ndarray) -> list[np.ndarray]:
    return mlp.forward(weights, step.x, SHAPES)


def _entropy(z: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(chances(z)[np.arange(len(labels)), labels]).mean())


def _plain(step: Step, weights: np.ndarray) -> float:
    return _entropy(_moved(step, weights)[-1], step.labels)


def _cosine(step: Step, weights: np.ndarray) -> float:
    h, matrix = _moved(step, weights)[-2], mlp.layers(weights, SHAPES)[-1][0]
    angles = h @ matrix / np.linalg.norm(h, axis=1, keepdims=True) / np.linalg.norm(matrix, axis=0)
    return _entropy(angles / 0.2, step.labels)


def _own(step: Step, weights: np.ndarray) -> float:
    z, first = _moved(step, weights)[-1], step.known.first
    return _entropy(np.where(first == first[step.labels][:, None], z, -1e9), step.labels)


def _replayed(step: Step, weights: np.ndarray) -> float:
    memory = step.known.memory
    return 2.0 * _entropy(mlp.forward(weights, memory.x, SHAPES)[-1], memory.labels)


def _dark(step: Step, weights: np.ndarray) -> float:
    memory = step.known.memory
    return 0.5 * float(((mlp.forward(weights, memory.x, SHAPES)[-1] - memory.outputs) ** 2).mean())


def _taught(step: Step, weights: np.ndarray) -> float:
    old = slice(0, 2)  # the classes of task 0
    p = chances(_moved(step, weights)[-1] / 2.0)[:, old]
    q = chances(_moved(step, step.known.before)[-1] / 2.0)[:, old]
    return float((q * (np.log(q) - np.log(p))).sum() / len(step.x))


def _sprung(step: Step, weights: np.ndarray) -> float:
    return float(1.5 * (step.known.importance * (weights - step.known.before) ** 2).sum())


@pytest.mark.parametrize(
    ("term", "loss"),
    [
        (terms.labels(), _plain),
        (terms.labels(cosine=0.2), _cosine),
        (terms.labels(own=True), _own),
        (terms.labels(on="memory", weight=2.0), _replayed),
        (terms.outputs(weight=0.5), _dark),
        (terms.teacher(temperature=2.0), _taught),
        (lambda step: terms.sprung(strength=3.0, rate=0.0)(step, np.zeros_like(step.known.weights)), _sprung),
    ],
)
def test_a_term_is_the_gradient_of_its_loss(term, loss) -> None:
    step = _step()
    weights = step.known.weights
    small = 1e-6
    by_differences = [
        (loss(step, weights + small * unit) - loss(step, weights - small * unit)) / (2 * small) for unit in np.eye(len(weights))
    ]
    np.testing.assert_allclose(term(step), by_differences, atol=1e-7)


def test_a_gem_takes_away_what_points_against_the_memory() -> None:
    step = _step()
    reference = terms.labels(on="memory", number=10)(step)
    project = terms.not_against_memory(number=10)
    assert abs(project(step, -reference + 0.1) @ reference) < 1e-9
    np.testing.assert_array_equal(project(step, 2 * reference), 2 * reference)


def test_no_spring_is_too_stiff() -> None:
    step = _step()
    rate = 0.1
    moved = step.known.weights - rate * terms.sprung(strength=1e12, rate=rate)(step, np.ones_like(step.known.weights))
    np.testing.assert_allclose(moved, step.known.before, atol=1e-6)


def test_a_column_leaves_the_earlier_ones_alone() -> None:
    step = _step()
    step = step._replace(labels=np.array([2, 3, 3, 2, 2]))  # classes of task 1
    matrix, head = (layer[0] for layer in mlp.layers(terms.own_column(2)(step, np.ones(mlp.size(SHAPES))), SHAPES))
    assert not matrix[:, :3].any() and matrix[:, 3:].all()
    assert not head[:, :2].any() and head[:, 2:].all()


def test_a_reservoir_keeps_every_example_with_the_same_chance() -> None:
    counts = np.zeros(50)
    rng = np.random.default_rng(0)
    keep = reservoir.random(5)
    for _ in range(2000):
        memory = reservoir.empty(1, 2)
        for at in range(0, 50, 10):
            x = np.arange(at, at + 10.0)[:, None]
            memory = keep(memory, Memory(x, np.zeros(10, dtype=int), np.zeros((10, 2)), 0), rng)
        assert len(memory.labels) == 5 and memory.offered == 50
        counts[memory.x[:, 0].astype(int)] += 1
    assert counts.sum() == 10_000
    assert counts.min() > 140 and counts.max() < 260  # 200 expected, standard deviation 13


def test_a_balanced_memory_makes_room_for_new_classes() -> None:
    rng = np.random.default_rng(0)
    memory = reservoir.empty(1, 4)
    for label in (0, 0, 0, 1, 2, 3):
        new = Memory(np.full((4, 1), float(label)), np.full(4, label), np.zeros((4, 4)), 0)
        memory = reservoir.balanced(8)(memory, new, rng)
    assert np.bincount(memory.labels).tolist() == [2, 2, 2, 2]
    np.testing.assert_array_equal(memory.x[:, 0], memory.labels)


def _session(slug: str, **options) -> Session:
    return Session(get_recipe(slug)(**options), {"classes": 4, "dimensions": 2})


def _teach(session: Session, x: list, labels: list, **about) -> None:
    trial = session.ask({"x": x, **about})
    session.tell(Demonstration(output=json.dumps(labels), about=trial.id))


def test_no_class_is_said_that_was_never_seen() -> None:
    session = _session("naive-sgd")
    _teach(session, [[1.0, 0.0], [0.0, 1.0]], [2, 3])
    assert set(session.ask([[5.0, -5.0], [-5.0, 5.0], [1.0, 1.0]]).proposal) <= {2, 3}


def test_within_a_task_its_classes_alone_are_said() -> None:
    session = _session("naive-sgd")
    _teach(session, [[1.0, 0.0], [0.0, 1.0]], [0, 1], task=0)
    _teach(session, [[1.0, 1.0], [2.0, 1.0]], [2, 3], task=1)
    rows = [[1.0, 0.0], [0.0, 1.0], [3.0, -1.0]]
    assert set(session.ask({"x": rows, "within": 0}).proposal) <= {0, 1}
    assert set(session.ask({"x": rows, "within": 1}).proposal) <= {2, 3}


@pytest.mark.parametrize("slug", ["replay", "der-plus-plus", "uer", "a-gem", "gdumb"])
def test_a_memory_of_nothing_is_no_memory(slug: str) -> None:
    session = _session(slug, memory=0)
    for _ in range(11):
        _teach(session, [[1.0, 0.0], [0.0, 1.0]], [0, 1])
    assert len(session.state.memory.labels) == 0
    assert np.isfinite(session.state.weights).all()


def test_without_a_memory_replay_is_naive_training() -> None:
    sessions = [_session("replay", memory=0), _session("naive-sgd")]
    for session in sessions:
        for _ in range(3):
            _teach(session, [[1.0, 0.0], [0.0, 1.0]], [0, 1])
    np.testing.assert_array_equal(sessions[0].state.weights, sessions[1].state.weights)


def test_labels_that_nobody_knows_teach_nothing() -> None:
    session = _session("replay")
    before = session.state
    _teach(session, [[1.0, 0.0]], [None])
    assert session.state is before
    _teach(session, [[1.0, 0.0], [0.0, 1.0]], [None, 1])
    assert session.state.memory.labels.tolist() == [1]


def test_late_feedback_and_tasks_that_come_back_begin_no_task() -> None:
    session = _session("ewc", strength=1.0)
    rows = [[1.0, 0.0], [0.0, 1.0]]
    _teach(session, rows, [0, 1], task=0)
    _teach(session, rows, [2, 3], task=1)
    importance, before = session.state.importance, session.state.before
    assert importance.any()
    _teach(session, rows, [0, 1], task=0)
    assert session.state.task == 1
    assert session.state.importance is importance and session.state.before is before


@pytest.mark.parametrize(
    "context", [None, "text", [], [[1.0]], [[1.0, float("nan")]], [1.0, 2.0], {"rows": [[1.0, 2.0]]},
                {"x": [[1.0, 2.0]], "task": -1}, {"x": [[1.0, 2.0]], "within": "first"}]
)  # fmt: skip
def test_a_context_that_cannot_be_used_is_refused(context) -> None:
    with pytest.raises(InputError, match=r"rows? of 2 finite numbers|number of a task"):
        _session("replay").ask(context)


@pytest.mark.parametrize("output", ["", "3", "[0]", "[0, 4]", "[0, -1]", "[0, 1.5]", "[0, true]", '["a", "b"]'])
def test_labels_that_cannot_be_used_leave_the_trial_open(output: str) -> None:
    session = _session("replay")
    trial = session.ask([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(InputError, match="class"):
        session.tell(Demonstration(output=output, about=trial.id))
    assert trial.id in session.open


def test_weights_that_run_away_are_an_error() -> None:
    session = _session("naive-sgd", rate=1e300)
    with pytest.raises(InputError, match="ran away"):
        _teach(session, [[1e9, -1e9], [1e9, 1e9]], [0, 1])


def test_the_options_of_the_network_are_the_recipe_s() -> None:
    assert {"hidden", "rate"} <= set(get_recipe("replay").options)
    assert NetworkOptions().hidden == get_recipe("replay").options["hidden"].default
