"""Checks of what a Learner does with its state and with feedback as a service gets it."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

import numpy as np

from loopwright.blocks import arms
from loopwright.blocks.convert import convert
from loopwright.checks.bench import stream_for
from loopwright.checks.suite import Failed, check
from loopwright.core.errors import InputError
from loopwright.core.feedback import Feedback, Missing
from loopwright.core.learner import Learner, Session, drive, encode_state, plain
from loopwright.core.registry import Recipe
from loopwright.core.state import not_finite

STEPS = 60


def _session(recipe: Recipe, seed: int) -> Session:
    return Session(recipe(), stream_for(recipe).spec, seed=seed, convert=lambda feedback: _lawful(recipe, feedback))


def _lawful(recipe: Recipe, feedback: Feedback) -> Feedback:
    return convert(feedback, recipe.card.learns_from) if recipe.card.learns_from else feedback


@check("learner")
def tell_changes_no_argument(recipe: Recipe) -> None:
    """ask and tell leave the state they are given as it was, and tell's new state depends on its arguments alone."""
    stream = stream_for(recipe)
    learner: Learner = recipe()
    state = learner.init(stream.spec)
    for t in range(STEPS):
        rng = np.random.default_rng([11, t])
        before = json.dumps(encode_state(state))
        trial = learner.ask(state, stream.context(11, t), rng)
        if json.dumps(encode_state(state)) != before:
            raise Failed(f"ask changed the state at step {t}; a question must not be an answer")
        trial = trial.model_copy(update={"id": str(t), "context": plain(stream.context(11, t))})
        feedback = _lawful(recipe, stream.respond(11, t, trial))
        twin = copy.deepcopy(state)
        new = learner.tell(state, trial, feedback)
        if json.dumps(encode_state(state)) != before:
            raise Failed(f"tell changed the state it was given at step {t}; copy arrays before you write to them")
        if _text(learner.tell(twin, trial, feedback)) != _text(new):
            raise Failed(f"tell gave two answers to the same question at step {t}; it keeps something outside the state")
        state = new


@check("learner")
def arms_and_sums_keep_what_is_known(recipe: Recipe) -> str | None:
    """Arms in another order are the same arms, some of them can be asked alone, and merging adds what was learned."""
    stream = stream_for(recipe)
    learner: Learner = recipe()
    if learner.arms is None and learner.merge is None:
        return "does not apply: its arms do not come and go, and what it has learned is no sum"
    session = _session(recipe, 13)
    begun, contexts = session.state, [stream.context(13, t) for t in range(STEPS)]
    drive(session, stream, STEPS)
    state, before = session.state, _text(session.state)

    def proposals(state: Any) -> list[Any]:
        return [learner.ask(state, x, np.random.default_rng([13, t])).proposal for t, x in enumerate(contexts)]

    if learner.arms is not None:
        count = arms.number_of(stream.spec, "arms")
        turned = list(reversed(range(count)))
        other = learner.arms(state, turned)
        same = _text(learner.arms(other, [0, 1])) == _text(learner.arms(state, turned[:2]))
        if not same or _text(learner.arms(other, turned)) != before:
            raise Failed("arms in another order are not the same arms; arms(state, places) has arm places[i] as its arm i")
        for proposal in proposals(learner.arms(state, [count - 1, 0])):
            if any(place not in (0, 1) for place in (proposal if isinstance(proposal, list) else [proposal])):
                raise Failed(f"of two arms that were offered it proposed {proposal}; a state of two arms has the places 0 and 1")
    if learner.merge is not None:
        if proposals(learner.merge(begun, state, begun)) != proposals(state):
            raise Failed("merged with a state that has learned nothing, it proposes otherwise; merge adds what other learned")
        if proposals(learner.merge(state, begun, begun)) != proposals(state):
            raise Failed("merged with another that learned nothing since, it proposes otherwise; merge adds what other learned")
    if _text(state) != before:
        raise Failed("arms or merge changed the state it was given; copy arrays before you write to them")
    return None


@check("learner")
def feedback_in_any_order(recipe: Recipe) -> None:
    """Late, partial, failed, censored and repeated feedback is survived, also across a restart in mid-stream."""
    stream = stream_for(recipe)
    session = _session(recipe, 12)
    rng = np.random.default_rng(12)
    late: list[Feedback] = []
    for t in range(STEPS):
        trial = session.ask(stream.context(12, t))
        answer = stream.respond(12, t, trial).model_copy(update={"about": trial.id})
        fate = ("now", "late", "never", "failed", "censored")[int(rng.integers(5))]
        if fate == "now":
            session.tell(answer)
            _refused(session, answer)
        elif fate == "late":
            late.insert(int(rng.integers(len(late) + 1)), answer)
        elif fate == "failed":
            before = _text(session.state)
            session.tell(Missing(expected=answer.kind, message="timeout", about=trial.id))
            if _text(session.state) != before:
                raise Failed("a judgement that failed changed the state; it must teach nothing")
        elif fate == "censored":
            session.tell(answer.model_copy(update={"status": "censored"}))
        if len(late) > 5:
            session.tell(late.pop())
        if t == STEPS // 2:
            session = _restarted(session, recipe)
    for answer in late:
        session.tell(answer)
    if where := not_finite(session.state):
        raise Failed(f"the state holds numbers that are not finite (in {where})")
    session.ask(stream.context(12, STEPS))


def _refused(session: Session, answer: Feedback) -> None:
    before = _text(session.state)
    with suppress(InputError):
        session.tell(answer)
    if _text(session.state) != before:
        raise Failed("the same feedback, told twice, counted twice")


def _restarted(session: Session, recipe: Recipe) -> Session:
    """As another process would have it; both must go on alike."""
    snapshot: dict[str, Any] = json.loads(json.dumps(session.snapshot(), allow_nan=False))
    twin = Session.restore(recipe(), snapshot, convert=session.convert)
    if _text(twin.state) != _text(session.state) or twin.snapshot() != session.snapshot():
        raise Failed("the state does not survive a snapshot; keep it to numbers, text, arrays, tuples and dicts")
    return twin


def _text(state: Any) -> str:
    return json.dumps(encode_state(state))
