"""Learners that classify a stream of batches, and whose classes or tasks come one after the other.

A small network takes one step of plain gradient descent for every answer. Methods differ by data alone: the terms of the
loss, the memory, and what is done to the gradient (``blocks.terms`` has the terms and projections).

    context: rows of numbers, or {"x": rows, "task": number, "within": number}
    proposal: a class for each row
    feedback: a Demonstration whose output is a JSON list of the right classes, such as [3, 1]; null for one nobody knows

``task`` says which task a batch belongs to, numbered as they begin; methods that must know where one ends go by it, and
without it there is a single one. ``within`` restricts the answer to the classes of a task (task-incremental); without it all
classes seen so far are in question. A task that comes back, or feedback that is late, opens no new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import mlp, reservoir
from loopwright.blocks.arms import number_of
from loopwright.blocks.reservoir import Keep, Memory
from loopwright.core.errors import InputError
from loopwright.core.feedback import Demonstration, Feedback
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.types import Options, Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

NEVER = -1


class NetworkOptions(Options):
    """hidden: units of the one hidden layer. rate: length of a step of gradient descent."""

    hidden: int = Field(default=100, gt=0)
    rate: float = Field(default=0.1, gt=0, allow_inf_nan=False)


class Known(NamedTuple):
    """All that a learner of this kind knows. p: number of weights."""

    weights: np.ndarray  # [p]; zeros before the first answer
    first: np.ndarray  # [classes] the task in which a class first came, or NEVER
    task: int  # the latest, or NEVER
    answers: int
    memory: Memory
    before: np.ndarray  # [p] weights when the latest task began
    importance: np.ndarray  # [p] summed over the tasks before; [0] where the method does not ask for it
    gathered: np.ndarray  # [p] of the latest task, summed over its examples
    examples: int  # of the latest task


class Step(NamedTuple):
    """What a term of the loss may look at."""

    known: Known
    shapes: mlp.Shapes
    x: np.ndarray  # [n, d]
    labels: np.ndarray  # [n]
    values: list[np.ndarray]  # of mlp.forward for x
    rng: np.random.Generator

    def forward(self, x: np.ndarray) -> list[np.ndarray]:
        return mlp.forward(self.known.weights, x, self.shapes)

    def backward(self, values: list[np.ndarray], slope: np.ndarray, **how: Any) -> np.ndarray:
        return mlp.backward(self.known.weights, values, slope, self.shapes, **how)


Term = Callable[[Step], np.ndarray]  # the gradient [p] of a part of the loss
Projection = Callable[[Step, "np.ndarray"], "np.ndarray"]  # what becomes of the gradient

Refresh = Callable[[Step], "np.ndarray"]  # the weights [p] from which the step is taken instead


class Refit(NamedTuple):
    """Instead of steps along the stream: a new network, fitted to the memory alone after every so many answers."""

    every: int
    epochs: int
    batch: int


class Method(NamedTuple):
    terms: tuple[Term, ...] = ()
    keep: Keep | None = None
    project: Projection | None = None
    importance: bool = False  # gather the diagonal of the Fisher information, as EWC wants it
    blank: bool = False  # the last layer starts at 0
    refit: Refit | None = None
    refresh: Refresh | None = None


def learner_of(method: Method, net: NetworkOptions) -> Learner:
    """The Learner of a method."""

    def init(spec: Mapping[str, JsonValue]) -> Known:
        classes, dimensions = number_of(spec, "classes", 2), number_of(spec, "dimensions")
        shapes = _shapes(dimensions, net.hidden, classes)
        p = mlp.size(shapes)
        weights, importance = np.zeros(p), np.zeros(p if method.importance else 0)
        memory = reservoir.empty(dimensions, classes)
        return Known(weights, np.full(classes, NEVER), NEVER, 0, memory, weights, importance, importance, 0)

    def ask(state: Known, context: Any, rng: np.random.Generator) -> Trial:
        d = state.memory.x.shape[1]
        x, about = inputs(context, d)
        outputs = mlp.forward(state.weights, x, _shapes(d, net.hidden, len(state.first)))[-1]
        return Trial(id="", proposal=allowed(outputs, state.first, about).argmax(axis=1).tolist(), propensity=1.0)

    def tell(state: Known, trial: Trial, feedback: Feedback) -> Known:
        if not isinstance(feedback, Demonstration) or feedback.status != "ok":
            return state
        x, about = inputs(trial.context, state.memory.x.shape[1])
        x, labels = answered(x, feedback.output, len(state.first))
        if not len(labels):
            return state
        rng = luck(trial.id)
        shapes = _shapes(x.shape[1], net.hidden, len(state.first))
        if not state.answers:
            state = state._replace(weights=_start(shapes, rng, method.blank))
        state = begun(state, about, labels)
        if method.refresh is not None:  # luck of its own, so that the memory draws as it would without
            own = luck(f"{trial.id}/refresh")
            before = Step(state, shapes, x, labels, mlp.forward(state.weights, x, shapes), own)
            state = state._replace(weights=method.refresh(before))
        step = Step(state, shapes, x, labels, mlp.forward(state.weights, x, shapes), rng)
        weights = state.weights
        if method.terms:
            slope = np.sum([term(step) for term in method.terms], axis=0)
            with np.errstate(over="ignore", invalid="ignore"):  # told in words below
                weights = weights - net.rate * (slope if method.project is None else method.project(step, slope))
        memory = state.memory
        if method.keep is not None:
            memory = method.keep(memory, Memory(x, labels, step.values[-1], 0), rng)
        answers = state.answers + 1
        if method.refit is not None and answers % method.refit.every == 0:
            weights = _refitted(memory, shapes, method.refit, net.rate, rng)
        if not np.isfinite(weights).all():
            raise InputError(f"the weights ran away; take a rate below {net.rate:g}, or a weaker penalty")
        state = state._replace(weights=weights, memory=memory, answers=answers, examples=state.examples + len(labels))
        if method.importance:
            error = chances(step.values[-1]) - one_hot(labels, len(state.first))
            state = state._replace(gathered=state.gathered + step.backward(step.values, error, squared=True))
        return state

    return Learner(init, ask, tell)


def _shapes(dimensions: int, hidden: int, classes: int) -> mlp.Shapes:
    return [(dimensions, hidden), (hidden, classes)]


def _start(shapes: mlp.Shapes, rng: np.random.Generator, blank: bool) -> np.ndarray:
    weights = mlp.fresh(shapes, rng, gain=1 / 3)  # the variance of PyTorch's usual start, as in most published runs
    if blank:
        weights[-mlp.size(shapes[-1:]) :] = 0.0
    return weights


def _refitted(memory: Memory, shapes: mlp.Shapes, refit: Refit, rate: float, rng: np.random.Generator) -> np.ndarray:
    """A new network after some epochs of gradient descent on the memory."""
    weights = _start(shapes, rng, blank=False)
    n = len(memory.labels)
    wanted = one_hot(memory.labels, shapes[-1][1])
    for _ in range(refit.epochs):
        order = rng.permutation(n)
        for start in range(0, n, refit.batch):
            rows = order[start : start + refit.batch]
            values = mlp.forward(weights, memory.x[rows], shapes)
            slope = (chances(values[-1]) - wanted[rows]) / len(rows)
            weights = weights - rate * mlp.backward(weights, values, slope, shapes)
    return weights


def begun(state: Known, about: Mapping[str, Any], labels: np.ndarray) -> Known:
    """The state with what the batch says of tasks and classes; a task of a higher number than all before is a new one."""
    task = about.get("task", max(state.task, 0))
    if task > state.task:
        importance = state.importance
        if len(importance) and state.examples:
            importance = importance + state.gathered / state.examples
        state = state._replace(
            task=task, before=state.weights, importance=importance, gathered=np.zeros_like(importance), examples=0
        )
    new = labels[state.first[labels] == NEVER]
    if not len(new):
        return state
    first = state.first.copy()
    first[new] = task
    return state._replace(first=first)


def allowed(outputs: np.ndarray, first: np.ndarray, about: Mapping[str, Any]) -> np.ndarray:
    """Outputs [n, classes], minus infinity for classes that are not in question; where none is left, as they were."""
    asked = first == about["within"] if "within" in about else first != NEVER
    return np.where(asked, outputs, -np.inf) if asked.any() else outputs


def inputs(context: Any, dimensions: int) -> tuple[np.ndarray, Mapping[str, Any]]:
    """x [n, d] of a context, and what else it says. Raises InputError."""
    about: Mapping[str, Any] = context if isinstance(context, Mapping) else {}
    given = about.get("x") if isinstance(context, Mapping) else context
    try:
        x = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        x = np.zeros(0)
    if x.ndim != 2 or not len(x) or x.shape[1] != dimensions or not np.isfinite(x).all():
        raise InputError(
            f"the context must hold at least one row of {dimensions} finite numbers each, as a list of lists or under 'x'; got "
            f"{'an array of shape ' + str(x.shape) if x.ndim == 2 else repr(given)[:80]}"
        )
    for name in ("task", "within"):
        if name in about and (isinstance(about[name], bool) or not isinstance(about[name], int) or about[name] < 0):
            raise InputError(f"{name!r} in the context is the number of a task, 0 or more; got {about[name]!r}")
    return x, about


def answered(x: np.ndarray, output: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows [m, d] whose class is told, and the classes [m]. Raises InputError."""
    try:
        told = json.loads(output)
    except ValueError:
        told = None
    if not isinstance(told, list) or len(told) != len(x):
        raise InputError(f"expected a JSON list of {len(x)} classes, one a row, such as [0, null]; got {output[:80]!r}")
    for label in told:
        if label is not None and (isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < classes):
            raise InputError(f"a class is a whole number from 0 to {classes - 1}, or null where it is not known; got {label!r}")
    rows = [i for i, label in enumerate(told) if label is not None]
    return x[rows], np.array([told[i] for i in rows], dtype=np.int64)


def luck(id: str) -> np.random.Generator:
    """Random numbers that belong to a trial: told again it teaches the same, and other seeds have other trials."""
    key = np.frombuffer(hashlib.sha256(id.encode()).digest()[:16], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def chances(outputs: np.ndarray) -> np.ndarray:
    """Softmax of each row."""
    e = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.asarray(np.eye(classes)[labels])
