"""Learners: explicit state that is plain data, driven by a world, a service or a person's own program.

    learner = lin_ucb(alpha=1.0)
    state = learner.init({"arms": 3, "dimensions": 5})
    trial = learner.ask(state, context, rng)          # the state is not changed
    state = learner.tell(state, trial, feedback)      # a new state; the old one stays as it was

``Session`` adds what a service needs: ids, late and partial feedback, refusal of unknown and double ids, snapshots.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ConfigDict, JsonValue, field_validator

from loopwright.core.arrays import Numbers, packed
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Frozen, Missing
from loopwright.core.lazy import lazy
from loopwright.core.types import Trial
from loopwright.core.world import Probe, Stream

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


STEPS = "steps"  # the kind of a Learner's effects


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
    """State as strict JSON data, arrays and numbers bit for bit. Raises TypeError for what it cannot hold."""
    if isinstance(state, np.ndarray | np.generic):
        array = np.asarray(state)
        if array.dtype.hasobject:
            raise TypeError("a learner's arrays hold numbers, not Python objects")
        data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
        kind = "array" if isinstance(state, np.ndarray) else "scalar"
        return {kind: data, "dtype": array.dtype.str, "shape": list(array.shape)}
    if isinstance(state, tuple):
        fields = getattr(state, "_fields", None)
        return {"tuple" if fields is None else "state": [encode_state(v) for v in state]}
    if isinstance(state, list):
        return [encode_state(v) for v in state]
    if isinstance(state, dict) and all(isinstance(k, str) for k in state):
        return {"dict": {k: encode_state(v) for k, v in state.items()}}
    if isinstance(state, float) and not math.isfinite(state):
        return {"float": repr(state)}
    if state is None or isinstance(state, bool | int | float | str):
        return state
    raise TypeError(
        "a learner's state holds numbers, strings, arrays, lists, tuples and dicts with text as keys, "
        f"got {type(state).__name__}"
    )


def decode_state(data: Any, like: Any) -> Any:
    """The inverse of encode_state; ``like`` is a state of the same learner (for the types of its NamedTuples)."""
    if isinstance(data, list):
        return [decode_state(v, _sample(like, i)) for i, v in enumerate(data)]
    if not isinstance(data, dict):
        return data
    if "array" in data or "scalar" in data:
        raw = np.frombuffer(base64.b64decode(data.get("array") or data.get("scalar", "")), dtype=data["dtype"])
        array = raw.reshape(data["shape"]).copy()
        return array if "array" in data else array[()]
    if "float" in data:
        return float(data["float"])
    if "dict" in data:
        return {k: decode_state(v, like.get(k) if isinstance(like, dict) else None) for k, v in data["dict"].items()}
    values: list[Any] = data["tuple"] if "tuple" in data else data["state"]
    made = [decode_state(v, _sample(like, i)) for i, v in enumerate(values)]
    if "tuple" in data:
        return tuple(made)
    if not hasattr(like, "_fields"):
        raise TypeError("a NamedTuple inside a learner's state must be there from init on, so that its type is known")
    return type(like)(*made)


def _sample(like: Any, index: int) -> Any:
    """What stands at this place in ``like``; in a list or tuple that has grown, what stands first."""
    if isinstance(like, list | tuple) and like:
        return like[index] if index < len(like) else like[0]
    return None


class Draws:
    """The random numbers of each ask: a function of the seed and of how many were asked before.

    One generator is set to the place of the ask (Philox counts, so any place is as near as another): seeding a new one would
    take longer than most learners think.
    """

    def __init__(self, seed: int) -> None:
        key = np.random.SeedSequence([seed % 2**64]).generate_state(2, np.uint64)  # numpy takes no negative seed, runs may
        self._bits = np.random.Philox(key=key)
        self._generator = np.random.Generator(self._bits)
        self._start: Any = self._bits.state

    def at(self, asked: int) -> np.random.Generator:
        self._start["state"]["counter"][:] = 0, 0, asked, 0
        self._bits.state = self._start
        return self._generator


class Session:
    """A Learner in use: asks get ids, feedback finds its trial whenever it comes.

    Feedback that failed or was refused closes its trial and teaches nothing. Feedback of status ``censored`` is
    handed on: the learner knows what a bound is worth. An unknown or already answered id is an InputError, and so is feedback
    that the learner refuses; where it does, or where there is no lawful conversion, the trial stays open.

    Any number of trials may be open; each holds its context. ``forget`` drops one that nobody will answer.

    convert: turns feedback into a kind the learner learns from.
    """

    def __init__(
        self,
        learner: Learner,
        spec: Mapping[str, JsonValue],
        *,
        seed: int = 0,
        convert: Callable[[Feedback], Feedback] | None = None,
    ) -> None:
        self.learner = learner
        self.convert = convert
        self.spec = dict(spec)
        self.seed = seed
        self.state = learner.init(self.spec)
        self.asked = 0
        self.open: dict[str, Trial] = {}
        self._draws = Draws(seed)

    def ask(self, context: Any = None) -> Trial:
        trial = self.learner.ask(self.state, context, self._draws.at(self.asked))
        id = hashlib.sha256(b"%d/%d" % (self.seed, self.asked)).hexdigest()[:16]
        trial = trial.model_copy(update={"id": id, "context": plain(context)})
        self.asked += 1
        self.open[id] = trial
        return trial

    def tell(self, feedback: Feedback) -> None:
        trial = self._known(feedback.about)
        if self.convert is not None and not isinstance(feedback, Missing):
            feedback = self.convert(feedback)
        if not isinstance(feedback, Missing):
            self.state = self.learner.tell(self.state, trial, feedback)
        del self.open[trial.id]

    def probe(self, probes: Sequence[Probe]) -> list[list[float]]:
        """What proposals made now would be worth on held-out questions, probe by probe. Nothing is learned or opened."""
        draws = Draws(self.seed).at(self.asked)
        proposals: list[Any] = [self.learner.ask(self.state, p.context, draws).proposal for p in probes]
        return [[float(v) for v in p.worth(proposal)] for p, proposal in zip(probes, proposals, strict=True)]

    def forget(self, id: str) -> None:
        """Close an open trial without feedback; what comes for it later is an InputError, as for an unknown one."""
        del self.open[self._known(id).id]

    def _known(self, id: str) -> Trial:
        trial = self.open.get(id)
        if trial is None:
            raise InputError(f"no open trial {id!r}: it was never asked, or was answered or forgotten already")
        return trial

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
    def restore(
        cls,
        learner: Learner,
        snapshot: Mapping[str, Any],
        *,
        convert: Callable[[Feedback], Feedback] | None = None,
    ) -> Session:
        session = cls(learner, snapshot["spec"], seed=snapshot["seed"], convert=convert)
        session.asked = snapshot["asked"]
        session.state = decode_state(snapshot["state"], session.state)
        session.open = {t["id"]: Trial.model_validate(t) for t in snapshot["open"]}
        return session


def plain(context: Any) -> Any:
    """A context as JSON data."""
    return context.tolist() if isinstance(context, np.ndarray | np.generic) else context


class Logged(Frozen):
    """A question and the answer to it: with the trial's propensity, all that an off-policy estimate needs."""

    trial: Trial
    feedback: Feedback


class Block(Frozen):
    """What one effect of a Learner holds: the session as it stands after it, what was asked and answered in it, and what was
    seen of it meanwhile, after how many steps.
    """

    # What a world shows may hold numbers that are not finite; they must come back as they were.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    snapshot: JsonValue
    log: tuple[Logged, ...]
    seen: tuple[tuple[int, JsonValue], ...] = ()

    @field_validator("log")
    @classmethod
    def _unpacked(cls, log: tuple[Logged, ...]) -> tuple[Logged, ...]:
        if not any(packed(one.trial.proposal) for one in log):
            return log
        return tuple(
            one if not packed(proposal := one.trial.proposal)
            else Logged.model_construct(
                trial=one.trial.model_copy(update={"proposal": Numbers(proposal)}), feedback=one.feedback
            )
            for one in log
        )  # fmt: skip


def drive(
    session: Session, stream: Stream, steps: int, *, scramble: Callable[[Feedback], Feedback] | None = None
) -> list[Logged]:
    """Let a stream drive a learner for some steps; returns what was asked and answered, in order."""
    log: list[Logged] = []
    for _ in range(steps):
        t = session.asked
        trial = session.ask(stream.context(session.seed, t))
        feedback = stream.respond(session.seed, t, trial).model_copy(update={"about": trial.id})
        log.append(Logged.model_construct(trial=trial, feedback=feedback))
        session.tell(scramble(feedback) if scramble is not None else feedback)
    return log
