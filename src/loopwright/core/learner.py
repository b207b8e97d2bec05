"""Learners: explicit state that is plain data, driven by a world, a service or a person's own program.

    learner = lin_ucb(alpha=1.0)
    state = learner.init({"arms": 3, "dimensions": 5})
    trial = learner.ask(state, context, rng)          # the state is not changed
    state = learner.tell(state, trial, feedback)      # a new state; the old one stays as it was

``Session`` adds what a service needs: ids, late and partial feedback, refusal of unknown and double ids, snapshots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from pydantic import ConfigDict, JsonValue, field_validator

from loopwright.core import offers
from loopwright.core.arrays import Numbers, packed
from loopwright.core.errors import InputError, NoConversion
from loopwright.core.feedback import Feedback, Frozen, Missing
from loopwright.core.lazy import lazy
from loopwright.core.snapshots import check_snapshot
from loopwright.core.state import FORMAT, decode_state, encode_state, not_finite, plain
from loopwright.core.types import MadeBy, Trial
from loopwright.core.world import Probe, Stream

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

__all__ = ["Block", "Learner", "Logged", "Session", "decode_state", "drive", "encode_state", "plain"]

STEPS = "steps"  # the kind of a Learner's effects


class Learner(NamedTuple):
    """Three pure functions, and what else a learner that chooses among arms can do.

    init(spec) -> state: a NamedTuple of numbers, strings and numpy arrays.
    ask(state, context, rng) -> Trial: its id is set by whoever drives; its propensity by the learner.
    tell(state, trial, feedback) -> state: never changes its argument.

    arms(state, places) -> state: what is known of some arms alone. Arm i of the new state is arm ``places[i]`` of the old, which
    may come twice (an arm that begins as another one stands) or be -1 (a new arm). Every whole number in a proposal of such a
    learner is the place of an arm. None: arms cannot come and go.
    merge(state, other, base) -> state: what ``state`` and ``other`` learned apart from each other since ``base``, together. None:
    what it has learned is no sum.
    fixed: why ``arms`` is None. made_by: set by the recipe that makes it.
    """

    init: Callable[[Mapping[str, JsonValue]], Any]
    ask: Callable[[Any, Any, np.random.Generator], Trial]
    tell: Callable[[Any, Trial, Feedback], Any]
    arms: Callable[[Any, Sequence[int]], Any] | None = None
    merge: Callable[[Any, Any, Any], Any] | None = None
    fixed: str = ""
    made_by: MadeBy = MadeBy()

    @property
    def name(self) -> str:
        return self.made_by.recipe or "this learner"


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
    that the learner refuses, feedback of a kind that it does not learn from and that cannot become one (NoConversion), and
    feedback after which the state would hold a number that is not finite; the trial then stays open.

    Any number of trials may be open; each holds its context. ``forget`` drops one that nobody will answer, ``expire`` those
    that are too old.

    This one is for runs that must come out the same again: its ids are made of seed and number alone, and it reads no clock.
    ``loopwright.Session`` is the one for services.

    Args:
        learner: what a recipe makes, such as ``get_recipe("lin-ucb")(alpha=0.5)``.
        spec: what the learner must know at the start. ``arms``, where the learner has them, is how many, or the list of their
            names, by which they are then proposed.
        seed: of the draws.
        convert: turns feedback into a kind the learner learns from. Without it feedback of another kind is refused.
        ids: a text that makes the ids of this session its own: two sessions with the same seed and text give the same ids.
        clock: seconds, for ``expire``; None keeps no times.

    Raises:
        InputError: for a specification that the learner cannot use.
    """

    def __init__(
        self,
        learner: Learner,
        spec: Mapping[str, Any],
        *,
        seed: int = 0,
        convert: Callable[[Feedback], Feedback] | None = None,
        ids: str = "",
        clock: Callable[[], float] | None = None,
    ) -> None:
        if not isinstance(learner, Learner):
            raise InputError(f"expected what a recipe makes, such as get_recipe('lin-ucb')(), got {type(learner).__name__}")
        if not isinstance(spec, Mapping):
            raise InputError(f"a specification is a dict such as {{'arms': 3}}, got {type(spec).__name__}")
        self.learner = learner
        self.convert = convert
        self.clock = clock
        self.spec: dict[str, Any] = plain(spec, "the specification")
        self.seed = seed
        self.arms: tuple[str, ...] | None = offers.names_in(self.spec)
        if self.arms is not None:
            self._rearranging()
        self.state = learner.init(offers.counted(self.spec, self.arms))
        self.asked = 0
        self.open: dict[str, Trial] = {}
        self.since: dict[str, float] = {}  # when an open trial was asked, by the clock
        self._draws = Draws(seed)
        self._ids = f"{seed}/{ids}/" if ids else f"{seed}/"

    def ask(self, context: Any = None, *, arms: Iterable[str | int] | None = None, id: str | None = None) -> Trial:
        """What to try now.

        Args:
            context: what is known of the case: JSON data, or numpy arrays and numbers.
            arms: those that are offered this time, by name, or by place where they have none; None: all.
            id: for this trial, such as the id of a visit; it must not be in use, and should never be used twice. None makes one.

        Returns:
            The trial. Its propensity is the probability that this arm had among those offered.

        Raises:
            InputError: for a context that the learner or JSON cannot hold, arms that are not there, an id that is in use.
        """
        if id is not None and offers.checked_name(id, "the id of a trial") in self.open:
            raise InputError(f"a trial {id!r} is open already; tell it, forget it, or ask with another id")
        state, names = self.state, self.arms
        if arms is not None:
            among = self._rearranging()
            places = offers.offered(arms, names, 0 if names is not None else self._count())
            state = among(state, places)
            names = [names[i] for i in places] if names is not None else places  # type: ignore[assignment]
        trial = self.learner.ask(state, context, self._draws.at(self.asked))
        if id is None:
            id = hashlib.sha256(f"{self._ids}{self.asked}".encode()).hexdigest()[:16]
        changes: dict[str, Any] = {"id": id, "context": plain(context)}
        if names is not None:
            changes["proposal"] = offers.renamed(trial.proposal, names)
        trial = trial.model_copy(update=changes)
        self.asked += 1
        self.open[id] = trial
        if self.clock is not None:
            self.since[id] = self.clock()
        return trial

    def tell(self, feedback: Feedback) -> None:
        """Teach the learner how the trial went whose id is ``feedback.about``, and close it.

        Raises:
            InputError: for a trial that is not open, and for feedback that the learner cannot use; see above.
        """
        trial = self._known(getattr(feedback, "about", None))
        self._learn(trial, feedback)
        self._close(trial.id)

    def teach(self, context: Any, arm: Any, feedback: Feedback, *, propensity: float | None = None) -> None:
        """Teach the learner a decision that was made elsewhere, by an earlier system for example, and how it went.

        Args:
            context: as for ``ask``.
            arm: what was done, in the form of a proposal of this session.
            feedback: how it went; its ``about`` is not looked at.
            propensity: the probability with which it was done; learners such as ``exp3`` need it.

        Raises:
            InputError: as ``tell`` does.
        """
        proposal = plain(arm, "an arm")
        if self.learner.arms is not None:
            offers.check_proposal(proposal, self.arms, self._count())
        self._learn(Trial(id="", proposal=proposal, context=plain(context), propensity=propensity), feedback)

    def _learn(self, trial: Trial, feedback: Feedback) -> None:
        if not isinstance(feedback, Missing):
            feedback = self._lawful(feedback)
        if isinstance(feedback, Missing):
            return
        if self.arms is not None:
            feedback = offers.by_place(feedback, trial.proposal)
            trial = trial.model_copy(update={"proposal": offers.placed(trial.proposal, self.arms)})
        state = self.learner.tell(self.state, trial, feedback)
        if where := not_finite(state, self.state):
            raise InputError(
                f"this {feedback.kind} would leave {self.learner.name} with numbers that are not finite (in {where}), so it was "
                "not taken; scale what the contexts or the feedback hold"
            )
        self.state = state

    def _lawful(self, feedback: Feedback) -> Feedback:
        kinds = self.learner.made_by.learns_from
        if self.convert is not None:
            feedback = self.convert(feedback)
        if kinds and not isinstance(feedback, Missing) and feedback.kind not in kinds:
            raise NoConversion(f"{self.learner.name} learns from {' or '.join(kinds)}, got {feedback.kind}; the trial stays open")
        return feedback

    def probe(self, probes: Sequence[Probe]) -> list[list[float]]:
        """What proposals made now would be worth on held-out questions, probe by probe. Nothing is learned or opened."""
        draws = Draws(self.seed).at(self.asked)
        proposals: list[Any] = [self.learner.ask(self.state, p.context, draws).proposal for p in probes]
        return [[float(v) for v in p.worth(proposal)] for p, proposal in zip(probes, proposals, strict=True)]

    def forget(self, id: str) -> None:
        """Close an open trial without feedback; what comes for it later is an InputError, as for an unknown one."""
        self._close(self._known(id).id)

    def expire(self, seconds: float, feedback: Feedback | None = None) -> list[Trial]:
        """Close the open trials that were asked more than so many seconds ago.

        Args:
            seconds: by the session's clock.
            feedback: what silence means, such as ``Score(value=0.0)`` for a page on which nobody clicked; it is told of each.
                None teaches nothing.

        Returns:
            The trials that were closed, oldest first.

        Raises:
            InputError: where the session keeps no times; as ``tell`` does.
        """
        if self.clock is None:
            raise InputError("this session keeps no times: make it with clock=time.time, or forget trials by their id")
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise InputError(f"expected how many seconds ago a trial was asked that is too old, 0 or more, got {seconds!r}")
        now = self.clock()
        old = [trial for id, trial in self.open.items() if now - self.since.get(id, now) > seconds]
        for trial in old:
            if feedback is not None:
                self._learn(trial, feedback)
            self._close(trial.id)
        return old

    def add_arm(self, name: str, *, like: str | None = None) -> None:
        """From now on there is one more arm.

        Args:
            name: not in use.
            like: an arm as which it begins, with all that is known of that one. None: as an arm that was never tried.

        Raises:
            InputError: for a name in use; where the arms have no names; where the learner's arms cannot come and go.
        """
        names, rearranged = self._named(), self._rearranging()
        if offers.checked_name(name, "the name of an arm") in names:
            raise InputError(f"there is an arm {name!r} already")
        begins = -1 if like is None else offers.place_of(like, names)
        self.state = rearranged(self.state, [*range(len(names)), begins])
        self.arms = (*names, name)

    def remove_arm(self, name: str) -> list[Trial]:
        """Drop an arm and what is known of it. To keep what is known, leave it out of the arms that are offered.

        Returns:
            The open trials that proposed it, which are closed.

        Raises:
            InputError: for an arm that is not there, or that the learner cannot do without.
        """
        names, rearranged = self._named(), self._rearranging()
        place = offers.place_of(name, names)
        if len(names) == 1:
            raise InputError(f"{name!r} is the only arm: add another before you remove it")
        self.state = rearranged(self.state, [i for i in range(len(names)) if i != place])
        self.arms = tuple(n for n in names if n != name)
        gone = [trial for trial in self.open.values() if name in offers.arms_of(trial.proposal)]
        for trial in gone:
            self._close(trial.id)
        return gone

    def merge(self, other: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> None:
        """Add what another session of the same recipe has learned apart from this one, since both stood at ``base``.

        Args:
            other: snapshot of the other session. Arms that are not known here are added.
            base: snapshot from which both began; None: both began with nothing learned.

        Raises:
            InputError: where the learner cannot be merged, or the snapshots do not belong together.
        """
        if self.learner.merge is None:
            raise InputError(
                f"what {self.learner.name} has learned is no sum, so it cannot be merged: share one learner through a store "
                "(loopwright.SharedSession), or tell all feedback to one session"
            )
        told = type(self).restore(self.learner, other)
        begun = type(self)(self.learner, told.spec) if base is None else type(self).restore(self.learner, base)
        if (self.arms is None) != (told.arms is None) or (begun.arms is None) != (told.arms is None):
            raise InputError("arms with names and arms without cannot be merged")
        states, arms = [one.state for one in (self, told, begun)], self.arms
        if self.arms is not None:
            arms, rearranged = (*self.arms, *(n for n in told.arms or () if n not in self.arms)), self._rearranging()
            for i, there in enumerate((self.arms, told.arms or (), begun.arms or ())):
                states[i] = rearranged(states[i], [there.index(n) if n in there else -1 for n in arms])
        state = self.learner.merge(*states)
        if where := not_finite(state):
            raise InputError(f"merged, {self.learner.name} would hold numbers that are not finite (in {where})")
        self.state, self.arms = state, arms

    def _named(self) -> tuple[str, ...]:
        if self.arms is None:
            raise InputError(
                'the arms of this session have no names; give the specification their names: {"arms": ["red", "blue"], ...}'
            )
        return self.arms

    def _count(self) -> int:
        count = self.spec.get("arms", len(self.spec.get("features") or ()))
        return count if isinstance(count, int) else 0

    def _rearranging(self) -> Callable[[Any, Sequence[int]], Any]:
        if self.learner.arms is None:
            why = self.learner.fixed or "it does not choose among arms that could come and go"
            raise InputError(f"{self.learner.name} takes no arms by name and no part of its arms: {why}")
        return self.learner.arms

    def _known(self, id: Any) -> Trial:
        trial = self.open.get(id) if isinstance(id, str) else None
        if not isinstance(id, str):
            raise InputError("expected feedback, such as Score(value=1.0, about=trial.id), or the id of a trial")
        if trial is None:
            raise InputError(f"no open trial {id!r}: it was never asked, or was answered, forgotten or expired already")
        return trial

    def _close(self, id: str) -> None:
        del self.open[id]
        self.since.pop(id, None)

    def snapshot(self) -> dict[str, JsonValue]:
        """Everything as JSON data; ``restore`` goes on from it in any process."""
        told: dict[str, JsonValue] = {"version": FORMAT}
        if self.learner.made_by.recipe:
            told |= {"recipe": self.learner.made_by.recipe, "options": dict(self.learner.made_by.options)}
        if self.arms is not None:
            told["arms"] = list(self.arms)
        if self.since:
            told["since"] = dict(self.since)
        return told | {
            "spec": self.spec,
            "seed": self.seed,
            "asked": self.asked,
            "state": encode_state(self.state),
            "open": [t.model_dump(mode="json") for t in self.open.values()],
        }

    @classmethod
    def restore(cls, learner: Learner, snapshot: Mapping[str, Any], **how: Any) -> Self:
        """Go on from a snapshot.

        Args:
            learner: of the same recipe with the same options.
            snapshot: what ``snapshot`` gave, of this version of Loopwright or an earlier one.
            how: convert, ids and clock, as for a new session.

        Raises:
            InputError: for a snapshot of another recipe or with other options, of a later version, or that is none.
        """
        check_snapshot(learner.made_by, snapshot)
        session = cls(learner, snapshot["spec"], seed=snapshot["seed"], **how)
        session.asked = snapshot["asked"]
        try:
            session.state = decode_state(snapshot["state"], session.state, snapshot.get("version", 1))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise InputError(f"the state in this snapshot is not one of {learner.name}: {error}") from error
        if where := not_finite(session.state):
            raise InputError(
                f"this snapshot holds numbers that are not finite (in {where}): go on from an earlier one, or begin anew"
            )
        if session.arms is not None:
            session.arms = tuple(snapshot.get("arms", session.arms))
        session.open = {t["id"]: Trial.model_validate(t) for t in snapshot["open"]}
        session.since = dict(snapshot.get("since", {}))
        return session


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
