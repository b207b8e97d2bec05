"""The context: all that a recipe may touch. Each method is an effect, or is made of effects."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, cast

from loopwright.core import fitting
from loopwright.core.engine import Engine
from loopwright.core.errors import (
    BadOutput,
    BudgetExhausted,
    CheckerError,
    InputError,
    LoopwrightError,
    Paused,
    UnknownName,
)
from loopwright.core.feedback import CODE, Cost, Critique, Feedback, Missing, Preference, Rater
from loopwright.core.fitting import Values
from loopwright.core.gate import summarise
from loopwright.core.model import FitJob, Fitted, Reading, Request, Sampling, Trainable
from loopwright.core.policy import Prompt, prompt_of
from loopwright.core.registry import Recipe, get_recipe
from loopwright.core.seen import Judgement, Visible, share_of, short
from loopwright.core.store import RolloutRow
from loopwright.core.types import Candidate, Example, Rollout, Turn, digest
from loopwright.core.world import Comparator, Critic, Split, World

T = TypeVar("T")
R = TypeVar("R")


class Context:
    """What a recipe is given as ``ctx``.

    policy: the candidate that ``answer`` samples from.
    rng: random numbers of this scope; the same in every run with this seed.
    """

    def __init__(
        self,
        engine: Engine,
        scope: str,
        *,
        world: World,
        policy: Candidate,
        recipe: Recipe | None = None,
        split: Split = "train",
        critics: Sequence[Critic] | None = None,
        sampling: Sampling | None = None,
        scramble: Callable[[str, Judgement], Judgement] | None = None,
    ) -> None:
        self.engine = engine
        self.scope = scope
        self._world = world
        self.policy = policy
        self.recipe = recipe
        self.split = split
        self.sampling = sampling or world.sampling
        self.round = 0
        self._critics = world.critics if critics is None else critics
        self._scramble = scramble
        self._branches = 0
        self.rng = random.Random(digest([engine.seed, scope, "rng"]))

    @property
    def world(self) -> World:
        """The task; to a recipe, only what it may see of it."""
        if self.recipe is None:
            return self._world
        return cast(World, Visible(self._world, self.recipe))

    # ---- scopes ---------------------------------------------------------------------------------------------------

    def at(self, name: str, **changes: Any) -> Context:
        """The same context in a scope below this one; concurrent branches each need their own."""
        fields: dict[str, Any] = {
            "world": self._world, "policy": self.policy, "recipe": self.recipe, "split": self.split,
            "critics": self._critics, "sampling": self.sampling, "scramble": self._scramble,
        }  # fmt: skip
        child = Context(self.engine, f"{self.scope}/{name}", **(fields | changes))
        child.round = self.round
        return child

    async def map(self, function: Callable[[T, Context], Awaitable[R]], items: Sequence[T]) -> list[R]:
        """``function(item, ctx)`` for all items at once, each in a scope of its own; results in the items' order.

        If one fails, the others finish what they have begun before its error is raised, so that nothing paid is lost.
        """
        self._branches += 1
        branch = self._branches
        results = await asyncio.gather(
            *(function(item, self.at(f"{branch}.{i}")) for i, item in enumerate(items)), return_exceptions=True
        )
        return _all_or_raise(results)

    def need(self, capability: str) -> None:
        if self.recipe is not None and capability not in self.recipe.card.needs:
            raise LoopwrightError(
                f"{self.recipe.slug} used the capability {capability!r}, which its card does not declare; "
                f"it needs {self.recipe.card.needs}"
            )

    # ---- answering ------------------------------------------------------------------------------------------------

    async def answer(
        self, example: Example, message: str | None = None, *, after: Rollout | None = None, **sampling: Any
    ) -> Rollout:
        """The policy's answer. ``after`` and ``message`` go on from an earlier rollout with another user message."""
        (rollout,) = await self.samples(example, 1, message, after=after, **sampling)
        return rollout

    async def samples(
        self, example: Example, n: int, message: str | None = None, *, after: Rollout | None = None, **sampling: Any
    ) -> list[Rollout]:
        """n answers to the same conversation, from one call. Keyword arguments override fields of Sampling.

        A model that answers with nothing usable gives a rollout of status ``failed``; it has no score.
        """
        self.need("model")
        turns = after.turns if after is not None else prompt_of(self.policy).render(example)
        if message is not None:
            turns = (*turns, Turn(role="user", text=message))
        elif after is not None:
            raise InputError("answer(after=...) needs a message to answer")
        adapter = self.policy.parts.get("adapter")
        request = Request(
            turns=tuple(Turn(role=t.role, text=t.text) for t in turns),
            sampling=self._sampling(sampling),
            n=n,
            adapter=str(adapter) if adapter is not None else None,
        )
        name = f"{self.scope}:{self.engine.asked(self.scope)}"
        try:
            reply = await self.engine.generate(self.scope, "policy", request, summary=short(turns[-1].text))
        except BadOutput as error:
            failed = Rollout(
                id=digest([name, "failed"])[:16], example=example.hidden(), turns=turns, candidate=self.policy.hash,
                status="failed", error=str(error),
            )  # fmt: skip
            return [failed.model_copy(update={"id": digest([name, i])[:16]}) for i in range(n)]
        share = share_of(reply.cost, n)
        return [
            Rollout(
                id=digest([name, i])[:16], example=example.hidden(), turns=(*turns, choice),
                candidate=self.policy.hash, cost=share,
            )  # fmt: skip
            for i, choice in enumerate(reply.choices)
        ]

    def _sampling(self, changes: dict[str, Any]) -> Sampling:
        return Sampling.model_validate({**self.sampling.model_dump(by_alias=True), **changes}) if changes else self.sampling

    async def generate(
        self, prompt: str | Sequence[Turn], *, system: str = "", role: str = "proposer", n: int = 1, **sampling: Any
    ) -> list[Turn]:
        """n texts by the model of a role (``policy``, ``proposer``, ``judge``); not an answer to an example."""
        self.need("model")
        turns = [Turn(role="user", text=prompt)] if isinstance(prompt, str) else list(prompt)
        if system:
            turns.insert(0, Turn(role="system", text=system))
        request = Request(turns=tuple(turns), sampling=self._sampling(sampling), n=n)
        reply = await self.engine.generate(self.scope, role, request, summary=short(turns[-1].text))
        return list(reply.choices)

    # ---- judging --------------------------------------------------------------------------------------------------

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
            branch = self.at(f"critic{i}.{rollout.id}", recipe=None)
            if rollout.status != "ok":
                said.append(Missing(expected="score", message=rollout.error, about=rollout.id))
                continue
            try:
                feedback = await critic(rollout, branch)
            except BadOutput as error:  # the critic's own model gave nothing usable; the answer is none the worse for it
                refused = error.kind == "refused"
                said.append(Missing(expected="score", message=str(error), status="refused" if refused else "failed"))
                continue
            said.extend(feedback if isinstance(feedback, tuple) else (feedback,))
        if self.recipe is not None and self.recipe.card.learns_from:
            kinds = self.recipe.card.learns_from
            said = [f if isinstance(f, Missing) else self.engine.convert(f, kinds) for f in said]
        judgement = Judgement(feedback=tuple(f.model_copy(update={"about": rollout.id}) for f in said))
        return self._scramble(rollout.id, judgement) if self._scramble is not None else judgement

    @property
    def _solving(self) -> bool:
        return self.recipe is not None and self.recipe.card.shape in ("solver", "critic")

    async def compare(self, first: Rollout, second: Rollout) -> Preference | Missing:
        """Which of two rollouts is better, by the world's ``compare`` where it has one, ``first`` being shown first.

        Else which of them scores higher (to an Improver by the objective, else by the critics); a tie where they do not
        differ. A rollout that failed, or that could not be judged, gives Missing. Raises CheckerError where the comparator
        speaks of something else.
        """
        self.need("critic")
        hidden = [r.model_copy(update={"example": r.example.hidden()}) for r in (first, second)]
        comparator: Comparator | None = getattr(self._world, "compare", None)
        if comparator is not None:
            return await self._compared(hidden[0], hidden[1], comparator)
        # A recipe that learns from preferences is told one; what it is made of need not be a kind it learns from.
        plain = self.at(f"compare{self._next()}", recipe=None)
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
        if "failed" in (first.status, second.status):
            return Missing(expected="preference", message=first.error or second.error, by=CODE)
        said = await comparator(first, second, self.at(f"compare{self._next()}", recipe=None))
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

        async def win(both: tuple[Rollout, Rollout], ctx: Context) -> float | None:
            said = await ctx.compare(*both)
            if said.kind == "missing":
                return None
            return 0.5 if said.tie else float(said.chosen == both[0].id)

        return await self.map(win, pairs)

    # ---- batches of work ------------------------------------------------------------------------------------------

    async def rollout(
        self, policy: Candidate, examples: Sequence[Example], *, n: int = 1, judge: bool = True, **sampling: Any
    ) -> list[Rollout]:
        """n judged attempts at each example, example by example; one model call each.

        judge=False leaves the judgement out, for recipes that have answers compared.
        """
        return await self._attempts(policy, [(e, None, None) for e in examples], n, judge, sampling)

    async def follow(
        self,
        policy: Candidate,
        rollouts: Sequence[Rollout],
        messages: Sequence[str],
        *,
        n: int = 1,
        judge: bool = True,
        **sampling: Any,
    ) -> list[Rollout]:
        """n judged attempts that go on from each rollout with a user message of its own, rollout by rollout.

        The rollouts must have come from ``rollout`` or ``follow``; an attempt is judged by what was said last.
        """
        if len(messages) != len(rollouts):
            raise InputError(f"expected one message a rollout, got {len(messages)} messages and {len(rollouts)} rollouts")
        return await self._attempts(
            policy, [(r.example, m, r) for r, m in zip(rollouts, messages, strict=True)], n, judge, sampling
        )

    async def _attempts(
        self,
        policy: Candidate,
        items: Sequence[tuple[Example, str | None, Rollout | None]],
        n: int,
        judge: bool,
        sampling: dict[str, Any],
    ) -> list[Rollout]:
        async def attempt(item: tuple[Example, str | None, Rollout | None], ctx: Context) -> list[Rollout]:
            example, message, after = item
            made = await ctx.samples(example, n, message, after=after, **sampling)
            if not judge:
                return [r.model_copy(update={"example": example}) for r in made]
            return [await ctx._finish(r, example, i) for i, r in enumerate(made)]

        # To a Solver the objective is what it is measured by, not what it may ask.
        critics = self._critics if self._solving else (self._world.checker,)
        branch = self.at(f"rollout{self._next()}", policy=policy, critics=critics)
        groups = await branch.map(attempt, items)
        rollouts = [r for group in groups for r in group]
        await self.engine.record(*(_row(self, r, i % n) for i, r in enumerate(rollouts)))
        if self.round:
            shown = summarise([r.score for r in rollouts])
            figures = self.engine.watched[branch.scope] = self.engine.watch(rollouts)
            await self.engine.event(
                "round", branch.scope, round=self.round, by=self._by, **shown.model_dump(), monitors=figures
            )
        return rollouts

    @property
    def _by(self) -> str:
        return self.recipe.slug if self.recipe is not None else ""

    async def _finish(self, rollout: Rollout, example: Example, index: int) -> Rollout:
        """Judge against the objective, which may look at the target."""
        whole = rollout.model_copy(update={"example": example})
        return whole.told(*(await self._judged(whole, self._critics)).feedback)

    async def evaluate(
        self, candidate: Candidate, examples: Sequence[Example] | None = None, *, n: int = 1
    ) -> list[Rollout]:
        """The candidate used as it would be, its Solver included, on train examples unless told otherwise; judged."""
        if self._solving:
            raise LoopwrightError("Solvers and Critics cannot be told scores: ctx.evaluate is for Improvers")
        chosen = self.world.examples(self.split) if examples is None else examples
        objective = self._world.checker

        async def attempt(item: tuple[Example, int], ctx: Context) -> Rollout:
            example, replicate = item
            ctx = ctx.at("solve", critics=self._world.critics, recipe=None, sampling=self._world.sampling)
            rollout = await solve(candidate, example, ctx)
            judge = ctx.at("check", critics=(objective,), scramble=self._scramble)
            return await judge._finish(rollout, example, replicate)

        branch = self.at(f"evaluate{self._next()}", policy=candidate, recipe=None)
        rollouts = await branch.map(attempt, [(e, k) for e in chosen for k in range(n)])
        await self.engine.record(*(_row(self, r, i % n) for i, r in enumerate(rollouts)))
        return rollouts

    def _next(self) -> int:
        self._branches += 1
        return self._branches

    async def batches(self, size: int, *, rounds: int) -> AsyncIterator[list[Example]]:
        """Up to ``rounds`` random batches of train examples, fewer when the time is up. Each opens a round's scope.

        Whether there is time for another round is a decision of the clock, so it is an effect.
        """
        pool = list(self.world.examples("train"))
        base = self.scope
        try:
            for number in range(1, rounds + 1):
                self.scope = base
                if not await self.more(number):
                    break
                self.scope, self.round = f"{base}/round{number}", number
                yield self.rng.sample(pool, min(size, len(pool)))
        finally:
            self.scope = base

    async def more(self, number: int) -> bool:
        """Whether another round is begun: the budget allows one, by what the longest so far took, and no stop rule is broken."""

        async def decide() -> tuple[bytes, Cost]:
            why = self.engine.halt(self._figures(number - 1))
            return (f"no: {why}".encode() if why else b"yes" if self.engine.room() else b"no"), Cost()

        raw = await self.engine.effect(self.scope, "round", number, decide, summary=f"round {number}")
        if raw.startswith(b"no: "):
            await self.engine.event("stop", self.scope, by=self._by, round=number - 1, reason=raw[4:].decode())
        return raw == b"yes"

    def _figures(self, number: int) -> dict[str, float]:
        """What was watched in a round, the mean over its rollouts."""
        inside = f"{self.scope}/round{number}/"
        seen = [figures for scope, figures in sorted(self.engine.watched.items()) if scope.startswith(inside)]
        names = dict.fromkeys(name for figures in seen for name in figures)
        values = {name: [figures[name] for figures in seen if name in figures] for name in names}
        return {name: math.fsum(found) / len(found) for name, found in values.items()}

    # ---- weights, code, tools -------------------------------------------------------------------------------------

    async def fit(
        self,
        base: Candidate,
        data: Sequence[Rollout] | Sequence[tuple[Rollout, Rollout]],
        *,
        loss: str = "sft",
        weights: Sequence[float] | None = None,
        values: Mapping[str, Sequence[Values]] | None = None,
        own_prompt: bool = False,
        last_turn: bool = False,
        prompts: Sequence[Prompt] | None = None,
        **options: Any,
    ) -> Candidate:
        """Train on these rollouts, or on (better, worse) pairs of them, starting from ``base``'s weights.

        Each turn that the policy wrote is one training sequence, with the very tokens that were sampled; of a pair, the
        last such turn of each side. Keyword arguments are fields of FitJob.
        weights: one a rollout (or pair). values: by name, what the loss reads beside; one entry a rollout (or pair), a
        number or one number per written token.
        own_prompt: train as if the answers had been given under ``base``'s own prompt, whatever helped to sample them
        (worked examples, hints, feedback); of a rollout of several turns, the last one is trained on.
        prompts: as own_prompt, with a prompt for each rollout (of pairs: for both sides, pair by pair).
        last_turn: train on the last turn alone, under the conversation before it.
        keep_state=True: the optimiser goes on from where the fit that made ``base``'s weights left it.
        """
        model = self._trainable()
        sides = [r for item in data for r in (item if isinstance(item, tuple) else (item,))]
        if own_prompt and prompts is None:
            prompts = [prompt_of(base)] * len(sides)
        shown = fitting.rendered(model, prompts, sides) if prompts is not None else None
        paired = bool(data) and isinstance(data[0], tuple)
        make: Any = fitting.pairs if paired else partial(fitting.sequences, last=prompts is not None or last_turn)
        start = base.parts.get("adapter")
        job = FitJob.model_validate(
            {
                "data": make(data, weights, values, shown), "loss": loss, "adapter": start,
                "seed": int(digest([self.engine.seed, self.scope, "fit"])[:8], 16),
                "state": self.engine.optimisers.get(str(start)) if options.get("keep_state") else None, **options,
            }
        )  # fmt: skip

        async def perform() -> tuple[bytes, Cost]:
            fitted = await model.fit(job)
            return fitted.model_dump_json().encode(), fitted.cost

        what = f"{loss} on {len(job.data)} {'pairs' if paired else 'sequences'}"
        raw = await self.engine.effect(self.scope, "fit", digest(job.model_dump(mode="json")), perform, summary=what)
        fitted = Fitted.model_validate_json(raw)
        if fitted.state is not None:
            self.engine.optimisers[fitted.adapter] = fitted.state
        await self.engine.event("fit", f"{self.scope}/{fitted.adapter}", **fitted.stats, loss_name=loss, round=self.round)
        return base.child(adapter=fitted.adapter, by=self._by)

    async def forward(self, candidate: Candidate, rollouts: Sequence[Rollout], what: Reading) -> list[list[float]]:
        """What a candidate's weights say of rollouts that exist already; see ``core.model.Trainable.forward``.

        One list a rollout: a number for every token the policy wrote in it; for ``features``, the last hidden state.
        """
        model = self._trainable()
        adapter = candidate.parts.get("adapter")
        hash = str(adapter) if adapter is not None else None
        samples = fitting.sequences(rollouts)

        async def perform() -> tuple[bytes, Cost]:
            read = await model.forward(samples, what, hash)
            return json.dumps([list(r) for r in read]).encode(), Cost()

        asked = digest([what, hash, [s.model_dump(mode="json", exclude={"values", "weight"}) for s in samples]])
        raw = await self.engine.effect(self.scope, "forward", asked, perform, summary=f"{what} of {len(samples)} sequences")
        parts = iter(json.loads(raw))
        groups = [[next(parts) for _ in fitting.written(r)] for r in rollouts]
        return [g[-1] if what == "features" else [x for part in g for x in part] for g in groups]

    def text_ends(self, rollout: Rollout) -> list[int]:
        """Where in ``rollout.output`` each token of the policy's last turn ends, in characters; to put steps on tokens."""
        turns = fitting.written(rollout)
        return list(self._trainable().text_ends(turns[-1].token_ids)) if turns else []

    def _trainable(self) -> Trainable:
        self.need("fit")
        model = self.engine.model("policy")
        if not isinstance(model, Trainable):
            raise InputError(
                f"the weights of {model.name} cannot be changed from here; use --model embedded, or leave weights out of --change"
            )
        return model

    async def run(self, code: str, *, stdin: str = "", files: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """Python code in the sandbox; returns the Outcome as plain data. Raises SandboxMissing where there is none."""
        self.need("sandbox")
        return await self.engine.run_code(self.scope, code, stdin=stdin, files=files or {}, options=options)

    async def tool(self, name: str, text: str) -> str:
        """Call one of the world's tools."""
        self.need("tools")
        if name not in self._world.tools:
            raise UnknownName(f"tool of {self._world.name}", name, self._world.tools)
        return await self._world.tools[name](text, self.at(f"tool.{name}{self._next()}", recipe=None))

    async def verify(self, rollout: Rollout, tools: Sequence[str] = ()) -> Judgement:
        """What the world's tools find wrong with an answer: a Critique each, empty where a tool has no objection.

        tools: by name; all of them when empty.
        """
        self.need("tools")
        names = list(tools) or list(self._world.tools)
        if not names:
            raise InputError(f"{self._world.name} has no tools; add [tools] to task.toml or leave the recipe out")
        said = [
            Critique(comment=await self.tool(name, rollout.output), by=Rater(kind="code", name=name), about=rollout.id)
            for name in names
        ]
        judgement = Judgement(feedback=tuple(said))
        return self._scramble(rollout.id, judgement) if self._scramble is not None else judgement

    async def search(self, query: str) -> str:
        """The world's search tool."""
        return await self.tool("search", query)

    async def external(self, kind: str, content: Any, call: Callable[[], Awaitable[bytes]], *, summary: str = "") -> bytes:
        """Any other costly or changing thing (a person, a simulator's step, a user's function) as an effect."""

        async def perform() -> tuple[bytes, Cost]:
            return await call(), Cost()

        return await self.engine.effect(self.scope, kind, content, perform, summary=summary or kind)


async def solve(candidate: Candidate, example: Example, ctx: Context) -> Rollout:
    """The candidate's answer: through its Solver if it has one, else the policy's own."""
    ctx = ctx.at("answer", policy=candidate)
    part = candidate.parts.get("solver")
    if not isinstance(part, dict):
        return await ctx.answer(example.hidden())
    recipe = get_recipe(str(part["recipe"]))
    ctx.recipe = recipe
    options = part.get("options") or {}
    if not isinstance(options, dict):
        raise InputError(f"solver options must be a table, got {options!r}")
    rollout: Rollout = await recipe(example.hidden(), ctx, **options)
    return rollout


def _row(ctx: Context, rollout: Rollout, replicate: int) -> RolloutRow:
    return RolloutRow(
        run=ctx.engine.run.id, id=rollout.id, candidate=rollout.candidate, example=rollout.example.id, split=ctx.split,
        round=ctx.round, replicate=replicate, score=rollout.score, data=rollout.model_dump_json().encode(),
    )  # fmt: skip


def _all_or_raise(results: Sequence[R | BaseException]) -> list[R]:
    """The results, or the first error; one that only tells that the run is ending comes after the reason why it does."""
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        raise next((e for e in failed if not isinstance(e, Paused | BudgetExhausted)), failed[0])
    return [result for result in results if not isinstance(result, BaseException)]
