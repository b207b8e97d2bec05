"""Judging: what critics say of an answer, and which of two is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from loopwright.core.errors import BadOutput, CheckerError, InputError, NoConversion, NoReply
from loopwright.core.feedback import CODE, FREE, Feedback, Missing, Preference, Rater
from loopwright.core.heard import listen
from loopwright.core.origins import replaced_within
from loopwright.core.raised import of_one_answer, told
from loopwright.core.scope import Meter, NotAsked, Scope
from loopwright.core.seen import Judgement, worst
from loopwright.core.types import Rollout
from loopwright.core.world import Comparator, Critic

if TYPE_CHECKING:
    from loopwright.core.context import Context


class Judging(Scope):
    """The part of a context that asks for feedback."""

    async def judge(self, rollout: Rollout) -> Judgement:
        """What the critics say, in the kinds this recipe learns from. Solvers are never shown the objective itself."""
        self.need("critic")
        if not self._critics:
            raise InputError(
                f"{self.recipe.slug if self.recipe else 'this recipe'} needs feedback when it answers, and {self._world.name} "
                "has no critic; add [[critics]] to task.toml or leave the recipe out"
            )
        hidden = rollout.model_copy(update={"example": rollout.example.hidden()})
        return await self._judged(hidden, self._critics)

    async def _judged(self, rollout: Rollout, critics: Sequence[Critic]) -> Judgement:
        said: list[Feedback] = []
        for i, critic in enumerate(critics):
            meter = Meter(self._meter)
            branch = self.at(f"critic{i}.{rollout.id}", recipe=None, meter=meter)
            if rollout.status == "lost":
                said.append(Missing(expected="score", message=rollout.error, about=rollout.id))
                continue
            # Of an answer that was not given only code is asked what it is worth; models and people would be asked for nothing.
            branch.only_code = branch.only_code or rollout.unanswered
            try:
                feedback = await critic(rollout, cast("Context", branch))
            except NotAsked:
                feedback = worst(rollout)
            except (BadOutput, NoReply) as error:  # of the critic's own model: the answer is none the worse
                by = Rater(kind="model", name=str(getattr(critic, "kind", "critic")))
                refused = error.kind == "refused"
                feedback = Missing(expected="score", message=str(error), by=by, status="refused" if refused else "failed")
            except Exception as error:
                if not of_one_answer(error):
                    raise
                # One that was made for answers, and cannot read none, gives nothing the lowest score.
                feedback = worst(rollout) if rollout.unanswered else _broken(critic, error)
            given = feedback if isinstance(feedback, tuple) else (feedback,)
            if rollout.unanswered and any(isinstance(f, Missing) for f in given):
                given = (worst(rollout),)
            await listen(self.engine, given)
            said.extend(_priced(given, meter))
        if self.recipe is not None and self.recipe.card.learns_from:
            kinds = self.recipe.card.learns_from
            said = [self._learnt(f, kinds, rollout) for f in said]
        judgement = Judgement(feedback=tuple(f.model_copy(update={"about": rollout.id}) for f in said))
        return self._scramble(rollout.id, judgement) if self._scramble is not None else judgement

    def _learnt(self, feedback: Feedback, kinds: Sequence[str], rollout: Rollout) -> Feedback:
        """The feedback in a kind that the recipe learns from. Of an answer that was not given, Missing where there is no way."""
        if isinstance(feedback, Missing):
            return feedback
        try:
            return self.engine.convert(feedback, kinds)
        except NoConversion:
            if not rollout.unanswered:
                raise
            return Missing(expected=kinds[0], message=worst(rollout).message, about=rollout.id, by=CODE)

    async def compare(self, first: Rollout, second: Rollout) -> Preference | Missing:
        """Which of two rollouts is better, by the world's ``compare`` where it has one, ``first`` being shown first.

        Else which of them scores higher (to an Improver by the objective, else by the critics); a tie where they do not
        differ. The comparator is not asked where an answer was not given: that one loses against any other, and two of them
        are a tie. What was lost, or could not be judged, gives Missing. Raises CheckerError where the comparator speaks of
        something else.
        """
        self.need("critic")
        hidden = [r.model_copy(update={"example": r.example.hidden()}) for r in (first, second)]
        comparator: Comparator | None = getattr(self._world, "compare", None)
        if comparator is not None:
            return await self._compared(hidden[0], hidden[1], comparator)
        # A recipe that learns from preferences is told one; what it is made of need not be a kind it learns from.
        plain = self.at(f"compare{self._next()}", recipe=None, compared=True)
        training = self.recipe is not None and self.recipe.card.shape == "improver"
        both, critics = ([first, second], (self._world.checker,)) if training else (hidden, self._critics)
        a, b = [self._worth(await plain._judged(r, critics)) for r in both]
        if a is None or b is None:
            return Missing(expected="preference", message="one of the two could not be scored", by=CODE)
        chosen, rejected = (first, second) if a >= b else (second, first)
        return Preference(chosen=chosen.id, rejected=rejected.id, tie=a == b, strength=max(abs(a - b), 1e-9))

    def _worth(self, judgement: Judgement) -> float | None:
        """The judgement's score, made of other kinds where that is lawful. Raises NoConversion where it is not."""
        if judgement.score is not None or any(isinstance(f, Missing) for f in judgement.feedback):
            return judgement.score
        scores = tuple(self.engine.convert(f, ("score", "verdict")) for f in judgement.feedback)
        return Judgement(feedback=scores).score

    async def _compared(self, first: Rollout, second: Rollout, comparator: Comparator) -> Preference | Missing:
        said: Preference | Missing
        if "lost" in (first.status, second.status):
            return Missing(expected="preference", message=first.error or second.error, by=CODE)
        if first.unanswered or second.unanswered:
            said = _given_first(first, second)
        else:
            meter = Meter(self._meter)
            place = f"compare{self._next()}"
            for again in ("", "~2"):  # where the judge was replaced between its replies, both are asked for anew
                branch = self.at(place + again, recipe=None, meter=meter, compared=True)
                try:
                    said = await comparator(first, second, cast("Context", branch))
                except (BadOutput, NoReply) as error:
                    said = Missing(expected="preference", message=str(error), by=Rater(kind="model", name="compare"))
                if again or not await replaced_within(self.engine, branch.scope):
                    break
            (priced,) = _priced((said,), meter)
            said = cast(Preference | Missing, priced)
            await listen(self.engine, (said,))
        if isinstance(said, Preference) and {said.chosen, said.rejected} != {first.id, second.id}:
            raise CheckerError(
                f"{self._world.name} compared {said.chosen} and {said.rejected}, but was asked about {first.id} and {second.id}"
            )
        if self._scramble is None:
            return said
        (heard,) = self._scramble(f"{first.id}/{second.id}", Judgement(feedback=(said,))).feedback
        return cast(Preference | Missing, heard)

    async def wins(self, pairs: Sequence[tuple[Rollout, Rollout]]) -> list[float | None]:
        """Of each pair, by ``compare``: 1 where the first is better, 0 the second, 1/2 for a tie; None where nobody could say."""

        async def win(both: tuple[Rollout, Rollout], ctx: Judging) -> float | None:
            said = await ctx.compare(*both)
            if said.kind == "missing":
                return None
            return 0.5 if said.tie else float(said.chosen == both[0].id)

        return await self.map(win, pairs)


def _broken(critic: Critic, error: Exception) -> Missing:
    """What a critic says that raised on one answer: a judgement that failed, which is never a score."""
    name = str(getattr(critic, "kind", "") or getattr(critic, "__name__", "checker"))
    return Missing(expected="score", message=f"{name}: {told(error)}", by=Rater(kind="code", name=name))


def _given_first(first: Rollout, second: Rollout) -> Preference:
    """Of two answers of which at least one was not given."""
    chosen, rejected = (second, first) if first.unanswered and not second.unanswered else (first, second)
    tie = first.unanswered and second.unanswered
    return Preference(chosen=chosen.id, rejected=rejected.id, tie=tie, strength=1e-9 if tie else 1.0, by=CODE)


def _priced(said: tuple[Feedback, ...], meter: Meter) -> tuple[Feedback, ...]:
    """What was spent on a judgement, put on its first piece where no piece says what it cost."""
    if not said or meter.spent == FREE or any(f.cost != FREE for f in said):
        return said
    return (said[0].model_copy(update={"cost": meter.spent}), *said[1:])
