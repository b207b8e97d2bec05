"""Learners: explicit state that is plain data, driven by a world, a service or a person's own program.

    learner = lin_ucb(alpha=1.0)
    state = learner.init({"arms": 3, "dimensions": 5})
    trial = learner.ask(state, context, rng)          # the state is not changed
    state = learner.tell(state, trial, feedback)      # a new state; the old one stays as it was

``Session`` adds what a service needs: ids, late and partial feedback, refusal of unknown and double ids, snapshots.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Missing
from loopwright.core.types import Trial, digest
from loopwright.core.world import Stream


class Learner(NamedTuple):
    """Three pure functions.

    init(spec) -> state: a NamedTuple of numbers, strings and numpy arrays.
    ask(state, context, rng) -> Trial: its id is set by whoever drives; its propensity by the learner.
    tell(state, trial, feedback) -> state: never changes its argument.
    """

    init: Callable[[Mapping[str, JsonValue]], Any]
    ask: Callable[[Any, Any, np.random.Generator], Trial]
    tell: Callable[[Any, Trial, Feedback], Any]


def encode_state(state: Any) -> JsonValue:
    """State as JSON data, arrays bit for bit."""
    if isinstance(state, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(state).tobytes()).decode()
        return {"array": data, "dtype": str(state.dtype), "shape": list(state.shape)}
    if isinstance(state, tuple) and hasattr(state, "_asdict"):
        return {"state": {k: encode_state(v) for k, v in state._asdict().items()}}
    if isinstance(state, tuple | list):
        return [encode_state(v) for v in state]
    if isinstance(state, dict):
        return {"dict": {k: encode_state(v) for k, v in state.items()}}
    if isinstance(state, np.generic):
        return state.item()  # type: ignore[no-any-return]
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(f"a learner's state holds numbers, strings, arrays, tuples and dicts, got {type(state).__name__}")


def decode_state(data: Any, like: Any) -> Any:
    """The inverse of encode_state; ``like`` is a state of the same learner (for the types of its NamedTuples)."""
    if isinstance(data, dict) and "array" in data:
        raw = np.frombuffer(base64.b64decode(data["array"]), dtype=data["dtype"])
        return raw.reshape(data["shape"]).copy()
    if isinstance(data, dict) and "state" in data:
        return type(like)(**{k: decode_state(v, getattr(like, k)) for k, v in data["state"].items()})
    if isinstance(data, dict) and "dict" in data:
        return {k: decode_state(v, like.get(k) if isinstance(like, dict) else None) for k, v in data["dict"].items()}
    if isinstance(data, list):
        return type(like)(decode_state(v, None) for v in data) if isinstance(like, tuple | list) else data
    return data


class Session:
    """A Learner in use: asks get ids, feedback finds its trial whenever it comes.

    Feedback that failed or was refused closes its trial and teaches nothing. Feedback of status ``censored`` is
    handed on: the learner knows what a bound is worth. An unknown or already answered id is an InputError.
    """

    def __init__(self, learner: Learner, spec: Mapping[str, JsonValue], *, seed: int = 0) -> None:
        self.learner = learner
        self.spec = dict(spec)
        self.seed = seed
        self.state = learner.init(self.spec)
        self.asked = 0
        self.open: dict[str, Trial] = {}

    def ask(self, context: Any = None) -> Trial:
        rng = np.random.default_rng([self.seed, self.asked])
        trial = self.learner.ask(self.state, context, rng)
        plain = context.tolist() if isinstance(context, np.ndarray) else context
        trial = trial.model_copy(update={"id": digest([self.seed, self.asked])[:16], "context": plain})
        self.asked += 1
        self.open[trial.id] = trial
        return trial

    def tell(self, feedback: Feedback) -> None:
        trial = self.open.pop(feedback.about, None)
        if trial is None:
            raise InputError(f"no open trial {feedback.about!r}: it was never asked, or feedback on it has come already")
        if not isinstance(feedback, Missing):
            self.state = self.learner.tell(self.state, trial, feedback)

    def snapshot(self) -> dict[str, JsonValue]:
        """Everything as JSON data; ``restore`` goes on from it in any process."""
        return {
            "spec": self.spec,
            "seed": self.seed,
            "asked": self.asked,
            "state": encode_state(self.state),
            "open": [t.model_dump(mode="json") for t in self.open.values()],
        }

    @classmethod
    def restore(cls, learner: Learner, snapshot: Mapping[str, Any]) -> Session:
        session = cls(learner, snapshot["spec"], seed=snapshot["seed"])
        session.asked = snapshot["asked"]
        session.state = decode_state(snapshot["state"], session.state)
        session.open = {t["id"]: Trial.model_validate(t) for t in snapshot["open"]}
        return session


def drive(session: Session, stream: Stream, steps: int, *, scramble: Callable[[Feedback], Feedback] | None = None) -> list[Feedback]:
    """Let a stream drive a learner for some steps; returns what it was told, in order."""
    told: list[Feedback] = []
    for _ in range(steps):
        t = session.asked
        trial = session.ask(stream.context(session.seed, t))
        feedback = stream.respond(session.seed, t, trial).model_copy(update={"about": trial.id})
        told.append(feedback)
        session.tell(scramble(feedback) if scramble is not None else feedback)
    return told
