"""L2P: a frozen network is told, by prompts from a small pool that an input itself picks, how to see what it was not made for.

Wang et al., "Learning to prompt for continual learning", arXiv:2112.08654; repository google-research/l2p. The representative
of prompt pools in the survey of Wang et al. (arXiv:2302.00487). Keeps no examples. Every prompt has a key; an input takes the
``picked`` prompts whose keys are nearest to what the frozen network says of it without any, so like inputs share prompts and
unlike ones do not disturb each other. Prompts, keys and the last layer are learned; classes of other tasks (``task`` in the
context) do not compete while one is learned. The specification holds the frozen network ("encoder", as the world
``encoded-digits`` has it).

How this differs: the frozen network is a small one without attention, so a prompt is not a row of tokens before the input: it
is added to what goes into the first hidden layer, the mean of those picked. Every input picks its own prompts, as in the
paper's equation 4; the released settings let a whole batch, also one that is only answered, take those that most of its inputs
picked (``per_batch`` does). 5 of 10 prompts and ``pull`` 0.1, where these settings have 4 of 10 and 1. Keys begin between 0
and 1, theirs between 0 and 0.01: only a key's direction counts, and a short one turns faster. Every batch is learned from
once, at a constant rate by plain gradient descent, where the authors make five passes over a task with Adam, begun anew with
each task, and clip gradients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, JsonValue

from loopwright.blocks import mlp
from loopwright.blocks.arms import number_of
from loopwright.blocks.incremental import NEVER, allowed, answered, chances, inputs, luck, one_hot
from loopwright.core.errors import InputError
from loopwright.core.feedback import Demonstration, Feedback
from loopwright.core.lazy import lazy
from loopwright.core.learner import Learner
from loopwright.core.registry import learner
from loopwright.core.types import Trial

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Count = Annotated[int, Field(gt=0)]


class Pool(NamedTuple):
    frozen: np.ndarray  # [p] weights of the network that nobody changes
    prompts: np.ndarray  # [pool, hidden]
    keys: np.ndarray  # [pool, features]
    head: np.ndarray  # [features + 1, classes]; the last row is the bias
    first: np.ndarray  # [classes] the task in which a class first came, or NEVER
    answers: int


@learner(paper="arXiv:2112.08654", improves="label", learns_from=("demonstration",))
def l2p(
    *,
    pool: Count = 10,
    picked: Count = 5,
    pull: Annotated[float, Field(ge=0)] = 0.1,
    rate: Annotated[float, Field(gt=0)] = 0.1,
    per_batch: bool = False,
) -> Learner:
    """pool: prompts there are. picked: of them by each input. pull: how strongly keys are drawn to the inputs that pick them.

    per_batch: all inputs of a batch take the prompts that most of them picked.
    """

    def init(spec: Mapping[str, JsonValue]) -> Pool:
        classes, d = number_of(spec, "classes", 2), number_of(spec, "dimensions")
        frozen, (_, hidden, features) = encoder(spec, d)
        if picked > pool:
            raise InputError(f"picked is at most the pool's {pool} prompts, got {picked}")
        return Pool(
            frozen, np.zeros((pool, hidden)), np.zeros((pool, features)), np.zeros((features + 1, classes)),
            np.full(classes, NEVER), 0,
        )  # fmt: skip

    def ask(state: Pool, context: Any, rng: np.random.Generator) -> Trial:
        x, about = inputs(context, widths(state)[0])
        _, features = seen(state, x, chosen(state, x, picked, per_batch)[0])
        outputs = features @ state.head[:-1] + state.head[-1]
        return Trial(id="", proposal=allowed(outputs, state.first, about).argmax(axis=1).tolist(), propensity=1.0)

    def tell(state: Pool, trial: Trial, feedback: Feedback) -> Pool:
        if not isinstance(feedback, Demonstration) or feedback.status != "ok":
            return state
        x, about = inputs(trial.context, widths(state)[0])
        x, labels = answered(x, feedback.output, len(state.first))
        if not len(labels):
            return state
        if not state.answers:
            rng = luck(trial.id)
            keys, prompts = rng.uniform(0.0, 1.0, state.keys.shape), rng.uniform(0.0, 0.01, state.prompts.shape)
            state = state._replace(keys=keys, prompts=prompts)
        first = state.first.copy()
        first[labels[first[labels] == NEVER]] = about.get("task", 0)
        places, query = chosen(state, x, picked, per_batch)
        hidden, features = seen(state, x, places)
        outputs = features @ state.head[:-1] + state.head[-1]
        own = np.where(first == first[labels][:, None], outputs, -np.inf)
        slope = (chances(own) - one_hot(labels, len(first))) / len(x)
        head = state.head - rate * np.vstack([features.T @ slope, slope.sum(axis=0)])
        second = mlp.layers(state.frozen, shapes(state))[1][0]
        back = ((slope @ state.head[:-1].T) * (features > 0)) @ second.T * (hidden > 0) / picked
        prompts, keys = state.prompts.copy(), state.keys.copy()
        np.add.at(prompts, places, -rate * back[:, None, :])
        # The gradient of a cosine by the key: the query's direction less what lies along the key.
        length = np.maximum(np.linalg.norm(state.keys, axis=1, keepdims=True), 1e-12)
        unit = (state.keys / length)[places]
        along = (unit * query[:, None, :]).sum(axis=2, keepdims=True)
        np.add.at(keys, places, rate * pull / len(x) * (query[:, None, :] - along * unit) / length[places])
        return Pool(state.frozen, prompts, keys, head, first, state.answers + 1)

    return Learner(init, ask, tell)


def encoder(spec: Mapping[str, JsonValue], dimensions: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Weights [p] of the frozen network and its widths. Raises InputError where the world has none."""
    given = spec.get("encoder")
    told: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    widths = told.get("widths")
    weights = np.asarray(told.get("weights", ()), dtype=float)
    if not isinstance(widths, list) or len(widths) != 3 or widths[0] != dimensions:
        raise InputError(
            "the specification must hold a frozen network of two layers, 'encoder': {'widths': "
            f"[{dimensions}, hidden, features], 'weights': [...]}}; the world encoded-digits has one"
        )
    if weights.shape != (mlp.size([(widths[0], widths[1]), (widths[1], widths[2])]),) or not np.isfinite(weights).all():
        raise InputError(f"the weights of the encoder do not fit its widths {widths}")
    return weights, (widths[0], widths[1], widths[2])


def widths(state: Pool) -> tuple[int, int, int]:
    hidden, features = state.prompts.shape[1], state.keys.shape[1]
    return (len(state.frozen) - (hidden + 1) * features) // hidden - 1, hidden, features


def shapes(state: Pool) -> list[tuple[int, int]]:
    d, hidden, features = widths(state)
    return [(d, hidden), (hidden, features)]


def chosen(state: Pool, x: np.ndarray, picked: int, per_batch: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """[n, picked] places of the nearest keys, and the queries' directions [n, features].

    per_batch: in every row the places that most rows picked, most votes first and the lower place of equals.
    """
    query = np.maximum(mlp.forward(state.frozen, x, shapes(state))[-1], 0.0)
    query = query / np.maximum(np.linalg.norm(query, axis=1, keepdims=True), 1e-12)
    unit = state.keys / np.maximum(np.linalg.norm(state.keys, axis=1, keepdims=True), 1e-12)
    places = np.argsort(-(query @ unit.T), axis=1, kind="stable")[:, :picked]
    if per_batch:
        votes = np.bincount(places.ravel(), minlength=len(unit))
        places = np.tile(np.argsort(-votes, kind="stable")[:picked], (len(x), 1))
    return places, query


def seen(state: Pool, x: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What comes out of the first hidden layer, and the features, under the mean of the prompts picked."""
    (matrix, shift), (second, bias) = mlp.layers(state.frozen, shapes(state))
    hidden = np.maximum(x @ matrix + shift + state.prompts[places].mean(axis=1), 0.0)
    return hidden, np.maximum(hidden @ second + bias, 0.0)
